/** Where a benchmark lies: a folder that is removed, real Quiver processes, and the built coordinator with a Temporal of its own. */
import { rmSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { locateTemporalCli } from '../src/temporal/dev-server/temporal-cli';
import { startCoordinator, type CoordinatorProcess } from '../test/support/coordinator-process';
import { freePort } from '../test/support/free-port';
import { locateQuiver, routerEnvironment, startQuiver, type RealQuiver } from '../test/support/real-quiver';
import { waitFor } from '../test/support/wait-for';
import { call, KEY } from './http';
import { countPoints, loadSealed, type Loadable } from './rows';

export type Say = (line: string) => void;

/** No router is asked or waited for, and no index is built: what is left is the work of the move. */
export const NO_WAITS = { COORDINATOR_GRACE_MS: '0', COORDINATOR_IN_FLIGHT_MS: '0', COORDINATOR_WARM_UP_MS: '0' };

/** A router without a map refuses writes, instead of sending them to its seeds. */
const DEAD_SEEDS = ['http://127.0.0.1:9'];
/** A process that was just killed may still be writing its last file. */
const REMOVED = { recursive: true, force: true, maxRetries: 20, retryDelay: 100 };
const FOLLOWER_TIMEOUT_MS = 600_000;
/** So a shard rewrites its rows seldom while it is loaded. */
const CHECKPOINT_BYTES = String(4 * 1024 ** 3);
/** A follower takes no snapshot, so it seals its rows while it is loaded: all but the last few. */
const FOLLOWER_CHECKPOINT_BYTES = String(8 * 1024 ** 2);

export interface Shard extends Loadable {
  kill(): Promise<void>;
}

export class Bed {
  readonly say: Say;
  private readonly dir: string;
  private readonly quiver: string;
  private readonly temporalCli: string;
  private readonly running = new Set<{ stop(): Promise<unknown> }>();
  private started = 0;

  private constructor(options: { say: Say; dir: string; quiver: string; temporalCli: string }) {
    this.say = options.say;
    this.dir = options.dir;
    this.quiver = options.quiver;
    this.temporalCli = options.temporalCli;
  }

  static async make(say: Say): Promise<Bed> {
    const quiver = await locateQuiver({ report: say });
    const temporalCli = await locateTemporalCli({ report: say });
    const dir = await mkdtemp(join(tmpdir(), 'coordinator-bench-'));
    const bed = new Bed({ say, dir, quiver, temporalCli });
    process.once('exit', () => bed.abandon());
    return bed;
  }

  /** Ends everything that still runs, and removes the folder. */
  async remove(): Promise<void> {
    await this.end();
    await rm(this.dir, REMOVED);
  }

  /** What an exit has time for. Usually there is nothing left to do. */
  private abandon(): void {
    for (const process of this.running) void process.stop();
    try {
      rmSync(this.dir, REMOVED);
    } catch {
      // Left to whoever tidies the folder for temporary files.
    }
  }

  /** Ends everything that still runs. */
  async end(): Promise<void> {
    await Promise.all([...this.running].map((process) => process.stop()));
    this.running.clear();
  }

  // ---- Quiver ----

  async startShard(env: Readonly<Record<string, string>> = {}): Promise<Shard> {
    const port = await freePort();
    const grpcAddress = `127.0.0.1:${port + 1}`;
    const { dataDir, quiver } = await this.startQuiver('shard', { QUIVER_GRPC_ADDR: grpcAddress, ...env }, port);
    return {
      url: quiver.url,
      grpcUrl: `http://${grpcAddress}`,
      snapshotDir: join(dataDir, 'snapshot'),
      kill: () => this.forget(quiver, dataDir),
    };
  }

  /** Two shards that hold `rows` sealed rows. */
  async startDonors(rows: number): Promise<[Shard, Shard]> {
    const donors: [Shard, Shard] = [await this.startDonor(), await this.startDonor()];
    await this.load(donors, rows);
    return donors;
  }

  async startDonor(): Promise<Shard> {
    return this.startShard({ QUIVER_CHECKPOINT_BYTES: CHECKPOINT_BYTES });
  }

  /**
   * A read-only copy of `leader`, which holds the same rows as soon as this returns. To be started behind the load: a follower that is
   * sent more than 1,024 rows at once falls behind, and follows no more.
   */
  async startFollower(leader: Shard): Promise<Shard> {
    const env = {
      QUIVER_LEADER_URL: leader.grpcUrl,
      QUIVER_LEADER_API_KEY: KEY,
      QUIVER_CHECKPOINT_BYTES: FOLLOWER_CHECKPOINT_BYTES,
    };
    const follower = await this.startShard(env);
    const rows = await countPoints(leader.url);
    const hasAll = async (): Promise<boolean> => (await countPoints(follower.url)) === rows;
    await waitFor('the follower has all rows', hasAll, FOLLOWER_TIMEOUT_MS);
    return follower;
  }

  async load(donors: readonly Shard[], rows: number): Promise<void> {
    const startedMs = performance.now();
    await loadSealed(donors, rows);
    this.say(`  ${rows.toLocaleString('en')} rows loaded and sealed in ${seconds(startedMs)}`);
  }

  async startRouter(coordinatorUrl: string, port: number): Promise<string> {
    const env = routerEnvironment({ shards: DEAD_SEEDS, coordinatorUrl, shardKey: KEY });
    const { quiver } = await this.startQuiver('router', env, port);
    await waitFor('the router holds a map', async () => {
      const { version } = (await call('GET', `${quiver.url}/cluster/map`)) as { version: number };
      return version > 0;
    });
    return quiver.url;
  }

  /** Quiver's own coordinator over these shards. */
  async startQuiversOwn(shardUrls: readonly string[]): Promise<{ url: string }> {
    const { quiver } = await this.startQuiver('coordinator', {
      QUIVER_CLUSTER_SHARDS: `[${shardUrls.join(',')}]`,
      QUIVER_CLUSTER_SHARD_KEY: KEY,
      QUIVER_COORDINATOR_STATE: join(this.dir, `own-state-${this.started}.json`),
    });
    return quiver;
  }

  private async startQuiver(
    role: 'shard' | 'router' | 'coordinator',
    env: Readonly<Record<string, string>>,
    port?: number,
  ): Promise<{ quiver: RealQuiver; dataDir: string }> {
    const dataDir = join(this.dir, `${role}-${this.started++}`);
    const at = port === undefined ? {} : { port };
    const quiver = await startQuiver({ role, binary: this.quiver, dataDir, keys: [KEY], env, ...at });
    // Killed, not stopped: its data is thrown away.
    this.running.add({ stop: () => quiver.kill() });
    return { quiver, dataDir };
  }

  /** Its data goes at once, because several sizes would not fit a small disk together. */
  private async forget(quiver: RealQuiver, dataDir: string): Promise<void> {
    await quiver.kill();
    await rm(dataDir, REMOVED);
  }

  // ---- Ours ----

  /** `node dist/main.js serve` on a free port, as its users run it. */
  async startCoordinator(options: {
    shardUrls: readonly string[];
    env: Readonly<Record<string, string>>;
    port?: number;
  }): Promise<Coordinator> {
    const dataDir = join(this.dir, `serve-${this.started++}`);
    const process = await startCoordinator({
      role: 'serve',
      env: {
        QUIVER_REST_ADDR: `127.0.0.1:${options.port ?? 0}`,
        QUIVER_API_KEYS: KEY,
        QUIVER_CLUSTER_SHARD_KEY: KEY,
        QUIVER_CLUSTER_SHARDS: `[${options.shardUrls.join(',')}]`,
        COORDINATOR_CLUSTER: 'bench',
        COORDINATOR_DATA_DIR: dataDir,
        COORDINATOR_TEMPORAL_PORT: '0',
        COORDINATOR_TEMPORAL_UI_PORT: '0',
        COORDINATOR_SCAN_STOP_MAX_MS: '3600000',
        TEMPORAL_CLI: this.temporalCli,
        ...options.env,
      },
    });
    this.running.add(process);
    return new Coordinator(process);
  }
}

export class Coordinator {
  private readonly process: CoordinatorProcess;

  constructor(process: CoordinatorProcess) {
    this.process = process;
  }

  get url(): string {
    return this.process.url;
  }

  /** The most memory that the process has held since its start. Temporal and shards are other processes. */
  async peakBytes(): Promise<number> {
    const status = await readFile(`/proc/${this.process.pid}/status`, 'utf8');
    const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
    if (kibibytes === undefined) throw new Error('expected VmHWM in /proc/<pid>/status: this needs Linux');
    return Number(kibibytes) * 1_024;
  }

  async stop(): Promise<void> {
    await this.process.stop();
  }

  logTail(): string {
    return this.process.logTail();
  }
}

export const seconds = (sinceMs: number): string => `${((performance.now() - sinceMs) / 1_000).toFixed(1)} s`;
