/** Clusters with the real workflows, whose operations do nothing, and stand still where a test holds them up. */
import { Client, type Connection } from '@temporalio/client';
import type { ApplicationFailure } from '@temporalio/common';
import { DefaultLogger, NativeConnection, Runtime, type Worker } from '@temporalio/worker';
import { pino } from 'pino';
import { createChangeCluster } from '../../src/activities/cluster/change-cluster';
import { asApiError, type ApiError, type ProblemCode } from '../../src/api/http/problem';
import { ClusterClient, type ClusterClientOptions } from '../../src/client/cluster-client';
import { ensureCluster, type EnsuredCluster } from '../../src/client/cluster/create-cluster';
import { ClientError } from '../../src/client/calls/errors';
import { ClusterTraces } from '../../src/client/cluster/survey';
import { Witness } from '../../src/client/cluster/witness';
import type { CoordinatorActivities } from '../../src/contract/activities';
import { operationWorkflowId } from '../../src/contract/ids';
import type { GrowInput } from '../../src/contract/messages';
import { seedState } from '../../src/domain/cluster-state';
import { DEFAULT_TIMINGS } from '../../src/domain/limits';
import type { OperationProgress } from '../../src/domain/progress';
import { startDevServer, type DevServer } from '../../src/temporal/dev-server/dev-server';
import { locateTemporalCli } from '../../src/temporal/dev-server/temporal-cli';
import { createWorker } from '../../src/temporal/worker';
import { connectTo } from './temporal';
import { waitFor } from './wait-for';

/** Where a test holds a grow up until it is released. */
export class Gate {
  private open: () => void = () => undefined;
  readonly passed = new Promise<void>((resolve) => {
    this.open = resolve;
  });
  release(): void {
    this.open();
  }
}

export interface Held {
  /** The version of the map that the router holds, 0 when it is left out. */
  routerVersion?: number;
  /** What preflight finds, an error to refuse with. */
  refusal?: ApplicationFailure;
  beforePrepare?: Gate;
  beforeAwaitRouters?: Gate;
}

function activitiesOf(held: Held, temporal: Client): CoordinatorActivities {
  // Only what these operations call is there.
  const asked: Partial<CoordinatorActivities> = {
    changeCluster: createChangeCluster({ client: temporal }),
    identifyShards: () => Promise.resolve({ epochs: {}, lateWritesUntilMs: 0 }),
    releaseShards: () => Promise.resolve({ lateWritesUntilMs: 0 }),
    preflightGrow: ({ joiners }) => {
      if (held.refusal !== undefined) return Promise.reject(held.refusal);
      return Promise.resolve({
        collections: [],
        collectionsBefore: joiners.map(() => []),
        nonemptyBefore: joiners.map(() => []),
      });
    },
    prepareCollections: async () => {
      await held.beforePrepare?.passed;
      return { collections: [], created: 0, lateWritesUntilMs: 0 };
    },
    awaitRouters: async () => {
      await held.beforeAwaitRouters?.passed;
      return { lagging: [] };
    },
    planScans: () => Promise.resolve({ plans: [] }),
    openWatch: () => Promise.resolve({ worker: null, openedAtMs: 0, mark: 'mark', notConnected: [] }),
    readWatch: () => Promise.resolve({ unbroken: true, readAtMs: 0 }),
    closeWatch: () => Promise.resolve(),
    endSession: () => Promise.resolve(),
    copyDonor: () => Promise.resolve({ ...KEPT, scan: SCAN, pointsCopied: 0, bytesCopied: 0, knowsAllWritten: true }),
    compareDonor: () => Promise.resolve({ ...KEPT, ...COMPARED }),
    followDonor: () => Promise.resolve({ ...KEPT, isTailKept: true, carried: 0 }),
    readForDrop: () => Promise.resolve({ ...KEPT, scan: SCAN, isTailKept: true }),
    dropFromDonor: () => Promise.resolve({ ...KEPT, ...DROPPED }),
    listCollections: () => Promise.resolve({ collections: [] }),
    removeOrphanCollections: () => Promise.resolve({ removed: 0, lateWritesUntilMs: 0 }),
    warmUp: () => Promise.resolve({ notReady: [] }),
    cleanJoiner: () => Promise.resolve({ collectionsDropped: 0, pointsDeleted: 0, lateWritesUntilMs: 0 }),
  };
  return asked as CoordinatorActivities;
}

const KEPT = { worker: null, lateWritesUntilMs: 0 };
const SCAN = {
  source: 'primary',
  sourceUrl: 'http://s0',
  sourceReason: '',
  stopMs: 0,
  rowsRead: 0,
  tookMs: 0,
} as const;
const COMPARED = {
  needsCut: false,
  scans: [],
  pointsCompared: 0,
  bytesCompared: 0,
  differences: 0,
  settledByThemselves: 0,
  upserted: 0,
  deleted: 0,
  mayHaveWritten: false,
  isTailKept: true,
};
const DROPPED = {
  needsRead: false,
  dropped: 0,
  droppedAsDeleted: 0,
  carried: 0,
  kept: 0,
  collectionsDropped: 0,
  isTailKept: true,
};

export const logger = pino({ level: 'silent' });
const SETTINGS = { routerUrls: ['http://r0'], timings: DEFAULT_TIMINGS, searchAttributes: false };

export const firstState = () => ({
  state: seedState([{ primary_url: 'http://s0', replica_urls: [] }]),
  source: 'a test',
});

