/**
 * Shards in this process, with points where a cluster would have placed them. Activities run as Temporal would run
 * them.
 */
import { ApplicationFailure, type Info } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import pino from 'pino';
import { Agent } from 'undici';
import { WatchRegistry } from '../../src/shards/http/watch-registry';
import { OPEN_REACH } from '../../src/shards/reach/reach';
import { createActivities } from '../../src/activities';
import { SYSTEM_CLOCK, type Clock } from '../../src/activities/frame/attempt';
import type { AutoscaleActivities } from '../../src/contract/evaluation-activities';
import type { CoordinatorActivities, DiagnosisActivities } from '../../src/contract/activities';
import type { DonorInput, Move } from '../../src/contract/move';
import { receiversOf } from '../../src/domain/placement-plan';
import { PlacementPlan } from '../../src/domain/placement-plan';
import { EPOCH_POINT_ID, IDENTITY_COLLECTION, identityPath } from '../../src/domain/shard-identity';
import type { PlacementSpec, Shard } from '../../src/domain/shard-map';
import { SHARD_KEY, startShard, type InProcessShard, type ShardOptions } from './in-process-shard';
import type { ActiveFault, FaultMatch } from './shard-faults';
import type { ReplicaOptions } from './shard-replica';
import { json, StubShard } from './stub-shard';

export const COLLECTION = 'docs';
export const SCHEMA = { name: COLLECTION, dim: 2, metric: 'l2', index: 'ivf' };
/** In every id and payload, and so in no heartbeat, result or failure of an activity. */
export const POINT_DATA = 'POINTDATA';
const LIFE_MS = 60_000;

export type Point = Record<string, unknown> & { readonly id: string };

export function point(id: string, value = 1): Point {
  return { id, vector: [value, 2], payload: { text: `${POINT_DATA}-${id}`, value } };
}

/** A clock that waits for nothing. `onSleep` is what happens meanwhile, and `skewMs` moves time on. */
export class TestClock implements Clock {
  skewMs = 0;
  /** A sleep moves time on by itself, as for whoever sleeps until a moment. */
  sleepTakesTime = false;
  readonly sleptMs: number[] = [];
  onSleep: () => void | Promise<void> = () => undefined;

  nowMs(): number {
    return SYSTEM_CLOCK.nowMs() + this.skewMs;
  }

  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.sleptMs.push(ms);
    if (this.sleepTakesTime) this.skewMs += ms;
    await this.onSleep();
    // What is on its way comes meanwhile.
    await new Promise((resolve) => setImmediate(resolve));
    signal.throwIfAborted();
  }
}

/** A client of a Temporal that takes every signal. */
const NOBODY_LISTENS = {
  workflow: { getHandle: () => ({ signal: () => Promise.resolve() }) },
} as unknown as Client;

export interface Run<R> {
  readonly result: R;
  readonly heartbeats: readonly unknown[];
}

export interface Interrupted {
  readonly failure: ApplicationFailure;
  readonly last: unknown;
  readonly next: { readonly info: Partial<Info> };
}

type Activities = CoordinatorActivities & AutoscaleActivities & DiagnosisActivities;
type ActivityName = Exclude<keyof Activities, 'changeCluster'>;

export class MovingCluster {
  readonly clock = new TestClock();
  /** Of the worker that runs the activities. */
  readonly watches = new WatchRegistry();
  readonly shards: readonly InProcessShard[];
  readonly placement: PlacementSpec;
  /** By shard id, what stands in front of it as its primary. */
  readonly #followers = new Map<number, InProcessShard>();
  /** By shard id, its read-only copies. */
  readonly #replicas = new Map<number, InProcessShard>();
  #identity: Move['identity'] = null;
  /** Shards and routers beside the cluster. */
  readonly #others: { stop: () => Promise<void> }[] = [];
  readonly #agent = new Agent({ connect: OPEN_REACH.connector() });
  readonly #activities: Activities;

