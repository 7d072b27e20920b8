/**
 * A cluster for workflow tests: a real Temporal dev server, a real worker with the real activities in this process, and shards in
 * this process that can be made to fail. One Temporal server and one workflow bundle serve a whole test file.
 */
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApplicationFailure, IllegalStateError } from '@temporalio/common';
import {
  Client,
  type Connection,
  WithStartWorkflowOperation,
  WorkflowUpdateFailedError,
  type WorkflowHandle,
} from '@temporalio/client';
import {
  bundleWorkflowCode,
  DefaultLogger,
  NativeConnection,
  Runtime,
  Worker,
  type WorkflowBundleOption,
} from '@temporalio/worker';
import pino from 'pino';
import { createActivities } from '../../src/activities';
import type { Clock } from '../../src/activities/frame/attempt';
import { InlineEngine } from '../../src/rows/thread/engine';
import { seedState, type ClusterState, type OperationKind } from '../../src/domain/cluster-state';
import { DEFAULT_TIMINGS, type Timings } from '../../src/domain/limits';
import { PlacementPlan } from '../../src/domain/placement-plan';
import type { OperationProgress, Phase } from '../../src/domain/progress';
import { placementSpec, type ShardMap } from '../../src/domain/shard-map';
import { recoverAbandonedLock } from '../../src/client/operations/abandoned-lock';
import type { LockLook } from '../../src/contract/evaluation-activities';
import { operationStartOptions } from '../../src/client/operations/start-operation';
import {
  ANNOUNCED_UPDATE_ID,
  announcedUpdate,
  mapQuery,
  progressQuery,
  stateQuery,
  type DrainInput,
  type GrowInput,
  type OperationInput,
} from '../../src/contract/messages';
import type { AnnouncedAnswer, OperationRequest } from '../../src/contract/requests';
import {
  CLUSTER_WORKFLOW,
  clusterWorkflowId,
  operationWorkflowId,
  taskQueue,
  workerTaskQueue,
} from '../../src/contract/ids';
import { SHARD_KEY, startShard, type InProcessShard } from './in-process-shard';
import { connectTo, sharedTemporal, sharedWorkflowBundle, type TemporalTarget } from './temporal';
import { attemptSpans } from '../../src/temporal/attempt-span';
import { createOwnWorker, versionedAs } from '../../src/temporal/worker';
import type { Tracer } from '../../src/tracing/tracer';
import { workflowSources } from '../../src/temporal/workflow-sources';
import { waitFor } from './wait-for';

/** Everything short, so that a test waits for facts and not for patience. */
export const FAST: Timings = {
  ...DEFAULT_TIMINGS,
  graceMs: 0,
  inFlightMs: 0,
  settleMs: 30,
  warmUpMs: 2_000,
  patienceMs: 60_000,
  attemptMs: 4_000,
  heartbeatMs: 2_000,
  retryFirstMs: 100,
  retryMaxMs: 500,
};

export interface TemporalForTests {
  readonly connection: Connection;
  readonly native: NativeConnection;
  readonly client: Client;
  readonly bundle: WorkflowBundleOption;
  stop(): Promise<void>;
}

/** Connections to a Temporal server, by default the one that all test files share, and the workflows, bundled once per file. */
export async function startTemporal(target: TemporalTarget | null = null): Promise<TemporalForTests> {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const { address } = target ?? (await sharedTemporal());
  const connection = await connectTo(address);
  const native = await NativeConnection.connect({ address });
  const bundle = target === null ? await sharedWorkflowBundle() : await ownBundle();
  return {
    connection,
    native,
    client: new Client({ connection }),
    bundle,
    stop: async () => {
      await connection.close();
      await native.close();
    },
  };
}

/** Outside of jest there is no run to share one with. */
function ownBundle(): Promise<WorkflowBundleOption> {
  return bundleWorkflowCode({
    ...workflowSources(join(__dirname, '../../src'), '.ts'),
    logger: new DefaultLogger('ERROR'),
  });
}

type Activities = ReturnType<typeof createActivities>;

export interface FixtureOptions {
  readonly points: number;
  /** How many shards the cluster begins with. */
  readonly shards?: number;
  /** Stands between a worker and its activities. */
  readonly wrap?: (activities: Activities) => Activities;
  /** Each shard that the cluster begins with has a Raft follower. */
  readonly followers?: boolean;
  /** Of the worker. */
  readonly clock?: Clock;
  /** Records what the worker does. */
  readonly tracer?: Tracer;
}

export class ClusterFixture {
  readonly name: string;
  readonly donors: InProcessShard[] = [];
  readonly followers = new Map<InProcessShard, InProcessShard>();
  joiner!: InProcessShard;
  /** What the activities of its workers log. */
  readonly logged: string[] = [];
  private readonly temporal: TemporalForTests;
  private worker: Worker | null = null;
  private running: Promise<void> | null = null;
  private engine: InlineEngine | null = null;

