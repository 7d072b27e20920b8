/** Real Quiver processes, for tests, demo and measurements. The product itself never starts one. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  locate,
  locateOrInstall,
  runInstaller,
  type Environment,
  type Report,
  type Tool,
} from '../../src/temporal/dev-server/tool-cache';
import { freePort } from './free-port';
import { waitFor } from './wait-for';

const QUIVER_VERSION = '1.1.0';
const BUILD_TIMEOUT_MS = 2_700_000;
const READY_TIMEOUT_MS = 30_000;
const HOST = '127.0.0.1';

const quiver = (env: Environment): Tool => ({
  name: 'quiver',
  title: 'Quiver',
  variable: 'QUIVER_BIN',
  installations: [
    {
      needs: `install a Rust toolchain, so that cargo install quiverdb-cli can build it`,
      announcement: `building ${QUIVER_VERSION} with cargo install (about 7 minutes on 2 cores, once)`,
      run: async (dir, report) => {
        const args = ['install', '--locked', 'quiverdb-cli', '--version', QUIVER_VERSION, '--root', dir];
        await runInstaller({ command: 'cargo', args, env, timeoutMs: BUILD_TIMEOUT_MS }, report);
        return join(dir, 'bin', 'quiver');
      },
    },
  ],
});

/** The path of a Quiver binary: QUIVER_BIN, PATH, the per-user cache, else built into that cache. @throws ToolMissingError */
export async function locateQuiver(options: { report: Report; env?: Environment }): Promise<string> {
  const env = options.env ?? process.env;
  return locateOrInstall(quiver(env), { env, report: options.report });
}

/** The same, without building it. */
export const locateInstalledQuiver = (): Promise<string | null> => locate(quiver(process.env), process.env);

/** The binary that jest's global setup found, or null: then the tests that need it are reported as skipped. */
export const quiverBinary = (): string | null => process.env['TEST_QUIVER_BIN'] || null;

/** `describe` where there is a real Quiver; elsewhere its tests are reported as skipped, never as passed. */
export function describeWithQuiver(title: string, tests: () => void): void {
  const run = quiverBinary() === null ? describe.skip : describe;
  run(title, tests);
}

export interface QuiverOptions {
  readonly role: 'shard' | 'router' | 'coordinator';
  readonly binary: string;
  /** Made when it is missing. Log and data are in it. */
  readonly dataDir: string;
  /** Admin keys; none means open to all. */
  readonly keys?: readonly string[];
  /** More settings: QUIVER_CLUSTER_SHARDS, QUIVER_COORDINATOR_URL, QUIVER_CLUSTER_SHARD_KEY, … */
  readonly env?: Readonly<Record<string, string>>;
  /** REST port. Default: a free one. */
  readonly port?: number;
}

export async function startQuiver(options: QuiverOptions): Promise<RealQuiver> {
  await mkdir(options.dataDir, { recursive: true });
  const quiver = new RealQuiver(options, options.port ?? (await freePort()));
  await quiver.start();
  return quiver;
}

/** The settings that make a Quiver process a router of `shards` which polls its map from `coordinatorUrl`. */
export function routerEnvironment(cluster: {
  shards: readonly string[];
  coordinatorUrl: string;
  shardKey: string;
}): Record<string, string> {
  return {
    QUIVER_CLUSTER_SHARDS: `[${cluster.shards.join(',')}]`,
    QUIVER_COORDINATOR_URL: cluster.coordinatorUrl,
    QUIVER_CLUSTER_SHARD_KEY: cluster.shardKey,
  };
}

export class RealQuiver {
  readonly port: number;
  private readonly options: QuiverOptions;
  private child: ChildProcess | null = null;
  private exited: Promise<void> = Promise.resolve();

  constructor(options: QuiverOptions, port: number) {
    this.options = options;
    this.port = port;
  }

  get url(): string {
    return `http://${HOST}:${this.port}`;
  }

  get pid(): number | undefined {
    return this.child?.pid;
  }

  get isRunning(): boolean {
    return this.child !== null && this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Starts, or starts again on the same port and data, and waits until it answers. */
  async start(): Promise<void> {
    const { binary, dataDir, role, keys = [], env = {} } = this.options;
    const log = await open(join(dataDir, 'quiver.log'), 'a');
    const child = spawn(binary, ['serve'], {
      cwd: dataDir,
      stdio: ['ignore', log.fd, log.fd],
      env: {
        PATH: process.env['PATH'],
        QUIVER_DATA_DIR: join(dataDir, 'data'),
        QUIVER_REST_ADDR: `${HOST}:${this.port}`,
        // Where the coordinator looks for it (COORDINATOR_SHARD_GRPC_PORT_OFFSET).
        QUIVER_GRPC_ADDR: `${HOST}:${this.port + 1}`,
        QUIVER_INSECURE: 'true',
        ...(keys.length > 0 ? { QUIVER_API_KEYS: keys.join(',') } : {}),
        ...(role === 'coordinator' ? { QUIVER_COORDINATOR: 'true' } : {}),
        ...env,
      },
    });
    await log.close();
    this.child = child;
    this.exited = new Promise((resolve) => child.once('exit', () => resolve()).once('error', () => resolve()));
    const killWithTest = (): void => void child.kill('SIGKILL');
    process.once('exit', killWithTest);
    void this.exited.then(() => process.off('exit', killWithTest));
    await waitFor(`Quiver (${role}) answers`, () => this.answers(), READY_TIMEOUT_MS).catch(async (error: unknown) => {
      await this.kill();
      throw new Error(`Quiver did not start; its log ends with: ${await this.logTail()}`, { cause: error });
    });
  }

  private async answers(): Promise<boolean> {
    const response = await fetch(`${this.url}/healthz`);
    await response.arrayBuffer();
    return response.ok;
  }

  /** SIGKILL, and waits until the process is gone. */
  async kill(): Promise<void> {
    this.child?.kill('SIGKILL');
    await this.exited;
  }

  async stop(): Promise<void> {
    this.child?.kill('SIGTERM');
    const timer = setTimeout(() => this.child?.kill('SIGKILL'), 5_000);
    await this.exited;
    clearTimeout(timer);
  }

  async restart(): Promise<void> {
    await this.kill();
    await this.start();
  }

  async logTail(): Promise<string> {
    const log = await readFile(join(this.options.dataDir, 'quiver.log'), 'utf8').catch(() => '');
    return log.slice(-2_000);
  }
}
