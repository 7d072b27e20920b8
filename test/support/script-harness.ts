/**
 * Runs a script once per row and fault, on in-process shards, a router and a real Temporal, and says what the end has to be:
 *
 * - fail it for good, or lose its answer for good: before the flip the undo leaves everything as it was; after it the operation waits
 *   with a reason, and goes on when the fault ends;
 * - run it twice (its first answers are lost), kill the worker in it: the same end as without;
 * - cancel it: undone before the flip, refused after it;
 * - terminate it: the recovery ends as the operation itself would have;
 * - the same for the undo: run twice, without its worker, and terminated.
 *
 * A fault strikes the activity for which the row is there. A run without faults tells which one.
 */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ApplicationFailure } from '@temporalio/common';
import { cancelUpdate, transitionUpdate } from '../../src/contract/messages';
import type { OperationRequest } from '../../src/contract/requests';
import { PlacementPlan } from '../../src/domain/placement-plan';
import type { Phase } from '../../src/domain/progress';
import { placementSpec, type ShardMap } from '../../src/domain/shard-map';
import { isProbe } from '../../src/shards/http/probe-name';
import { rowsUntilFlip, type Row, type Script } from '../../src/workflows/operation/script';
import { ClusterFixture, FAST, pointJson, refusalOf, type TemporalForTests } from './cluster-fixture';
import { SHARD_KEY, type InProcessShard } from './in-process-shard';
import { startRouter, type InProcessRouter } from './in-process-router';
import { RowFaults, type CallFault } from './row-faults';
import { waitFor } from './wait-for';

const ROW_FAULTS = [
  'fails for good',
  'loses its answer for good',
  'runs twice',
  'loses its worker',
  'is cancelled',
  'is terminated',
] as const;
/** Of the last row before the flip, so that there is most to undo. */
const UNDO_FAULTS = [
  'has an undo that runs twice',
  'has an undo without its worker',
  'has an undo that is terminated',
] as const;
export type RowFaultName = (typeof ROW_FAULTS)[number] | (typeof UNDO_FAULTS)[number];

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
/** A row comes late on a busy machine: several clusters run side by side. */
const PATIENCE_MS = 60_000;
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
  private learned: Promise<ReadonlyMap<Phase, string[]>> | null = null;

  constructor(temporal: TemporalForTests, test: ScriptUnderTest) {
    this.temporal = temporal;
    this.test = test;
  }

  /** Every row with every fault, and the faults of the undo where there is one. */
  static cases({ kind, script }: ScriptUnderTest): { row: Phase; fault: RowFaultName }[] {
    const ofRows = script.flatMap(({ phase }) => ROW_FAULTS.map((fault) => ({ row: phase, fault })));
    const last = rowsUntilFlip(script).at(-2);
    if (!movesPoints(kind) || last === undefined) return ofRows;
    return [...ofRows, ...UNDO_FAULTS.map((fault) => ({ row: last.phase, fault }))];
  }

  async run(phase: Phase, fault: RowFaultName): Promise<void> {
    const { kind, script } = this.test;
    const row = script.find((each) => each.phase === phase);
    if (row === undefined) throw new Error(`${kind} has no row ${phase}`);
    const activity = workOf((await (this.learned ??= this.learn())).get(phase) ?? []);
    if (activity === undefined)
      throw new Error(`the row ${phase} of ${kind} calls no activity, so no fault can strike it`);
    const isBeforeFlip = movesPoints(kind) && rowsUntilFlip(script).includes(row) && row.isFlip !== true;
    await this.inScene(phase, (scene) =>
      PLAYS[fault]({ scene, row, activity, isBeforeFlip, movesPoints: movesPoints(kind) }),
    );
  }

  /** Which activities each row calls: a run without a fault tells. */
  private async learn(): Promise<ReadonlyMap<Phase, string[]>> {
    let called: ReadonlyMap<Phase, string[]> = new Map();
    await this.inScene('plain', async (scene) => {
      await scene.begin();
      await scene.expectDone();
      called = scene.faults.called;
    });
    return called;
  }

  private async inScene(label: string, play: (scene: Scene) => Promise<void>): Promise<void> {
    const scene = await Scene.open(this.temporal, this.test, label);
    try {
      await play(scene);
    } finally {
      await scene.close();
    }
  }
}

/** A row asks the cluster workflow before its work or after it; only where that is all, it is the work. */
function workOf(names: readonly string[]): string | undefined {
  return names.findLast((name) => name !== 'changeCluster') ?? names.at(-1);
}

