/**
 * Runs a script once per row and fault, on in-process shards, a router and a real Temporal, and says what the end has to be:
 *
 * - fail it for good: before the flip the undo leaves everything as it was; after it the operation waits with a reason, and goes on
 *   when the fault ends;
 * - run it twice (the first answer is lost), kill the worker in it: the same end as without;
 * - cancel it: undone before the flip, refused after it;
 * - terminate it: the recovery ends as the operation itself would have.
 */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ApplicationFailure } from '@temporalio/common';
import { cancelUpdate, transitionUpdate } from '../../src/contract/messages';
import type { OperationRequest } from '../../src/contract/requests';
import { PlacementPlan } from '../../src/domain/placement-plan';
import { placementSpec, type ShardMap } from '../../src/domain/shard-map';
import { rowsUntilFlip, type Row, type Script } from '../../src/workflows/operation/script';
import { ClusterFixture, FAST, pointJson, refusalOf, type TemporalForTests } from './cluster-fixture';
import { SHARD_KEY, type InProcessShard } from './in-process-shard';
import { startRouter, type InProcessRouter } from './in-process-router';
import { RowFaults } from './row-faults';
import { waitFor } from './wait-for';

export const ROW_FAULTS = [
  'fails for good',
  'runs twice',
  'loses its worker',
  'is cancelled',
  'is terminated',
] as const;
export type RowFaultName = (typeof ROW_FAULTS)[number];

/** An operation under test. */
export interface ScriptUnderTest {
  readonly kind: 'grow' | 'drain' | 'repair' | 'check';
  /** Rows of any context: the harness reads them and runs none. */
  readonly script: Script<never>;
  /** Brings the cluster to where the operation begins, and says what it is asked for. */
  readonly prepare: (cluster: ClusterFixture) => Promise<OperationRequest>;
}

const POINTS = 300;
/** Short attempts: a recovery waits for as long as an attempt of the dead operation may live. */
const TIMINGS = {
  ...FAST,
  attemptMs: 2_000,
  heartbeatMs: 1_000,
  warmUpMs: 1_000,
  routerPatienceMs: 5_000,
  retryMaxMs: 200,
};
/** Each poll is a query of the cluster workflow, which costs more than all else here. */
const ROUTER_POLL_MS = 250;
const KEY = 'a';
const INJECTED = 'injected by the harness';

/** What a cluster holds, shard by shard, and how it stands. */
interface Snapshot {
  readonly map: Omit<ShardMap, 'version'>;
  readonly standbys: readonly string[];
  /** `<shard>/<collection>/<id>` to the point's JSON; a collection alone has an empty id. */
  readonly contents: ReadonlyMap<string, string>;
}

export class ScriptHarness {
  private readonly temporal: TemporalForTests;
  private readonly test: ScriptUnderTest;

  constructor(temporal: TemporalForTests, test: ScriptUnderTest) {
    this.temporal = temporal;
    this.test = test;
  }

  /** Every row with every fault. */
  static cases({ script }: ScriptUnderTest): { row: string; fault: RowFaultName }[] {
    return script.flatMap(({ phase }) => ROW_FAULTS.map((fault) => ({ row: phase, fault })));
  }

  async run(phase: string, fault: RowFaultName): Promise<void> {
    const row = this.test.script.find((each) => each.phase === phase);
    if (row === undefined) throw new Error(`${this.test.kind} has no row ${phase}`);
    const scene = await Scene.open(this.temporal, this.test, row);
    try {
      await this.play(scene, fault);
    } finally {
      await scene.close();
    }
  }

  private async play(scene: Scene, fault: RowFaultName): Promise<void> {
    const { kind, script } = this.test;
    const movesPoints = kind === 'grow' || kind === 'drain';
    const isBeforeFlip = movesPoints && rowsUntilFlip(script).includes(scene.row) && scene.row.isFlip !== true;
    const playing = PLAYS[fault];
    await playing(scene, { isBeforeFlip, movesPoints });
  }
}

