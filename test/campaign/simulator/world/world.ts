/** All that a run consists of, and the chances that it takes. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { createActivities } from '../../../../src/activities';
import { clusterWorkflowId } from '../../../../src/contract/ids';
import type { ClusterState } from '../../../../src/domain/cluster-state';
import type { ShardMap } from '../../../../src/domain/shard-map';
import type { Engine, EngineJob } from '../../../../src/rows/thread/engine';
import { HeldRows } from '../../../../src/rows/owner-writer';
import { PrimingTurns } from '../../../../src/rows/remote/index-priming';
import { runJob, type JobDone, type JobName, type JobRequest } from '../../../../src/rows/remote/run-job';
import { Sessions } from '../../../../src/rows/sessions';
import { WatchRegistry } from '../../../../src/shards/http/watch-registry';
import type { ActivityDeps } from '../../../../src/activities/frame/deps';
import { SimWorker } from '../runtime/activities';
import { TemporalServer } from '../runtime/server';
import { VirtualTime, type Process } from '../runtime/time';
import type { Random } from './random';
import { Router } from './router';
import { simClients } from './shard-clients';
import { Follower, SimShard, type Volume } from './shard';

export const CLUSTER = 'prod';
const STARTS_AT_MS = Date.UTC(2026, 0, 1);
const LOGGER = pino({ level: 'silent' });

/** Shares of all requests or streams that something happens to. */
export interface Chances {
  readonly slowMessage: number;
  readonly slowMessageMs: number;
  /** Of the coordinator's own writes: so late that they outlive their attempt. */
  readonly slowWrite: number;
  readonly slowWriteMs: number;
  readonly tailLost: number;
  readonly streamCut: number;
  readonly updateLost: number;
  readonly answerLost: number;
  /** Of a router's write between two shards. */
  readonly routerPause: number;
  readonly routerPauseMs: number;
}

export class World {
  readonly random: Random;
  readonly time: VirtualTime;
  readonly server: TemporalServer;
  readonly chances: Chances;
  readonly shards = new Map<string, SimShard>();
  readonly routers: Router[] = [];
  readonly workers: SimWorker[] = [];
  /** Maps as they were published. */
  readonly maps: ShardMap[] = [];
  readonly mapTimes: number[] = [];
  readonly trace: string[] = [];
  /** The volumes that faults have taken away. */
  readonly ownVolumes = new Map<SimShard, Volume>();
  hadHollowVolume = false;
  readonly hadWrongVolume = new Set<SimShard>();
  /** A workflow that was terminated can be asked what it knew. */
  deadAnswer = true;
  /** Routers get no answer from the API until then. */
  apiIsAwayUntilMs = 0;
  isQuiet = false;
  readonly isTraced: boolean;
  #workers = 0;

  constructor(random: Random, chances: Chances, isTraced: boolean) {
    this.random = random;
    this.chances = chances;
    this.isTraced = isTraced;
    this.time = new VirtualTime(STARTS_AT_MS, () => this.server.settle());
    this.server = new TemporalServer(this.time, random.fork());
    this.server.activities.onAttempt = (type, what) => this.note(`${type} ${what}`);
  }

  get sinceStartMs(): number {
    return this.time.nowMs - STARTS_AT_MS;
  }

  note(what: string): void {
    if (this.isTraced) this.trace.push(`${(this.sinceStartMs / 1000).toFixed(3)} ${what}`);
  }

  // ---- Who there is ----

  addShard(name: string): SimShard {
    const shard = new SimShard(this, name, `http://${name}:6333`);
    this.shards.set(shard.url, shard);
    return shard;
  }

  addFollower(name: string, primary: SimShard): Follower {
    const follower = new Follower(this, name, `http://${name}:6333`, primary);
    this.shards.set(follower.url, follower);
    return follower;
  }

  shardAt(url: string): SimShard | null {
    return this.shards.get(url) ?? null;
  }

  addRouter(name: string, seeds: readonly string[]): Router {
    const router = new Router(this, `http://${name}:6333`, seeds);
    this.routers.push(router);
    return router;
  }

  routerAt(url: string): Router | null {
    return this.routers.find((router) => router.url === url || `${router.url}/` === url) ?? null;
  }

