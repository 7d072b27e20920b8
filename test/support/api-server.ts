/** The listening app on hand-written dependencies, and a client for it. */
import type { Marks } from '../../src/api/deps';
import { DomainError } from '../../src/domain/errors';
import type { SeenIdentity } from '../../src/domain/shard-identity';
import { defaultGrpcUrl } from '../../src/domain/shard-map';
import { Reach } from '../../src/shards/reach/reach';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { createApi } from '../../src/api/app';
import type { EventHubOptions } from '../../src/api/events/hub';
import { createEventHub } from '../../src/api/events/sources';
import type { ApiDeps } from '../../src/api/deps';
import { Authenticator } from '../../src/api/http/auth';
import type { RestoreCluster } from '../../src/client/cluster/restore-cluster';
import { LockWatch } from '../../src/api/lock-watch';
import { MapPollers } from '../../src/api/map/pollers';
import { RouterList } from '../../src/api/router-list';
import type { AskRouter } from '../../src/client/cluster/survey';
import { RouterResolver } from '../../src/shards/reach/router-resolver';
import { MapReader } from '../../src/api/map/reader';
import { ClusterLook } from '../../src/api/metrics/cluster-look';
import { ApiMetricsPage } from '../../src/api/metrics/page';
import type { SeenRouter } from '../../src/api/metrics/facts';
import { unknownOperation } from '../../src/client/calls/calls';
import type { Diagnosis } from '../../src/client/diagnosis-client';
import { SecretSeal } from '../../src/client/hook-secrets';
import { replaceHooks, type Hook, type NewHook } from '../../src/domain/hooks';
import { keyDigest } from '../../src/config';
import { faultOfAnswer } from './documented';
import { seedState, type ClusterState, type OperationKind } from '../../src/domain/cluster-state';
import { DEFAULT_TIMINGS } from '../../src/domain/limits';
import type { EvaluationResult, OperationInput } from '../../src/contract/messages';
import type { OperationRequest } from '../../src/contract/requests';
import type { LockLook } from '../../src/contract/evaluation-activities';
import type { ClusterTransition } from '../../src/contract/cluster';
import { problemSchema } from '../../src/wire/problem';

type ApiClient = ApiDeps['client'];
type ApiAutoscale = ApiDeps['autoscale'];

export const KEYS = { read: 'key-of-read', write: 'key-of-write', admin: 'key-of-admin' } as const;

export const STATE: ClusterState = seedState([
  { primary_url: 'http://s0:6333', replica_urls: [] },
  { primary_url: 'http://s1:6333', replica_urls: [] },
]);

/** Answers from STATE, and remembers what it was asked. */
export class FakeClusterClient implements ApiClient {
  state: ClusterState = STATE;
  mapQueries = 0;
  /** When set, what every question about the cluster fails with. */
  trouble: Error | null = null;
  readonly transitions: ClusterTransition[] = [];
  readonly started: { kind: OperationKind; input: OperationInput<OperationRequest> }[] = [];

  queryMap: ApiClient['queryMap'] = async () => {
    this.mapQueries += 1;
    return (await this.queryState()).map;
  };
  queryState: ApiClient['queryState'] = () =>
    this.trouble === null ? Promise.resolve(this.state) : Promise.reject(this.trouble);
  queryRouters: ApiClient['queryRouters'] = async () => (await this.queryState()).routers?.entries ?? null;
  applyTransition: ApiClient['applyTransition'] = (transition) => {
    this.transitions.push(transition);
    const { map, lock, identity, epoch } = this.state;
    return Promise.resolve({ map, lock, identity, epoch });
  };
  startOperation: ApiClient['startOperation'] = (kind, input) => {
    this.started.push({ kind, input });
    return Promise.resolve({ map: this.state.map, shardIds: [2], request: input.request });
  };
  queryProgress: ApiClient['queryProgress'] = noOperation;
  describeOperation: ApiClient['describeOperation'] = noOperation;
  clusterFailingTask: ApiClient['clusterFailingTask'] = () => Promise.resolve(null);
  cancelOperation: ApiClient['cancelOperation'] = noOperation;
  adjustOperation: ApiClient['adjustOperation'] = noOperation;
}

/** Shards by address: those with no entry answer, and show nothing. */
export class FakeMarks implements Marks {
  readonly seen = new Map<string, SeenIdentity>();
  readonly down = new Set<string>();

  look: Marks['look'] = ({ primary_url }) => {
    if (this.down.has(primary_url)) return Promise.resolve({ kind: 'unknown', reason: 'no answer' });
    return Promise.resolve({ kind: 'seen', seen: this.seen.get(primary_url) ?? null });
  };
  claim: Marks['claim'] = ({ primary_url }, identity) => {
    this.seen.set(primary_url, { identity, epoch: null });
    return Promise.resolve();
  };
  requireReplica: Marks['requireReplica'] = (url, { clusterUid, shardId }) => {
    const identity = this.seen.get(url)?.identity;
    if (this.down.has(url)) return Promise.reject(new DomainError('DonorUnreachable', `${url} does not answer`));
    // One without an entry follows its primary.
    if (identity === undefined) return Promise.resolve();
    if (identity.clusterUid === clusterUid && identity.shardId === shardId) return Promise.resolve();
    return Promise.reject(new DomainError('WrongShard', `${url} is not shard ${shardId}`));
  };
  remove: Marks['remove'] = ({ primary_url }) => {
    if (this.down.has(primary_url)) return Promise.resolve('no answer');
    this.seen.delete(primary_url);
    return Promise.resolve(null);
  };
  rows: Marks['rows'] = ({ primary_url }) => Promise.resolve(this.down.has(primary_url) ? null : 3);
  grpcUrl: Marks['grpcUrl'] = ({ primary_url, grpc_url }) => grpc_url ?? defaultGrpcUrl(primary_url, 1);
}

