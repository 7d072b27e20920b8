/** An `api` and a `worker` as an operator runs them, each in a process of its own. */
import { readFile } from 'node:fs/promises';
import { startCoordinator, type CoordinatorProcess } from '../test/support/coordinator-process';

export const KEY = 'bench-key';

export interface CoordinatorOptions {
  readonly temporalAddress: string;
  /** The cluster's name: runs on one Temporal never meet. */
  readonly name: string;
  readonly shardUrls: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export class CoordinatorRun {
  private readonly worker: CoordinatorProcess;
  private readonly api: CoordinatorProcess;

  private constructor(worker: CoordinatorProcess, api: CoordinatorProcess) {
    this.worker = worker;
    this.api = api;
  }

  static async start({ temporalAddress, name, shardUrls, env = {} }: CoordinatorOptions): Promise<CoordinatorRun> {
    const settings = {
      TEMPORAL_ADDRESS: temporalAddress,
      QUIVER_REST_ADDR: '127.0.0.1:0',
      QUIVER_API_KEYS: KEY,
      QUIVER_CLUSTER_SHARD_KEY: KEY,
      QUIVER_CLUSTER_SHARDS: `[${shardUrls.join(',')}]`,
      COORDINATOR_CLUSTER: name,
      ...env,
    };
    const worker = await startCoordinator({ role: 'worker', env: settings });
    try {
      return new CoordinatorRun(worker, await startCoordinator({ role: 'api', env: settings }));
    } catch (error) {
      await worker.kill();
      throw error;
    }
  }

  get url(): string {
    return this.api.url;
  }

  /** The most memory that the worker's process has held since its start, in bytes. */
  async workerPeakBytes(): Promise<number> {
    const status = await readFile(`/proc/${this.worker.pid}/status`, 'utf8');
    const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
    if (kibibytes === undefined) throw new Error('expected VmHWM in /proc/<pid>/status: this part needs Linux');
    return Number(kibibytes) * 1_024;
  }

  async stop(): Promise<void> {
    await Promise.all([this.api.stop(), this.worker.stop()]);
  }

  logTails(): string {
    return `${this.api.logTail()}\n${this.worker.logTail()}`;
  }
}