  private readonly wrap: (activities: Activities) => Activities;

  private readonly clock: { readonly clock?: Clock };
  private readonly tracer: Tracer | null;

  constructor(
    temporal: TemporalForTests,
    label: string,
    options: Pick<FixtureOptions, 'wrap' | 'clock' | 'tracer'> = {},
  ) {
    const { wrap = (activities) => activities, clock, tracer = null } = options;
    this.temporal = temporal;
    this.clock = clock === undefined ? {} : { clock };
    this.tracer = tracer;
    // The server is shared, so a name must be nobody else's.
    this.name = `${label}-${randomUUID().slice(0, 8)}`;
    this.wrap = wrap;
  }

  /** Two donors (or more) holding points of the collection `docs` where they belong, an empty joiner, a worker. */
  static async start(temporal: TemporalForTests, label: string, options: FixtureOptions): Promise<ClusterFixture> {
    const { points, shards = 2 } = options;
    const fixture = new ClusterFixture(temporal, label, options);
    for (let n = 0; n < shards; n++) fixture.donors.push(await startShard());
    if (options.followers === true) {
      for (const leader of fixture.donors) fixture.followers.set(leader, await startShard({ leader }));
    }
    fixture.joiner = await startShard();
    fixture.fill('docs', points);
    await temporal.client.workflow.start(CLUSTER_WORKFLOW, {
      workflowId: clusterWorkflowId(fixture.name),
      taskQueue: taskQueue(fixture.name),
      args: [{ cluster: fixture.name, state: seedState(fixture.donors.map((shard) => fixture.address(shard))) }],
    });
    await fixture.startWorker();
    return fixture;
  }

  async startWorker(): Promise<void> {
    const { worker, running, engine } = await this.runWorker(null);
    this.worker = worker;
    this.running = running;
    this.engine = engine;
  }

  /** One more worker, as a version of the cluster's deployment. Returns what stops it. */
  async startBuild(buildId: string): Promise<() => Promise<void>> {
    const ownTaskQueue = workerTaskQueue(this.name, randomUUID());
    const { worker, running, engine, activities } = await this.runWorker(buildId, ownTaskQueue);
    const connection = this.temporal.native;
    const own = await createOwnWorker(
      { connection, namespace: 'default', cluster: this.name, activities },
      ownTaskQueue,
    );
    const ownRunning = own.run();
    return async () => {
      for (const each of [worker, own]) each.shutdown();
      await Promise.all([running, ownRunning]);
      await engine.close();
    };
  }

  private async runWorker(buildId: string | null, ownTaskQueue?: string) {
    const { native, client, bundle } = this.temporal;
    const spoolFolder = join(tmpdir(), 'coordinator-tests-spool');
    const engine = new InlineEngine({ key: SHARD_KEY, grpcPortOffset: 1, spoolFolder });
    const logger = pino({ level: 'trace' }, { write: (line: string) => void this.logged.push(line) });
    const own = ownTaskQueue === undefined ? {} : { ownTaskQueue };
    const parts = { shardKey: SHARD_KEY, client, logger, engine, ...own };
    const activities = this.wrap(createActivities({ ...parts, ...this.clock }));
    const worker = await Worker.create({
      connection: native,
      taskQueue: taskQueue(this.name),
      workflowBundle: bundle,
      activities,
      stickyQueueScheduleToStartTimeout: '1s',
      shutdownForceTime: '2s',
      ...(this.tracer === null ? {} : { interceptors: { activity: [attemptSpans(this.tracer)] } }),
      ...(buildId === null ? {} : versionedAs(this.name, buildId)),
    });
    return { worker, running: worker.run(), engine, activities };
  }

  async stopWorker(): Promise<void> {
    const { worker, running } = this;
    this.worker = null;
    if (worker?.getState() === 'RUNNING') worker.shutdown();
    await this.closeEngine(running);
    try {
      await running;
    } catch (error) {
      // The SDK's own bookkeeping, seen on a busy machine when activities are cut off: the worker is gone all the same.
      if (!(error instanceof IllegalStateError)) throw error;
    }
  }

  /** What a worker leaves that is killed: no task is answered, and what its activities do goes on for a moment. */
  async killWorker(): Promise<void> {
    const { worker, running } = this;
    this.worker = null;
    if (worker?.getState() === 'RUNNING') worker.shutdown();
    await running?.catch(() => undefined);
    await this.closeEngine(null);
  }

  /** What a worker keeps goes with it. */
  private async closeEngine(running: Promise<void> | null): Promise<void> {
    await running?.catch(() => undefined);
    await this.engine?.close();
    this.engine = null;
  }

  async stop(): Promise<void> {
    await this.stopWorker();
    for (const shard of [...this.followers.values(), ...this.donors, this.joiner]) await shard.stop();
  }