/** Answers from the state of the cluster's client, and remembers what it was asked. */
export class FakeAutoscaleClient implements ApiAutoscale {
  readonly asked: string[] = [];
  schedule: Awaited<ReturnType<ApiAutoscale['syncSchedule']>> = { nextEvaluationAtMs: null, problem: null };
  evaluation: EvaluationResult = {
    atMs: 0,
    reason: 'below_mark',
    message: 'calm',
    pointsMax: 1,
    unreadable: [],
    operationId: null,
    refusal: null,
    dryRun: false,
  };
  private readonly client: FakeClusterClient;

  constructor(client: FakeClusterClient) {
    this.client = client;
  }

  readState: ApiAutoscale['readState'] = async () => {
    this.asked.push('readState');
    return (await this.client.queryState()).autoscale;
  };
  syncSchedule: ApiAutoscale['syncSchedule'] = () => {
    this.asked.push('syncSchedule');
    return Promise.resolve(this.schedule);
  };
  evaluate: ApiAutoscale['evaluate'] = ({ dryRun }) => {
    this.asked.push(`evaluate ${dryRun}`);
    return Promise.resolve({ ...this.evaluation, dryRun });
  };
}

/** Remembers what it was asked, and plans nothing. */
export class FakePlanner {
  readonly asked: Parameters<ApiDeps['planner']['plan']>[] = [];

  plan: ApiDeps['planner']['plan'] = (...asked) => {
    this.asked.push(asked);
    const [{ kind }, , refusal = null] = asked;
    return Promise.resolve({
      kind,
      refusal,
      steps: [{ phase: 'copy', does: 'copy' }],
      shards: [],
      shardsLeftOut: 0,
      rowsToMove: 7,
      bytesToMove: 70,
      rowsRead: 14,
      noticedBy: ['nobody'],
      notChecked: [],
      duration: { leastS: 1, mostS: 2, basis: 'a guess' },
    });
  };
}

/** What a look finds where nothing is wrong; a test changes it. */
export const DIAGNOSIS: Diagnosis = {
  temporal: {
    namespace: 'default',
    version: '1.31.0',
    retentionMs: 72 * 3_600_000,
    searchAttributes: { CoordinatorCluster: true, CoordinatorPhase: true },
    pollers: [{ identity: '7@worker-a', takes: ['workflows', 'activities'], lastSeenMs: Date.UTC(2026, 0, 2) }],
    pollersLeftOut: 0,
    problem: null,
  },
  apiSkewMs: 0,
  seen: {
    worker: {
      host: 'worker-a',
      node: '20.18.0',
      spoolFolder: '/var/spool',
      spoolFreeBytes: 2 ** 34,
      told: { worker: 'worker-a', atMs: 0, behindMs: 0, requestsForMs: 0, earlierUntilMs: 0 },
    },
    workerSkewMs: 0,
    startedAtMs: 0,
    shards: [0, 1].map((shardId) => ({
      shardId,
      problem: null,
      clockSkewMs: 0,
      key: { role: 'admin', isScoped: false, problem: null },
      identity: { seen: 'absent', problem: null },
      grpc: { url: `http://s${shardId}:6334`, problem: null },
      followers: [],
      rows: 3,
      bytes: 48,
      source: 'primary',
      stopMs: 1,
    })),
    shardsLeftOut: 0,
    shardsNotAsked: 0,
  },
  tookMs: 12,
};

/** Finds what a test puts there, and counts how often it looked. */
export class FakeDiagnosis {
  found: Diagnosis = DIAGNOSIS;
  looks = 0;

  examine(): Promise<Diagnosis> {
    this.looks += 1;
    return Promise.resolve(this.found);
  }
}

/** Keeps hooks as their workflow does. */
export class FakeHooksClient {
  hooks: readonly Hook[] = [];

  read(): Promise<readonly Hook[]> {
    return Promise.resolve(this.hooks);
  }

  replace(given: readonly NewHook[]): Promise<readonly Hook[]> {
    this.hooks = replaceHooks(this.hooks, given);
    return Promise.resolve(this.hooks);
  }
}

const noOperation = (operationId: string): Promise<never> => Promise.reject(unknownOperation(operationId));

type EventBounds = Omit<EventHubOptions, 'sources' | 'logger'>;

export interface Call {
  method?: string;
  key?: string | null;
  headers?: Record<string, string>;
  /** Sent as JSON, unless it is text already. */
  body?: unknown;
}