function movesPoints(kind: ScriptUnderTest['kind']): boolean {
  return kind === 'grow' || kind === 'drain';
}

interface Play {
  readonly scene: Scene;
  readonly row: Row<never>;
  /** The activity of the row that is struck. */
  readonly activity: string;
  readonly isBeforeFlip: boolean;
  readonly movesPoints: boolean;
}

const PLAYS: Record<RowFaultName, (play: Play) => Promise<void>> = {
  'fails for good': (play) => failForGood(play, { before: () => Promise.reject(injected({ nonRetryable: true })) }),
  'loses its answer for good': (play) =>
    failForGood(play, { after: () => Promise.reject(injected({ nonRetryable: true })) }),
  'runs twice': async ({ scene, row }) => {
    const seen = new Set<string>();
    scene.faults.strike(row.phase, { after: (name) => loseFirstAnswer(name, seen) });
    await scene.begin();
    await scene.expectDone();
    expect(seen.size).toBeGreaterThan(0);
  },
  'loses its worker': async ({ scene, row, activity }) => {
    await scene.begin(() => scene.holdCall(row.phase, (name) => name === activity));
    await scene.replaceWorker(row.phase);
    await scene.expectDone();
  },
  'is cancelled': async ({ scene, row, activity, isBeforeFlip, movesPoints: moves }) => {
    let answer: Promise<string> | null = null;
    scene.faults.strike(row.phase, {
      isStruck: (name) => name === activity,
      before: async () => {
        await (answer ??= scene.cancel());
      },
    });
    await scene.begin();
    await scene.reached(row.phase);
    scene.faults.clear();
    if (isBeforeFlip) return scene.expectUndone(['cancelled']);
    if (!moves) return scene.expectGivenUp(['cancelled']);
    expect(await waitFor('the answer to the cancel', async () => answer)).toBe('PointOfNoReturnPassed');
    return scene.expectDone();
  },
  'is terminated': async ({ scene, row, activity, isBeforeFlip, movesPoints: moves }) => {
    await scene.begin(() => scene.terminateAt(row.phase, (name) => name === activity));
    await scene.recoverFrom(row.phase);
    if (isBeforeFlip) return scene.expectAsBefore();
    if (!moves) return scene.expectNothingLost();
    return scene.expectInPlace();
  },
  'has an undo that runs twice': async ({ scene, row }) => {
    const seen = new Set<string>();
    failRow(scene, row);
    scene.faults.strike('undo', { after: (name) => loseFirstAnswer(name, seen) });
    await scene.begin();
    await scene.expectUndone(['failed']);
    expect(seen.size).toBeGreaterThan(1);
  },
  'has an undo without its worker': async ({ scene, row }) => {
    failRow(scene, row);
    await scene.begin(() => scene.holdCall('undo', cleansShards));
    await scene.replaceWorker('undo');
    await scene.expectUndone(['failed']);
  },
  'has an undo that is terminated': async ({ scene, row }) => {
    failRow(scene, row);
    await scene.begin(() => scene.terminateAt('undo', cleansShards));
    await scene.recoverFrom('undo');
    await scene.expectAsBefore();
  },
};

async function failForGood(
  { scene, row, activity, isBeforeFlip, movesPoints: moves }: Play,
  fault: CallFault,
): Promise<void> {
  scene.faults.strike(row.phase, { isStruck: (name) => name === activity, ...fault });
  await scene.begin();
  if (row.optional !== undefined) {
    await scene.expectDone();
    const { phases } = await scene.progress();
    expect(phases.find((each) => each.phase === row.phase)?.note).toContain(INJECTED);
    return;
  }
  if (isBeforeFlip) return scene.expectUndone(['failed', 'refused']);
  if (!moves) return scene.expectGivenUp(['failed', 'refused']);
  await waitFor(
    `waiting that names ${INJECTED}`,
    async () => {
      const { waiting } = await scene.progress();
      return waiting?.reason.includes(INJECTED) === true;
    },
    PATIENCE_MS,
  );
  scene.faults.clear();
  return scene.expectDone();
}

/** Once, or a pass that may have written would never be clean. */
async function loseFirstAnswer(name: string, seen: Set<string>): Promise<void> {
  if (seen.has(name)) return;
  seen.add(name);
  throw injected({ nonRetryable: false });
}

