import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Connection } from '@temporalio/client';
import { createLogger } from '../../src/log';
import { connectClient } from '../../src/temporal/connection';
import { startDevServer, type DevServer } from '../../src/temporal/dev-server/dev-server';
import { locateTemporalCli } from '../../src/temporal/dev-server/temporal-cli';

export interface TemporalTarget {
  readonly address: string;
  readonly namespace: string;
}

/** The one server that all test files of a run share. Take workflow ids and task queues of your own; never stop it. */
export async function sharedTemporal(): Promise<TemporalTarget> {
  return { address: await ask('/server'), namespace: 'default' };
}

/** Connects as the product does. It never ends the process, whatever calls it had when it was closed. */
export function connectTo(address: string): Promise<Connection> {
  return connectClient({ address, connection: {}, namespace: 'default', logger: createLogger('silent') });
}

/** The workflows of src, bundled once per run. For a worker's `workflowBundle`. */
export async function sharedWorkflowBundle(): Promise<{ readonly codePath: string }> {
  return { codePath: await ask('/bundle') };
}

/** Jest starts the broker in global-setup.ts, in the one process that all test files have in common. */
async function ask(path: string): Promise<string> {
  const response = await fetch(`${process.env['TEST_TEMPORAL_BROKER'] ?? ''}${path}`);
  const text = await response.text();
  if (!response.ok) throw new Error(`the run of the tests could not offer ${path}: ${text}`);
  return text;
}

/** A server of one's own with a database file: to kill it and start it again on the same address and data. */
export class PrivateTemporal implements TemporalTarget {
  readonly namespace = 'default';
  private readonly dir: string;
  private readonly cli: string;
  private server: DevServer | null = null;
  private port = 0;

  private constructor(dir: string, cli: string) {
    this.dir = dir;
    this.cli = cli;
  }

  static async start(): Promise<PrivateTemporal> {
    const cli = await locateTemporalCli({ report: (line) => process.stderr.write(`${line}\n`) });
    const temporal = new PrivateTemporal(await mkdtemp(join(tmpdir(), 'private-temporal-')), cli);
    await temporal.start();
    return temporal;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    this.server = await startDevServer({
      cli: this.cli,
      dbFile: join(this.dir, 'temporal.db'),
      port: this.port,
      uiPort: null,
      namespace: this.namespace,
    });
    this.port = Number(this.server.address.split(':')[1]);
  }

  /** SIGKILL, and waits until it is gone. */
  async kill(): Promise<void> {
    this.server?.kill();
    await this.server?.exited;
    this.server = null;
  }

  /** Kills it and removes its data. */
  async dispose(): Promise<void> {
    await this.kill();
    await rm(this.dir, { recursive: true, force: true });
  }
}