interface HeldCluster {
  readonly cluster: string;
  readonly client: ClusterClient;
  readonly stopping: AbortController;
  readonly ensure: () => Promise<EnsuredCluster>;
}

/** On a Temporal of their own. */
export class HeldClusters {
  temporal!: Client;
  connection!: Connection;
  native!: NativeConnection;
  #server!: DevServer;
  #clusters = 0;
  readonly #running: { worker: Worker; run: Promise<void> }[] = [];

  async start(): Promise<void> {
    Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
    const cli = await locateTemporalCli({ report: (line) => process.stderr.write(`${line}\n`) });
    this.#server = await startDevServer({ cli, dbFile: null, port: 0, uiPort: null, namespace: 'default' });
    this.connection = await connectTo(this.#server.address);
    this.native = await NativeConnection.connect({ address: this.#server.address });
    this.temporal = new Client({ connection: this.connection });
  }

  async stop(): Promise<void> {
    await this.connection.close();
    await this.native.close();
    await this.#server.stop();
  }

  /** A name of its own per cluster: nothing that one test leaves behind is seen by another. */
  newName(): string {
    return `held-${++this.#clusters}`;
  }

  async begin(held: Held = {}, options: { worker?: boolean } = {}): Promise<HeldCluster> {
    const cluster = this.newName();
    const { connection } = this;
    const stopping = new AbortController();
    const witness = new Witness({ connection, namespace: 'default', cluster, file: null, stopping: stopping.signal });
    const map = { version: held.routerVersion ?? 0, shards: [], joining: [], leaving: [] };
    const traces = new ClusterTraces({
      namespace: 'default',
      cluster,
      witness,
      routerUrls: ['http://r0'],
      askRouter: () => Promise.resolve({ version: map.version, map }),
      logger,
    });
    const client = this.clientOf(cluster, {
      stopping: stopping.signal,
      traces,
      timeouts: { queryMs: 5_000, startAnswerMs: 15_000 },
    });
    const ensure = () => ensureCluster({ connection, namespace: 'default', cluster, firstState, traces, logger });
    await ensure();
    if (options.worker !== false) await this.startWorker(cluster, held);
    return { cluster, client, stopping, ensure };
  }

  clientOf(cluster: string, options: Partial<ClusterClientOptions> = {}): ClusterClient {
    const { connection } = this;
    return new ClusterClient({ connection, namespace: 'default', cluster, recoverWith: SETTINGS, logger, ...options });
  }

  async startWorker(cluster: string, held: Held): Promise<void> {
    const { native: connection, temporal } = this;
    const activities = activitiesOf(held, temporal);
    this.run(await createWorker({ connection, namespace: 'default', cluster, activities }));
  }

  /** Until the end of the test. */
  run(worker: Worker): void {
    this.#running.push({ worker, run: worker.run() });
  }

  async stopWorkers(): Promise<void> {
    for (const { worker, run } of this.#running.splice(0)) {
      worker.shutdown();
      await run;
    }
  }

  /** What Temporal does with an ended workflow after its retention. */
  async forget(client: ClusterClient, cluster: string, key: string): Promise<void> {
    const workflowId = operationWorkflowId(cluster, 'grow', key);
    await this.temporal.workflow
      .getHandle(workflowId)
      .result()
      .catch(() => undefined);
    await this.connection.workflowService.deleteWorkflowExecution({
      namespace: 'default',
      workflowExecution: { workflowId },
    });
    await waitFor(
      'its workflow is gone',
      async () => {
        const gone: unknown = await client.describeOperation(`grow-${key}`).catch((error: unknown) => error);
        return gone instanceof ClientError && gone.code === 'UnknownOperation';
      },
      90_000,
    );
  }
}

/** To be called at the top of a file. */
export function heldClusters(): HeldClusters {
  const clusters = new HeldClusters();
  beforeAll(() => clusters.start());
  afterAll(() => clusters.stop());
  afterEach(() => clusters.stopWorkers());
  return clusters;
}

export function growInput(cluster: string, key: string, url = 'http://s1'): GrowInput {
  return {
    cluster,
    key,
    request: { shards: [{ primary_url: url, replica_urls: [] }], allowNonempty: false },
    routerUrls: ['http://r0'],
    timings: { ...DEFAULT_TIMINGS, graceMs: 0, settleMs: 0, inFlightMs: 0, warmUpMs: 0 },
    searchAttributes: false,
  };
}

/** The call fails, and the API answers that with `code`. */
export async function expectCode(call: Promise<unknown>, code: ProblemCode): Promise<ApiError> {
  const thrown: unknown = await call.then(
    (value) => {
      throw new Error(`expected ${code}, got ${JSON.stringify(value)}`);
    },
    (reason: unknown) => reason,
  );
  const error = asApiError(thrown);
  expect(error?.code).toBe(code);
  return error!;
}

export const untilEnded = (client: ClusterClient, key: string): Promise<OperationProgress> =>
  waitFor(`operation ${key} has ended`, async () => {
    const progress = await client.queryProgress(`grow-${key}`);
    return progress.endedAtMs !== null && progress;
  });

export const inPhase = (key: string, client: ClusterClient, phase: string): Promise<OperationProgress> =>
  waitFor(`operation ${key} is in phase ${phase}`, async () => {
    const progress = await client.queryProgress(`grow-${key}`);
    return progress.phase === phase && progress;
  });