  private constructor(shards: readonly InProcessShard[], placement: PlacementSpec) {
    this.shards = shards;
    this.placement = placement;
    this.#activities = createActivities({
      shardKey: SHARD_KEY,
      client: NOBODY_LISTENS,
      logger: pino({ level: 'silent' }),
      dispatcher: this.#agent,
      clock: this.clock,
      watches: this.watches,
    });
  }

  /** Shards 0…n-1; the last one joins, or, with `leaver`, that one leaves. With `schema` null no collection is made. */
  static async start(
    options: { shards?: number; schema?: Record<string, unknown> | null; shard?: ShardOptions; leaver?: number } = {},
  ): Promise<MovingCluster> {
    const { shards: count = 3, schema = SCHEMA, shard, leaver } = options;
    const shards = await Promise.all(Array.from({ length: count }, () => startShard(shard)));
    if (schema !== null) for (const each of shards) each.create(schema);
    const ids = shards.map((_, id) => id);
    const change = leaver === undefined ? { joining: [count - 1], leaving: [] } : { joining: [], leaving: [leaver] };
    return new MovingCluster(shards, { shards: ids, ...change });
  }

  async stop(): Promise<void> {
    await this.watches.closeAll();
    await this.#agent.destroy();
    await Promise.all([...this.shards, ...this.#followers.values(), ...this.#others].map((each) => each.stop()));
  }

  /** A shard that is not in the map. */
  async startOther(options?: ShardOptions): Promise<InProcessShard> {
    const shard = await startShard(options);
    this.#others.push(shard);
    return shard;
  }

  /** The URL of a router that holds `version`, or that answers `status`. */
  async startRouter(version: number, status = 200): Promise<string> {
    const router = await new StubShard((response) => json(response, { version }, status)).start();
    this.#others.push(router);
    return router.url;
  }

  get joiner(): InProcessShard {
    return this.shards[this.placement.joining[0]!]!;
  }

  get leaver(): InProcessShard {
    return this.shards[this.placement.leaving[0]!]!;
  }

  address(id: number): Shard {
    const { url } = this.shards[id]!;
    const follower = this.#followers.get(id);
    const replica = this.#replicas.get(id);
    if (follower === undefined)
      return { id, primary_url: url, replica_urls: replica === undefined ? [] : [replica.url] };
    return { id, primary_url: follower.url, replica_urls: [url] };
  }

  /**
   * As after a failover: the primary of shard `id` follows, lags behind and holds nothing; its replica leads. Both
   * answer reads, only the leader answers writes.
   */
  async failOver(id: number): Promise<InProcessShard> {
    const follower = await startShard();
    follower.create(SCHEMA);
    follower.faults.add({ match: { path: /\/points(?::bulk)?$/ }, fault: { kind: 'status', status: 421 } });
    this.#followers.set(id, follower);
    return follower;
  }

  /** A read-only copy of shard `id`, as its replica in the map. */
  async addReplica(id: number, options: ReplicaOptions = {}): Promise<InProcessShard> {
    const replica = await this.startOther({ replicaOf: { shard: this.shards[id]!, ...options } });
    this.#replicas.set(id, replica);
    return replica;
  }

  /** Every shard bears its mark with this epoch, and every step expects it from now on. */
  identify(epoch = 1): void {
    this.#identity = { clusterUid: 'uid-1', epoch };
    this.shards.forEach((shard, shardId) => {
      const identity = { cluster: 'prod', clusterUid: 'uid-1', shardId, operationId: 'adopt' };
      const filterable = [{ path: identityPath(identity), field_type: 'keyword' }];
      if (!shard.collections().includes(IDENTITY_COLLECTION)) {
        shard.create({ name: IDENTITY_COLLECTION, dim: 1, metric: 'l2', filterable });
      }
      shard.put(IDENTITY_COLLECTION, { id: EPOCH_POINT_ID, vector: [0], payload: { epoch } });
    });
  }

  get donors(): Shard[] {
    const { shards, joining, leaving } = this.placement;
    const donors = leaving.length > 0 ? leaving : shards.filter((id) => !joining.includes(id));
    return donors.map((id) => this.address(id));
  }

  get receivers(): Shard[] {
    return receiversOf(this.placement).map((id) => this.address(id));
  }

  get move(): Move & { collection: string } {
    const shards = this.placement.shards.map((id) => this.address(id));
    return { placement: this.placement, shards, identity: this.#identity ?? null, collection: COLLECTION };
  }

  /** What a step needs that works on one donor's slice. */
  donorInput(donorId: number): DonorInput & { collections: string[] } {
    return { ...this.move, session: 'grow-a', donorId, expected: 0, collections: [COLLECTION] };
  }

  donorOf(id: string): InProcessShard {
    const plan = new PlacementPlan(this.placement);
    plan.locate(Buffer.from(id));
    return this.shards[plan.donor < 0 ? plan.owner : plan.donor]!;
  }

  ownerOf(id: string): InProcessShard {
    return this.shards[new PlacementPlan(this.placement).ownerOf(Buffer.from(id))]!;
  }

  /** The first `count` ids of this name that move from `donorId` (any donor without one), in byte order. */
  movingIds(count: number, donorId?: number): string[] {
    const plan = new PlacementPlan(this.placement);
    const ids: string[] = [];
    for (let n = 0; ids.length < count; n++) {
      const id = `${POINT_DATA}-${String(n).padStart(6, '0')}`;
      plan.locate(Buffer.from(id));
      if (plan.donor >= 0 && (donorId === undefined || plan.donor === donorId)) ids.push(id);
    }
    return ids;
  }

  /** `count` points, each on the shard that owned it before the change. Returns the ids that move. */
  fill(count: number): string[] {
    const plan = new PlacementPlan(this.placement);
    const moving: string[] = [];
    const byShard = this.shards.map((): Point[] => []);
    for (let n = 0; n < count; n++) {
      const id = `${POINT_DATA}-${String(n).padStart(6, '0')}`;
      plan.locate(Buffer.from(id));
      byShard[plan.donor < 0 ? plan.owner : plan.donor]!.push(point(id, n));
      if (plan.donor >= 0) moving.push(id);
    }
    byShard.forEach((points, index) => {
      if (points.length > 0) this.shards[index]!.put(COLLECTION, ...points);
    });
    return moving;
  }

  /** Runs one attempt. Whatever it says, in heartbeats, result or failure, holds no point data. */
  async run<N extends ActivityName>(
    name: N,
    input: Parameters<Activities[N]>[0],
    options: { info?: Partial<Info>; onStart?: (environment: MockActivityEnvironment) => void } = {},
  ): Promise<Run<Awaited<ReturnType<Activities[N]>>>> {
    const info = {
      activityType: name,
      startToCloseTimeoutMs: LIFE_MS,
      heartbeatTimeoutMs: 10_000,
      currentAttemptScheduledTimestampMs: this.clock.nowMs(),
      ...options.info,
    };
    const environment = new MockActivityEnvironment(info, { logger: new DefaultLogger('ERROR', () => undefined) });
    const heartbeats: unknown[] = [];
    environment.on('heartbeat', (details: unknown) => heartbeats.push(JSON.parse(JSON.stringify(details))));
    options.onStart?.(environment);
    const activity = this.#activities[name] as (given: unknown) => Promise<unknown>;
    try {
      const result = await environment.run(activity, JSON.parse(JSON.stringify(input)) as unknown);
      expect(JSON.stringify([result, heartbeats])).not.toContain(POINT_DATA);
      return { result: withoutToldTime(result) as Awaited<ReturnType<Activities[N]>>, heartbeats };
    } catch (error) {
      expect(everythingIn(error) + JSON.stringify(heartbeats)).not.toContain(POINT_DATA);
      throw error;
    }
  }

  /** The failure of an attempt that must fail. */
  async failure<N extends ActivityName>(
    name: N,
    input: Parameters<Activities[N]>[0],
    options: Parameters<MovingCluster['run']>[2] = {},
  ): Promise<ApplicationFailure> {
    const error = await this.run(name, input, options).then(
      () => new Error('it did not fail'),
      (thrown: unknown) => thrown,
    );
    if (error instanceof ApplicationFailure) return error;
    throw error;
  }

  /** An attempt that must fail, the last thing that it heartbeats, and the options of the attempt after it. */
  async interrupted<N extends ActivityName>(
    name: N,
    input: Parameters<Activities[N]>[0],
    info: Partial<Info> = {},
  ): Promise<Interrupted> {
    let last: unknown;
    const failure = await this.failure(name, input, {
      info,
      onStart: (environment) =>
        environment.on('heartbeat', (details: unknown) => (last = JSON.parse(JSON.stringify(details)))),
    });
    return { failure, last, next: { info: { attempt: (info.attempt ?? 1) + 1, heartbeatDetails: last } } };
  }

  /** Lets `ms` pass while `shard` answers the request that matches. */
  passTime(shard: InProcessShard, match: FaultMatch, ms: number): ActiveFault {
    return shard.faults.add({ match, fault: { kind: 'before', run: () => void (this.clock.skewMs += ms) } });
  }

  /** The collection on every shard, empty again. */
  clear(): void {
    for (const shard of this.shards) {
      shard.drop(COLLECTION);
      shard.create(SCHEMA);
    }
  }

  /** Fails when a shard got any write. */
  expectUntouched(): void {
    expect(this.shards.flatMap((shard) => this.writes(shard))).toEqual([]);
  }

  /** Writes that reached a shard, as method and last part of the path. */
  writes(shard: InProcessShard): string[] {
    return shard.requests
      .filter(({ method, path }) => isWrite(method, path))
      .map(({ method, path }) => `${method} ${path.split('/').at(-1) ?? ''}`);
  }

  /** The same, without the marks that a scan makes (see src/rows/remote/sources.ts). */
  rowWrites(shard: InProcessShard): string[] {
    return shard.requests
      .filter(
        ({ method, path }) => isWrite(method, path) && path !== '/v1/collections' && !/\/coordinator[.-]/.test(path),
      )
      .map(({ method, path }) => `${method} ${path.split('/').at(-1) ?? ''}`);
  }
}

/** Every result of an activity that writes tells the time. Tests that are not about it do not name it. */
function withoutToldTime(result: unknown): unknown {
  if (typeof result !== 'object' || result === null || !('told' in result)) return result;
  const { told: _told, ...rest } = result;
  return rest;
}

function isWrite(method: string, path: string): boolean {
  if (method === 'GRPC') return path.endsWith('/UpsertStream');
  return method === 'DELETE' || (method === 'POST' && !/\/(fetch|query)$/.test(path));
}

function everythingIn(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = Object.getOwnPropertyNames(error).map((key) => (error as unknown as Record<string, unknown>)[key]);
  return own.map((value) => (value instanceof Error ? everythingIn(value) : JSON.stringify(value))).join(' ');
}