export class ApiServer {
  readonly client = new FakeClusterClient();
  readonly marks = new FakeMarks();
  readonly autoscale = new FakeAutoscaleClient(this.client);
  readonly planner = new FakePlanner();
  readonly diagnosis = new FakeDiagnosis();
  readonly events: ApiDeps['events'];
  readonly hooks = new FakeHooksClient();
  /** Names resolve to an address of a test network. */
  reach = new Reach({ allowed: [], own: [] }, () => Promise.resolve([{ address: '10.1.2.3', family: 4 }]));
  readonly pollers = new MapPollers();
  readonly logged: string[] = [];
  /** What the API knows of routers. */
  readonly routers: { seen: readonly SeenRouter[] } = { seen: [] };
  /** What a router holds; a test may put its own in its place. */
  askRouter: AskRouter = () => Promise.resolve({ version: 1, map: null });
  /** How often the lock was looked at. */
  looks = 0;
  /** What POST /cluster/restore does; a test may put its own in its place. */
  restoreCluster: RestoreCluster = () => Promise.resolve({ state: STATE, source: 'request', note: '' });
  /** The app, for a server of a test's own. */
  readonly listener: RequestListener;
  private readonly server: Server;

  /** `bounds`: of events, which are looked for every 20 ms here. */
  static async start(overrides: Partial<ApiDeps> = {}, bounds: EventBounds = {}): Promise<ApiServer> {
    const api = new ApiServer(overrides, bounds);
    await new Promise<void>((resolve) => api.server.listen(0, '127.0.0.1', resolve));
    return api;
  }

  private constructor(overrides: Partial<ApiDeps>, bounds: EventBounds) {
    const logger = pino({ level: 'trace' }, { write: (line: string) => void this.logged.push(line) });
    const mapReader = overrides.mapReader ?? new MapReader({ queryMap: () => this.client.queryMap() });
    const look = new ClusterLook({
      client: this.client,
      mapReader,
      pointsOf: (shard) => this.marks.rows(shard),
      routers: this.routers,
      witness: { rememberedAgeMs: 1_500 },
    });
    const parts: Omit<ApiDeps, 'events'> = {
      cluster: 'test',
      namespace: 'default',
      client: this.client,
      autoscale: this.autoscale,
      mapReader,
      planner: this.planner,
      diagnosis: this.diagnosis,
      metrics: new ApiMetricsPage({ cluster: 'test', role: 'api', look }),
      authenticator: new Authenticator(
        (['read', 'write', 'admin'] as const).map((role) => ({ id: role, role, digest: keyDigest(KEYS[role]) })),
      ),
      pollers: this.pollers,
      routers: new RouterList({
        seed: ['http://r0'],
        client: this.client,
        findRouters: (entries) => new RouterResolver(this.reach).find(entries),
        addressesOf: (url) => new RouterResolver(this.reach).addressesOf(url),
        askRouter: (url, deadlineMs) => this.askRouter(url, deadlineMs),
        pollers: this.pollers,
        logger,
      }),
      probeShard: () => Promise.resolve(true),
      marks: this.marks,
      requireAllowed: (urls) => this.reach.requireAllowed(urls),
      settings: { routerUrls: ['http://r0'], timings: DEFAULT_TIMINGS, searchAttributes: false },
      lockWatch: new LockWatch({ look: () => this.lookAtLock(), logger }),
      restoreCluster: (given) => this.restoreCluster(given),
      hooks: { client: this.hooks, seal: new SecretSeal('a key that seals in tests') },
      webUiUrl: 'http://ui',
      tracer: null,
      logger,
      ...overrides,
    };
    // Each look finds another stamp, so that it asks.
    let looks = 0;
    const stamp = (): Promise<string> => Promise.resolve(String((looks += 1)));
    const stamps = { ofCluster: stamp, ofOperation: stamp };
    this.events = overrides.events ?? createEventHub({ ...parts, stamps }, { pauseMs: 20, ...bounds });
    const deps: ApiDeps = { ...parts, events: this.events };
    this.listener = createApi(deps);
    this.server = createServer(this.listener);
  }

  private lookAtLock(): Promise<LockLook> {
    this.looks += 1;
    return Promise.resolve({ kind: 'free' });
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.events.close();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** The answer is a problem with this status and code, in the form that every problem has. */
  async expectProblem(path: string, call: Call, expected: { status: number; code: string }) {
    const answer = await this.call(path, call);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(problemSchema.parse(answer.json)).toMatchObject(expected);
    expect(answer.status).toBe(expected.status);
    return answer;
  }

  async call(path: string, { method = 'GET', key = KEYS.admin, headers = {}, body }: Call = {}) {
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: {
        ...(key === null ? {} : { Authorization: `Bearer ${key}` }),
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = /json/.test(response.headers.get('content-type') ?? '');
    const { status, headers: answered } = response;
    const fault = faultOfAnswer({ method, path, status, headers: answered, text });
    if (fault !== null) throw new Error(fault);
    return {
      status,
      headers: answered,
      text,
      json: (isJson && text !== '' ? JSON.parse(text) : null) as Record<string, unknown>,
    };
  }
}