interface Place {
  readonly isBeforeFlip: boolean;
  readonly movesPoints: boolean;
}

const PLAYS: Record<RowFaultName, (scene: Scene, place: Place) => Promise<void>> = {
  'fails for good': async (scene, { isBeforeFlip, movesPoints }) => {
    scene.faults.strike({ before: () => Promise.reject(injected({ nonRetryable: true })) });
    await scene.begin();
    if (scene.row.optional !== undefined) return scene.expectDone();
    if (isBeforeFlip) return scene.expectUndone(['failed', 'refused']);
    if (!movesPoints) return scene.expectGivenUp(['failed', 'refused']);
    await waitFor(`waiting that names ${INJECTED}`, async () => {
      const { waiting } = await scene.progress();
      return waiting?.reason.includes(INJECTED) === true;
    });
    scene.faults.strike(null);
    return scene.expectDone();
  },
  'runs twice': async (scene) => {
    const seen = new Set<string>();
    scene.faults.strike({
      after: async ({ name }) => {
        if (seen.has(name)) return;
        seen.add(name);
        throw injected({ nonRetryable: false });
      },
    });
    await scene.begin();
    await scene.expectDone();
    expect(seen.size).toBeGreaterThan(0);
  },
  'loses its worker': async (scene) => {
    let isDead = false;
    scene.faults.strike({ before: () => (isDead ? Promise.resolve() : new Promise(() => undefined)) });
    await scene.begin();
    await scene.faults.reached;
    isDead = true;
    await scene.cluster.killWorker();
    await scene.cluster.startWorker();
    await scene.expectDone();
  },
  'is cancelled': async (scene, { isBeforeFlip, movesPoints }) => {
    let answer: Promise<string> | null = null;
    scene.faults.strike({
      before: async () => {
        await (answer ??= scene.cancel());
      },
    });
    await scene.begin();
    await scene.faults.reached;
    scene.faults.strike(null);
    if (isBeforeFlip) return scene.expectUndone(['cancelled']);
    if (!movesPoints) return scene.expectGivenUp(['cancelled']);
    expect(await waitFor('the answer to the cancel', async () => answer)).toBe('PointOfNoReturnPassed');
    return scene.expectDone();
  },
  'is terminated': async (scene, { isBeforeFlip, movesPoints }) => {
    let terminated: Promise<unknown> | null = null;
    // The attempt goes on when its operation is dead, as a late one does.
    scene.faults.strike({
      before: async () => {
        await (terminated ??= scene.operation.terminate('by a test'));
      },
    });
    await scene.begin();
    await scene.faults.reached;
    await waitFor('the end', async () => (await scene.operation.describe()).status.name === 'TERMINATED');
    await scene.recover();
    if (isBeforeFlip) return scene.expectAsBefore();
    if (!movesPoints) return scene.expectNothingLost();
    return scene.expectInPlace();
  },
};

function injected({ nonRetryable }: { nonRetryable: boolean }): ApplicationFailure {
  return ApplicationFailure.create({ message: INJECTED, type: 'NeedsOperator', nonRetryable });
}

/** One cluster with its operation, and the fault in one row of it. */
class Scene {
  readonly cluster: ClusterFixture;
  readonly row: Row<never>;
  readonly faults: RowFaults;
  private readonly kind: ScriptUnderTest['kind'];
  private readonly coordinator: Coordinator;
  private readonly router: InProcessRouter;
  private readonly request: OperationRequest;
  private readonly before: Snapshot;
  private begun: Promise<unknown> = Promise.resolve();

  private constructor(parts: {
    cluster: ClusterFixture;
    row: Row<never>;
    faults: RowFaults;
    kind: ScriptUnderTest['kind'];
    coordinator: Coordinator;
    router: InProcessRouter;
    request: OperationRequest;
    before: Snapshot;
  }) {
    this.cluster = parts.cluster;
    this.row = parts.row;
    this.faults = parts.faults;
    this.kind = parts.kind;
    this.coordinator = parts.coordinator;
    this.router = parts.router;
    this.request = parts.request;
    this.before = parts.before;
  }