function failRow(scene: Scene, row: Row<never>): void {
  scene.faults.strike(row.phase, { before: () => Promise.reject(injected({ nonRetryable: true })) });
}

/** Of an undo: what comes after the change is out of the map and the routers know it. */
function cleansShards(name: string): boolean {
  return name === 'cleanJoiner' || name === 'dropSegment';
}

function injected({ nonRetryable }: { nonRetryable: boolean }): ApplicationFailure {
  return ApplicationFailure.create({ message: INJECTED, type: 'NeedsOperator', nonRetryable });
}

/** One cluster with its operation, and the fault in one row of it. */
class Scene {
  readonly cluster: ClusterFixture;
  readonly faults: RowFaults;
  private readonly kind: ScriptUnderTest['kind'];
  private readonly coordinator: Coordinator;
  private readonly router: InProcessRouter;
  private readonly request: OperationRequest;
  private readonly before: Snapshot;

  private constructor(parts: {
    cluster: ClusterFixture;
    faults: RowFaults;
    kind: ScriptUnderTest['kind'];
    coordinator: Coordinator;
    router: InProcessRouter;
    request: OperationRequest;
    before: Snapshot;
  }) {
    this.cluster = parts.cluster;
    this.faults = parts.faults;
    this.kind = parts.kind;
    this.coordinator = parts.coordinator;
    this.router = parts.router;
    this.request = parts.request;
    this.before = parts.before;
  }

  static async open(temporal: TemporalForTests, test: ScriptUnderTest, name: string): Promise<Scene> {
    const { kind } = test;
    const faults = new RowFaults(temporal.client, kind);
    const label = `${kind}-${name}`;
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
    return new Scene({ cluster, faults, kind, coordinator, router, request, before });
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

  /** Starts the operation, with the fault that `arm` puts in. Nobody looks at the answer of its caller: some faults come before it. */
  async begin(arm: () => void = () => undefined): Promise<void> {
    arm();
    const input = this.cluster.input(KEY, { timings: TIMINGS, routerUrls: [this.router.url] });
    const begun = this.cluster.begin(this.kind, { ...input, request: this.request });
    begun.catch(() => undefined);
    await waitFor('the operation runs', () => this.operation.describe());
  }

  async reached(phase: Phase): Promise<void> {
    await waitFor(`the fault strikes in ${phase}`, async () => this.faults.isReached(phase), PATIENCE_MS);
  }

  /** The struck calls never answer, as those of a worker that is gone. */
  holdCall(phase: Phase, isStruck: (name: string) => boolean): void {
    this.faults.strike(phase, { isStruck, before: () => new Promise(() => undefined) });
  }

  async replaceWorker(phase: Phase): Promise<void> {
    await this.reached(phase);
    this.faults.clear();
    await this.cluster.killWorker();
    await this.cluster.startWorker();
  }

  /** The attempt goes on when its operation is dead, as a late one does. */
  terminateAt(phase: Phase, isStruck: (name: string) => boolean): void {
    let terminated: Promise<unknown> | null = null;
    this.faults.strike(phase, {
      isStruck,
      before: async () => {
        await (terminated ??= this.operation.terminate('by a test'));
      },
    });
  }

  cancel(): Promise<string> {
    return refusalOf(this.operation.executeUpdate(cancelUpdate, { args: [{ reason: 'a test' }] }));
  }

  /** Looks after the lock as every request does, until it is free. */
  async recoverFrom(phase: Phase): Promise<void> {
    await this.reached(phase);
    await waitFor('the end', async () => (await this.operation.describe()).status.name === 'TERMINATED', PATIENCE_MS);
    if (this.kind === 'check') return;
    // In the preflight the late attempt may still take the lock. It is not looked at before that is over.
    if (phase === 'preflight') await this.faults.settled(phase);
    await waitFor(
      'the lock is free',
      async () => {
        const look = await this.cluster.lookAfterLock();
        if (look.kind === 'recovering') await this.recoveryOf(look.recovery).result();
        return look.kind === 'free';
      },
      PATIENCE_MS,
    );
    await this.faults.settled(phase);
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
      const ids = shard.ids(collection);
      // A probe that a late attempt left behind is ignored by everybody, and removed by the next operation.
      if (isProbe({ name: collection, count: ids.length })) continue;
      contents.set(`${index}/${collection}/`, '');
      for (const id of ids) contents.set(`${index}/${collection}/${id}`, shard.get(collection, id) ?? '');
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