  address(shard: InProcessShard): { primary_url: string; replica_urls: string[] } {
    const follower = this.followers.get(shard);
    return { primary_url: shard.url, replica_urls: follower === undefined ? [] : [follower.url] };
  }

  /** Creates a collection on the donors and puts points where they belong. */
  fill(collection: string, points: number, prefix = 'p'): void {
    const plan = new PlacementPlan({ shards: this.donors.map((_, id) => id), joining: [], leaving: [] });
    const byDonor: string[][] = this.donors.map(() => []);
    for (let n = 0; n < points; n++) {
      const id = `${prefix}${n}`;
      byDonor[plan.ownerOf(Buffer.from(id))]?.push(pointJson(id, n));
    }
    for (const [index, donor] of this.donors.entries()) {
      donor.create({ name: collection, dim: 4, metric: 'l2', index: 'hnsw' });
      donor.put(collection, ...(byDonor[index] ?? []));
    }
  }

  input(key: string, change: Partial<GrowInput> = {}): GrowInput {
    return {
      cluster: this.name,
      key,
      request: { shards: [this.address(this.joiner)], allowNonempty: false },
      routerUrls: [],
      timings: FAST,
      searchAttributes: false,
      ...change,
    };
  }

  /** Starts a grow as the API does; answers when it is announced, throws when it is refused. */
  announce(key: string, change: Partial<GrowInput> = {}): Promise<AnnouncedAnswer> {
    return this.begin('grow', this.input(key, change));
  }

  announceDrain(key: string, shardId: number, change: Partial<DrainInput> = {}): Promise<AnnouncedAnswer> {
    return this.begin('drain', { ...this.input(key), request: { shardId }, ...change });
  }

  /** Starts an operation of any kind as the API does. */
  begin(kind: OperationKind, input: OperationInput<OperationRequest>): Promise<AnnouncedAnswer> {
    return this.temporal.client.workflow.executeUpdateWithStart(announcedUpdate, {
      updateId: ANNOUNCED_UPDATE_ID,
      startWorkflowOperation: new WithStartWorkflowOperation(kind, operationStartOptions(kind, input)),
    });
  }

  /** Has the lock looked at as every request of the API does. */
  lookAfterLock(): Promise<LockLook> {
    const { routerUrls, timings, searchAttributes } = this.input('');
    return recoverAbandonedLock({
      workflows: this.temporal.client.workflow,
      records: this.temporal.client.workflow,
      cluster: this.name,
      settings: { routerUrls, timings, searchAttributes },
      logger: pino({ level: 'silent' }),
    });
  }

  operation(key: string, kind: OperationKind = 'grow'): WorkflowHandle {
    return this.temporal.client.workflow.getHandle(operationWorkflowId(this.name, kind, key));
  }

  get cluster(): WorkflowHandle {
    return this.temporal.client.workflow.getHandle(clusterWorkflowId(this.name));
  }

  map(): Promise<ShardMap> {
    return this.cluster.query(mapQuery);
  }

  state(): Promise<ClusterState> {
    return this.cluster.query(stateQuery);
  }

  progress(key: string, kind: OperationKind = 'grow'): Promise<OperationProgress> {
    return this.operation(key, kind).query(progressQuery);
  }

  async inPhase(key: string, phase: Phase, kind: OperationKind = 'grow'): Promise<void> {
    await waitFor(`${key} in phase ${phase}`, async () => (await this.progress(key, kind)).phase === phase);
  }

  /** Every point lies on its owner under the present map, and nowhere else. Returns what breaks that, empty when nothing does. */
  async misplaced(collection: string): Promise<string[]> {
    const map = await this.map();
    const plan = new PlacementPlan(placementSpec(map));
    return [...this.donors, this.joiner].flatMap((shard) => {
      const id = map.shards.find((each) => each.primary_url === shard.url)?.id ?? -1;
      const strangers = shard.ids(collection).filter((point) => plan.ownerOf(Buffer.from(point)) !== id);
      return strangers.map((point) => `${point} on shard ${id}`);
    });
  }

  /** Ids of a collection over all shards, sorted. */
  allIds(collection: string): string[] {
    return [...this.donors, this.joiner].flatMap((shard) => [...shard.ids(collection)]).sort();
  }
}

/** Numbers in it that a detour over JavaScript's would change. */
export function pointJson(id: string, version: number): string {
  return `{"id":${JSON.stringify(id)},"vector":[${version}.5,1.0,0.1,-0.25],"payload":{"v":${version},"big":9007199254740993,"one":1.0}}`;
}

/** The type of the refusal that a start or a message is answered with. */
export async function refusalOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof WorkflowUpdateFailedError && error.cause instanceof ApplicationFailure)
      return error.cause.type ?? '';
    throw error;
  }
  return 'not refused';
}