  static async open(temporal: TemporalForTests, test: ScriptUnderTest, row: Row<never>): Promise<Scene> {
    const { kind } = test;
    const faults = new RowFaults(temporal.client, kind, row.phase);
    const label = `${kind}-${row.phase}`;
    const cluster = await ClusterFixture.start(temporal, label, { points: POINTS, shards: 3, wrap: faults.wrap });
    const request = await test.prepare(cluster);
    const coordinator = await serveMap(cluster);
    const router = await startRouter({
      coordinatorUrl: coordinator.url,
      shardUrls: cluster.donors.map((shard) => shard.url),
      shardKey: SHARD_KEY,
      pollMs: ROUTER_POLL_MS,
    });
    const before = await snapshot(cluster);
    return new Scene({ cluster, row, faults, kind, coordinator, router, request, before });
  }

  async close(): Promise<void> {
    await this.router.stop();
    await this.coordinator.stop();
    await this.cluster.stop();
  }

  get operation() {
    return this.cluster.operation(KEY, this.kind);
  }

  progress() {
    return this.cluster.progress(KEY, this.kind);
  }

  /** Starts the operation. Its caller's answer is looked at by nobody: some faults come before it. */
  async begin(): Promise<void> {
    const input = this.cluster.input(KEY, { timings: TIMINGS, routerUrls: [this.router.url] });
    this.begun = this.cluster.begin(this.kind, { ...input, request: this.request });
    this.begun.catch(() => undefined);
    await waitFor('the operation runs', () => this.operation.describe());
  }

  cancel(): Promise<string> {
    return refusalOf(this.operation.executeUpdate(cancelUpdate, { args: [{ reason: 'a test' }] }));
  }

  /** Looks after the lock as every request does, until it is free. What the dead attempt still does comes first. */
  async recover(): Promise<void> {
    if (this.kind === 'check') return;
    await waitFor('the attempt is over', () =>
      Promise.resolve(
        this.begun.then(
          () => true,
          () => true,
        ),
      ),
    );
    await waitFor('the lock is free', async () => {
      const look = await this.cluster.lookAfterLock();
      if (look.kind === 'recovering') await this.recoveryOf(look.recovery).result();
      return look.kind === 'free';
    });
  }

  private recoveryOf(recovery: string) {
    return this.cluster.operation(recovery.replace('recover-', ''), 'recover');
  }

  // ---- What the end has to be ----

  /** The operation has ended well, and every point is on its owner, and nowhere else. */
  async expectDone(): Promise<void> {
    await this.operation.result();
    expect(await this.progress()).toMatchObject({ status: 'succeeded', waiting: null });
    await this.expectInPlace();
  }

  async expectInPlace(): Promise<void> {
    const state = await this.cluster.state();
    expect(state.lock).toBeNull();
    expect(state.map).toMatchObject({ joining: [], leaving: [] });
    if (this.kind === 'grow') expect(state.map.shards).toHaveLength(4);
    if (this.kind === 'drain') {
      expect(state.map.shards).toHaveLength(2);
      expect(this.cluster.donors[1]!.collections()).toEqual([]);
    }
    this.expectNothingLost();
    if (this.kind === 'check') return;
    expect(await this.cluster.misplaced('docs')).toEqual([]);
    expect(this.cluster.allIds('docs')).toHaveLength(this.points().size);
  }

  /** INV-7: as before the operation, but for the version; with the same operation again it ends well. */
  async expectUndone(ends: readonly string[]): Promise<void> {
    await expect(this.operation.result()).rejects.toThrow();
    expect(ends).toContain((await this.progress()).status);
    await this.expectAsBefore();
  }

  async expectAsBefore(): Promise<void> {
    expect((await this.cluster.state()).lock).toBeNull();
    expect(await snapshot(this.cluster)).toEqual(this.before);
  }

