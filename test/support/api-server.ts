/** The listening app on hand-written dependencies, and a client for it. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { createApi } from '../../src/api/app';
import type { ApiDeps } from '../../src/api/deps';
import { Authenticator } from '../../src/api/http/auth';
import type { AutoscaleGateway } from '../../src/client/autoscale-client';
import type { ClusterGateway } from '../../src/client/cluster-client';
import type { RestoreCluster } from '../../src/client/restore-cluster';
import { LockWatch } from '../../src/api/lock-watch';
import { MapReader } from '../../src/api/map/reader';
import { ApiError } from '../../src/api/http/problem';
import { keyDigest } from '../../src/config';
import { seedState, type ClusterState, type OperationKind } from '../../src/domain/cluster-state';
import { DEFAULT_TIMINGS } from '../../src/domain/limits';
import type { EvaluationResult, OperationInput } from '../../src/contract/messages';
import type { OperationRequest } from '../../src/contract/requests';
import type { ClusterTransition } from '../../src/contract/cluster';

export const KEYS = { read: 'key-of-read', write: 'key-of-write', admin: 'key-of-admin' } as const;

export const STATE: ClusterState = seedState([
  { primary_url: 'http://s0:6333', replica_urls: [] },
  { primary_url: 'http://s1:6333', replica_urls: [] },
]);

/** A gateway that tells what it was asked and answers from STATE. */
export class FakeGateway implements ClusterGateway {
  state: ClusterState = STATE;
  mapQueries = 0;
  /** When set, what every question about the cluster fails with. */
  trouble: ApiError | null = null;
  readonly transitions: ClusterTransition[] = [];
  readonly started: { kind: OperationKind; input: OperationInput<OperationRequest> }[] = [];

  queryMap: ClusterGateway['queryMap'] = async () => {
    this.mapQueries += 1;
    return (await this.queryState()).map;
  };
  queryState: ClusterGateway['queryState'] = () =>
    this.trouble === null ? Promise.resolve(this.state) : Promise.reject(this.trouble);
  applyTransition: ClusterGateway['applyTransition'] = (transition) => {
    this.transitions.push(transition);
    return Promise.resolve({ map: this.state.map, lock: this.state.lock });
  };
  startOperation: ClusterGateway['startOperation'] = (kind, input) => {
    this.started.push({ kind, input });
    return Promise.resolve({ map: this.state.map, shardIds: [2], request: input.request });
  };
  queryProgress: ClusterGateway['queryProgress'] = unknownOperation;
  describeOperation: ClusterGateway['describeOperation'] = unknownOperation;
  cancelOperation: ClusterGateway['cancelOperation'] = unknownOperation;
  looks = 0;
  lookAfterLock: ClusterGateway['lookAfterLock'] = () => {
    this.looks += 1;
    return Promise.resolve({ kind: 'free' });
  };
}

/** Answers from the state of the gateway, and tells what it was asked. */
export class FakeAutoscale implements AutoscaleGateway {
  readonly asked: string[] = [];
  schedule: Awaited<ReturnType<AutoscaleGateway['syncSchedule']>> = { nextEvaluationAtMs: null, problem: null };
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
  private readonly gateway: FakeGateway;

  constructor(gateway: FakeGateway) {
    this.gateway = gateway;
  }

  readState: AutoscaleGateway['readState'] = async () => {
    this.asked.push('readState');
    return (await this.gateway.queryState()).autoscale;
  };
  syncSchedule: AutoscaleGateway['syncSchedule'] = () => {
    this.asked.push('syncSchedule');
    return Promise.resolve(this.schedule);
  };
  evaluate: AutoscaleGateway['evaluate'] = ({ dryRun }) => {
    this.asked.push(`evaluate ${dryRun}`);
    return Promise.resolve({ ...this.evaluation, dryRun });
  };
}

const unknownOperation = (operationId: string): Promise<never> =>
  Promise.reject(new ApiError('UnknownOperation', `there is no operation ${operationId}`));

export interface Call {
  method?: string;
  key?: string | null;
  headers?: Record<string, string>;
  /** Sent as JSON, unless it is text already. */
  body?: unknown;
}

export class ApiServer {
  readonly gateway = new FakeGateway();
  readonly autoscale = new FakeAutoscale(this.gateway);
  readonly logged: string[] = [];
  /** What POST /cluster/restore does; a test may put its own in its place. */
  restoreCluster: RestoreCluster = () => Promise.resolve({ state: STATE, source: 'request', note: '' });
  private readonly server: Server;

  static async start(overrides: Partial<ApiDeps> = {}): Promise<ApiServer> {
    const api = new ApiServer(overrides);
    await new Promise<void>((resolve) => api.server.listen(0, '127.0.0.1', resolve));
    return api;
  }

  private constructor(overrides: Partial<ApiDeps>) {
    const logger = pino({ level: 'trace' }, { write: (line: string) => void this.logged.push(line) });
    const deps: ApiDeps = {
      cluster: 'test',
      namespace: 'default',
      gateway: this.gateway,
      autoscale: this.autoscale,
      mapReader: new MapReader({ queryMap: () => this.gateway.queryMap() }),
      authenticator: new Authenticator(
        (['read', 'write', 'admin'] as const).map((role) => ({ id: role, role, digest: keyDigest(KEYS[role]) })),
      ),
      probeShard: () => Promise.resolve(true),
      settings: { routerUrls: ['http://r0'], timings: DEFAULT_TIMINGS, searchAttributes: false },
      lockWatch: new LockWatch({ look: () => this.gateway.lookAfterLock(), logger }),
      restoreCluster: (given) => this.restoreCluster(given),
      webUiUrl: 'http://ui',
      logger,
      ...overrides,
    };
    this.server = createServer(createApi(deps));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
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
    return {
      status: response.status,
      headers: response.headers,
      text,
      json: (isJson && text !== '' ? JSON.parse(text) : null) as Record<string, unknown>,
    };
  }
}