  /** A process that runs the real activities. What it keeps goes with it. */
  addWorker(): SimWorker {
    const worker = new SimWorker(`worker-${++this.#workers}`);
    const clock = {
      nowMs: () => this.time.nowMs,
      sleep: (ms: number, signal: AbortSignal) => this.time.sleepUnless(ms, signal),
    };
    const client = {
      connection: {},
      options: { namespace: 'default' },
      activity: {
        heartbeat: (token: Uint8Array, details: unknown) => this.server.activities.heartbeat(token, details),
      },
      // Activities signal only what is shown, and do without when it does not arrive.
      workflow: { getHandle: () => ({ signal: () => Promise.resolve() }) },
    } as unknown as ActivityDeps['client'];
    const activities = createActivities({
      shardKey: 'key',
      client,
      logger: LOGGER,
      clock,
      grpcPortOffset: 0,
      ownTaskQueue: worker.taskQueue,
      watches: new WatchRegistry({ clock }),
      engine: new SimEngine(this),
    });
    worker.activities = activities as unknown as SimWorker['activities'];
    this.workers.push(worker);
    this.server.activities.addWorker(worker);
    return worker;
  }

  // ---- Chance ----

  latencyMs(): number {
    const { slowMessage, slowMessageMs } = this.chances;
    if (!this.isQuiet && this.random.chance(slowMessage)) return this.random.between(20, slowMessageMs);
    return this.random.between(1, 4);
  }

  /** On top of the latency, of a write of the coordinator. */
  lateWriteMs(): number {
    const { slowWrite, slowWriteMs } = this.chances;
    return !this.isQuiet && this.random.chance(slowWrite) ? this.random.between(500, slowWriteMs) : 0;
  }

  /** Bounded, so that a write does not outlive the in-flight time by chance alone. */
  routerPauseMs(soFarMs: number): number {
    const { routerPause, routerPauseMs } = this.chances;
    if (this.isQuiet || !this.random.chance(routerPause)) return 0;
    return Math.max(0, Math.min(this.random.between(1, routerPauseMs), routerPauseMs - soFarMs));
  }

  fateOfStream(): 'whole' | 'cut' | 'tail-lost' {
    const chance = this.random.next();
    if (this.isQuiet) return 'whole';
    if (chance < this.chances.streamCut) return 'cut';
    return chance < this.chances.streamCut + this.chances.tailLost ? 'tail-lost' : 'whole';
  }

  isLost(what: 'update' | 'answer'): boolean {
    const share = what === 'update' ? this.chances.updateLost : this.chances.answerLost;
    return !this.isQuiet && this.random.chance(share);
  }

  // ---- The cluster's own words ----

  async mapForRouters(owner: Process): Promise<ShardMap | null> {
    await this.time.sleep(this.latencyMs(), owner);
    if (this.apiIsAwayUntilMs > this.time.nowMs) return null;
    const { map } = this.state();
    await this.time.sleep(this.latencyMs(), owner);
    return map;
  }

  state(): ClusterState {
    return this.server.find(clusterWorkflowId(CLUSTER))!.query('state') as ClusterState;
  }

  noteState(): void {
    const { map } = this.state();
    if (JSON.stringify(map) === JSON.stringify(this.maps.at(-1))) return;
    this.maps.push(map);
    this.mapTimes.push(this.time.nowMs);
    const ids = map.shards.map(({ id }) => id).join(',');
    this.note(`map version ${map.version}: ${ids}; joining ${map.joining.join()}, leaving ${map.leaving.join()}`);
  }

  hasForeignVolume(shard: SimShard): boolean {
    return this.ownVolumes.has(shard);
  }
}

/** The real jobs, on simulated shards. */
class SimEngine implements Engine {
  readonly #world: World;
  readonly #sessions: Sessions;
  readonly #held = new HeldRows();
  readonly #primingTurns = new PrimingTurns();
  readonly #clients: ReturnType<typeof simClients>;

  constructor(world: World) {
    this.#world = world;
    this.#sessions = new Sessions(() => world.time.nowMs);
    this.#clients = simClients(world);
  }

  run<Name extends JobName>(job: EngineJob, request: JobRequest<Name>): Promise<JobDone<Name>> {
    const spoolFolder = join(tmpdir(), `simulator-${process.pid}`);
    this.#world.note(`job ${request.name} ${JSON.stringify(request.input).slice(0, 300)}`);
    const done = runJob(job, request, {
      clients: this.#clients,
      sessions: this.#sessions,
      spoolFolder,
      held: this.#held,
      primingTurns: this.#primingTurns,
    });
    if (this.#world.isTraced) {
      done.then(
        (result) => this.#world.note(`job ${request.name} done ${JSON.stringify(result)}`),
        (error: unknown) => this.#world.note(`job ${request.name} failed ${String(error).slice(0, 200)}`),
      );
    }
    return done;
  }

  endSession(session: string): Promise<void> {
    return this.#sessions.end(session);
  }

  close(): Promise<void> {
    return this.#sessions.closeAll();
  }
}