  /** Of a check and a repair: whole step by step, so nothing is lost, no lock is held, and another one ends well. */
  async expectGivenUp(ends: readonly string[]): Promise<void> {
    await expect(this.operation.result()).rejects.toThrow();
    expect(ends).toContain((await this.progress()).status);
    expect((await this.cluster.state()).lock).toBeNull();
    this.expectNothingLost();
  }

  /** INV-3, INV-6: every point that was there is somewhere, byte for byte. */
  expectNothingLost(): void {
    const now = new Set([...contentsOf(this.cluster)].map(([path, json]) => `${path.split('/')[2]} ${json}`));
    const lost = [...this.points()].filter(([id, json]) => !now.has(`${id} ${json}`));
    expect(lost).toEqual([]);
  }

  private points(): Map<string, string> {
    const points = [...this.before.contents].flatMap(([path, json]) => {
      const id = path.split('/')[2] ?? '';
      return id === '' ? [] : [[id, json] as const];
    });
    return new Map(points);
  }
}

async function snapshot(cluster: ClusterFixture): Promise<Snapshot> {
  const { map, autoscale } = await cluster.state();
  const { shards, joining, leaving } = map;
  return {
    map: { shards, joining, leaving },
    standbys: autoscale.standbys.map((each) => each.primary_url),
    contents: contentsOf(cluster),
  };
}

function contentsOf(cluster: ClusterFixture): Map<string, string> {
  const contents = new Map<string, string>();
  const shards: readonly InProcessShard[] = [...cluster.donors, cluster.joiner];
  for (const [index, shard] of shards.entries()) {
    for (const collection of shard.collections()) {
      contents.set(`${index}/${collection}/`, '');
      for (const id of shard.ids(collection))
        contents.set(`${index}/${collection}/${id}`, shard.get(collection, id) ?? '');
    }
  }
  return contents;
}

/** What the API is to a router: the map of the cluster workflow. */
async function serveMap(cluster: ClusterFixture): Promise<Coordinator> {
  const asking = new Set<Promise<void>>();
  const answer = async (response: ServerResponse): Promise<void> => {
    try {
      const map = await cluster.map();
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(map));
    } catch {
      response.statusCode = 503;
      response.end();
    }
  };
  const server = createServer((_request, response) => {
    const answered = answer(response).finally(() => asking.delete(answered));
    asking.add(answered);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: async () => {
      await Promise.all(asking);
      server.closeAllConnections();
      server.close();
    },
  };
}

interface Coordinator {
  readonly url: string;
  /** Ends when no query of it is under way: one that outlives its connection ends the process. */
  stop(): Promise<void>;
}

// ---- The operations ----

/** The shard that joins is a standby of the policy, so that an undo has a pool to give it back to. */
export async function prepareGrow(cluster: ClusterFixture): Promise<OperationRequest> {
  const address = cluster.address(cluster.joiner);
  await cluster.cluster.executeUpdate(transitionUpdate, { args: [{ type: 'addStandby', address }] });
  return { shards: [address], allowNonempty: false, fromStandby: true };
}

export function prepareDrain(): Promise<OperationRequest> {
  return Promise.resolve({ shardId: 1 });
}

/** A shard that was added without a move, a copy on a shard that does not own it, and a collection that one shard lacks. */
export async function prepareRepair(cluster: ClusterFixture): Promise<OperationRequest> {
  const shard = cluster.address(cluster.joiner);
  const change = { change: 'add', shard } as const;
  await cluster.cluster.executeUpdate(transitionUpdate, { args: [{ type: 'changeByHand', change, key: null }] });
  const plan = new PlacementPlan(placementSpec(await cluster.map()));
  for (const id of ['copy-1', 'copy-2', 'copy-3']) {
    const owner = plan.ownerOf(Buffer.from(id));
    for (const [index, donor] of cluster.donors.entries()) {
      if (index === owner || index === (owner + 1) % cluster.donors.length) donor.put('docs', pointJson(id, 1));
    }
  }
  return { collections: null, leftovers: [], prefer: [] };
}
