import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { startDevServer, type DevServer, type DevServerOptions } from '../../../src/temporal/dev-server/dev-server';
import { locateTemporalCli } from '../../../src/temporal/dev-server/temporal-cli';
import { waitFor } from '../../support/wait-for';

let cli: string;
let dir: string;
const servers: DevServer[] = [];

beforeAll(async () => {
  cli = await locateTemporalCli({ report: (line) => process.stderr.write(`${line}\n`) });
});
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'dev-server-'));
});
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.kill();
    await server.exited;
  }
  await rm(dir, { recursive: true, force: true });
});

async function start(options: Partial<DevServerOptions> = {}): Promise<DevServer> {
  const server = await startDevServer({
    cli,
    dbFile: join(dir, 'temporal.db'),
    port: 0,
    uiPort: null,
    namespace: 'default',
    ...options,
  });
  servers.push(server);
  return server;
}

async function withClient<T>(server: DevServer, use: (client: Client) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address: server.address });
  try {
    return await use(new Client({ connection }));
  } finally {
    await connection.close();
  }
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

describe('startDevServer', () => {
  it('finds every workflow again after the server was killed with SIGKILL and started on the same file', async () => {
    const first = await start();
    const port = Number(first.address.split(':')[1]);
    await withClient(first, async (client) => {
      for (let i = 0; i < 20; i++) {
        await client.workflow.start('nobody-runs-it', { taskQueue: 'none', workflowId: `kept-${i}`, args: [i] });
      }
      await client.workflow.getHandle('kept-7').terminate('to see that the last thing done is kept too');
    });
    first.kill();
    expect(await first.exited).toEqual({ code: null, signal: 'SIGKILL' });

    const second = await start({ port });
    await withClient(second, async (client) => {
      for (let i = 0; i < 20; i++) {
        const { status } = await client.workflow.getHandle(`kept-${i}`).describe();
        expect(status.name).toBe(i === 7 ? 'TERMINATED' : 'RUNNING');
      }
    });
    expect(second.address).toBe(first.address);
  });

  it('says which port is taken and by what it would be used, when the port is in use', async () => {
    const holder = createServer();
    const port = await new Promise<number>((resolve) => {
      holder.listen(0, '127.0.0.1', () => resolve((holder.address() as AddressInfo).port));
    });
    await expect(start({ port })).rejects.toThrow(`port ${port} for Temporal's gRPC is in use`);
    await expect(start({ uiPort: port })).rejects.toThrow(`port ${port} for Temporal's Web UI is in use`);
    await new Promise((resolve) => holder.close(resolve));
  });

  it('refuses a second server on a database that one is running on', async () => {
    const first = await start();
    await expect(start()).rejects.toThrow(`a Temporal server (process ${first.pid}) already runs on`);
  });

  it('serves the Web UI and the search attributes that were asked for', async () => {
    const server = await start({ dbFile: null, uiPort: 0, searchAttributes: { ClusterName: 'Keyword' } });
    const page = await fetch(server.uiUrl ?? '');
    expect(page.status).toBe(200);
    await withClient(server, async (client) => {
      const { customAttributes } = await client.connection.operatorService.listSearchAttributes({
        namespace: 'default',
      });
      expect(Object.keys(customAttributes)).toContain('ClusterName');
    });
  });

  it('names the reason when the server ends while it starts', async () => {
    await expect(start({ searchAttributes: { Bad: 'NoSuchType' } })).rejects.toThrow(
      /ended while starting \(exit code 1\).*NoSuchType/s,
    );
  });

  it('ends its server when the process that started it is killed with SIGKILL, and the next start takes over', async () => {
    const dbFile = join(dir, 'temporal.db');
    const program = `
      const { startDevServer } = require('./src/temporal/dev-server/dev-server.ts');
      startDevServer(${JSON.stringify({ cli, dbFile, port: 0, uiPort: null, namespace: 'default' })})
        .then((server) => { console.log(server.pid); });`;
    const parent = spawn(process.execPath, ['--import', 'tsx', '-e', program], {
      cwd: join(__dirname, '../../..'),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const pid = await new Promise<number>((resolve, reject) => {
      parent.stdout.once('data', (chunk: Buffer) => resolve(Number(chunk.toString())));
      parent.once('exit', () => reject(new Error('the parent ended before its server was ready')));
    });
    expect(isAlive(pid)).toBe(true);
    parent.kill('SIGKILL');
    await start({ dbFile });
    await waitFor('the orphan has ended', () => !isAlive(pid));
  });
});
