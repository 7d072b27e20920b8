/** One operation on a cluster of its own: in-process shards, a router, a real Temporal, faults, and what its end has to be. */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { cancelUpdate, operationStateQuery, pauseUpdate, resumeUpdate } from '../../src/contract/messages';
import type { OperationRequest } from '../../src/contract/requests';
import type { Phase } from '../../src/domain/progress';
import type { ShardMap } from '../../src/domain/shard-map';
import { isInternalCollection } from '../../src/domain/shard-identity';
import type { Script } from '../../src/workflows/operation/script';
import { ClusterFixture, FAST, refusalOf, type TemporalForTests } from './cluster-fixture';
import { SHARD_KEY, type InProcessShard } from './in-process-shard';
import { startRouter, type InProcessRouter } from './in-process-router';
import { RowFaults } from './row-faults';
import { waitFor } from './wait-for';

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
export const PATIENCE_MS = 150_000;
const KEY = 'a';
/** What a cluster holds, shard by shard, and how it stands. */
interface Snapshot {
  readonly map: Omit<ShardMap, 'version'>;
  readonly standbys: readonly string[];
  /** `<shard>/<collection>/<id>` to the point's JSON; a collection alone has an empty id. */
  readonly contents: ReadonlyMap<string, string>;
}

/** One cluster with its operation, and the fault in one row of it. */
export class Scene {
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

  pause(): Promise<string> {
    const request = { reason: 'a test', untilMs: null, by: 'tester' };
    return refusalOf(this.operation.executeUpdate(pauseUpdate, { args: [request] }));
  }

  async resume(): Promise<void> {
    await this.operation.executeUpdate(resumeUpdate);
  }

  /** False: there was no safe point left, and it ended. */
  async standsStill(): Promise<boolean> {
    const { status } = await waitFor(
      'it stands still, or ends',
      async () => {
        const progress = await this.progress();
        return progress.status !== 'running' || progress.pause?.holds === true ? progress : undefined;
      },
      PATIENCE_MS,
    );
    return status === 'running';
  }

  /** It never stands still between the flip and the routers that hold it. */
  async expectAdoptedFlip(): Promise<void> {
    const { progress, completed } = await this.operation.query(operationStateQuery);
    if (progress.pointOfNoReturnPassed) expect(completed).toContain('await-routers-after');
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
    // INV-7: nobody else could take a joiner that still bears the claim.
    if (this.kind === 'grow') expect(this.cluster.joiner.collections()).toEqual([]);
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
      // The identities of the members are no data. They stay when an operation is undone.
      if (isInternalCollection(collection)) continue;
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
