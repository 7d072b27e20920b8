/** Coordinator processes as an operator runs them, `node dist/main.js`, each part in a process of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT } from '../scripts/run-command';
import { freePort } from '../test/support/real-quiver';
import { waitFor } from '../test/support/wait-for';

export const KEY = 'bench-key';
const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 12_000;

export interface CoordinatorOptions {
  readonly dir: string;
  readonly temporalAddress: string;
  /** Also the cluster's name, so that runs on one Temporal never meet. */
  readonly name: string;
  readonly shardUrls: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** An `api` and a `worker`, ready to be used. */
export class CoordinatorRun {
  readonly url: string;
  private readonly options: CoordinatorOptions;
  private readonly children: ChildProcess[] = [];
  private worker: ChildProcess | null = null;

  private constructor(options: CoordinatorOptions, port: number) {
    this.options = options;
    this.url = `http://127.0.0.1:${port}`;
  }

  static async start(options: CoordinatorOptions): Promise<CoordinatorRun> {
    await mkdir(options.dir, { recursive: true });
    const port = await freePort();
    const run = new CoordinatorRun(options, port);
    run.worker = await run.launch('worker', 0);
    await run.launch('api', port);
    try {
      await waitFor('the coordinator is ready', () => run.isReady(), READY_TIMEOUT_MS);
    } catch (error) {
      await run.stop();
      throw new Error(`the coordinator did not get ready; its logs end with: ${await run.logTails()}`, {
        cause: error,
      });
    }
    return run;
  }

  /** The most memory that the worker's process has held since its start, in bytes. */
  async workerPeakBytes(): Promise<number> {
    const status = await readFile(`/proc/${this.worker?.pid}/status`, 'utf8');
    const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
    if (kibibytes === undefined) throw new Error('expected VmHWM in /proc/<pid>/status: this part needs Linux');
    return Number(kibibytes) * 1_024;
  }

  async stop(): Promise<void> {
    await Promise.all(this.children.map(stopProcess));
  }

  async logTails(): Promise<string> {
    const texts = ['api', 'worker'].map((role) =>
      readFile(join(this.options.dir, `${role}.log`), 'utf8').catch(() => ''),
    );
    return (await Promise.all(texts)).map((text) => text.slice(-2_000)).join('\n');
  }

  private async isReady(): Promise<boolean> {
    if (this.children.some((child) => child.exitCode !== null)) throw new Error('a process has ended');
    const response = await fetch(`${this.url}/readyz`);
    await response.arrayBuffer();
    return response.ok;
  }

  private async launch(role: 'api' | 'worker', port: number): Promise<ChildProcess> {
    const { dir, temporalAddress, name, shardUrls, env = {} } = this.options;
    const log = await open(join(dir, `${role}.log`), 'a');
    const child = spawn(process.execPath, [join(ROOT, 'dist', 'main.js'), role], {
      cwd: dir,
      stdio: ['ignore', log.fd, log.fd],
      env: {
        PATH: process.env['PATH'],
        TEMPORAL_ADDRESS: temporalAddress,
        QUIVER_REST_ADDR: `127.0.0.1:${port}`,
        QUIVER_API_KEYS: KEY,
        QUIVER_CLUSTER_SHARD_KEY: KEY,
        QUIVER_CLUSTER_SHARDS: `[${shardUrls.join(',')}]`,
        COORDINATOR_CLUSTER: name,
        ...env,
      },
    });
    await log.close();
    const killWithParent = (): void => void child.kill('SIGKILL');
    process.once('exit', killWithParent);
    child.once('exit', () => process.off('exit', killWithParent));
    this.children.push(child);
    return child;
  }
}

async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(timer);
}
