/** The package that `npm pack` makes, installed in an empty folder and run as its users run it: by `npx`. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { locateTemporalCli } from '../../src/temporal/dev-server/temporal-cli';
import { freePort } from '../support/free-port';
import { describeWithQuiver, quiverBinary, startQuiver, type RealQuiver } from '../support/real-quiver';
import { waitFor } from '../support/wait-for';

const ROOT = join(__dirname, '../..');
const SETUP_TIMEOUT_MS = 600_000;
const READY_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 20_000;
const API_KEY = 'package-key';

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** One command with all its children, in a process group of its own: npx starts a shell, and that starts the program. */
class Command {
  readonly ended: Promise<Ended>;
  output = '';
  private readonly child: ChildProcess;

  constructor(words: readonly string[], options: { cwd: string; env?: Readonly<Record<string, string>> }) {
    const [command = '', ...args] = words;
    const { PATH = '', HOME = '' } = process.env;
    this.child = spawn(command, args, {
      cwd: options.cwd,
      env: { PATH, HOME, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    }
    const killWithTest = (): void => this.signal('SIGKILL');
    process.once('exit', killWithTest);
    this.ended = new Promise((resolve, reject) => {
      this.child.once('error', reject);
      this.child.once('close', (code) => {
        process.off('exit', killWithTest);
        resolve({ code, output: this.output });
      });
    });
  }

  signal(name: NodeJS.Signals): void {
    try {
      if (this.child.pid !== undefined) process.kill(-this.child.pid, name);
    } catch {
      // It has ended by itself.
    }
  }

  async stop(): Promise<Ended> {
    this.signal('SIGTERM');
    const timer = setTimeout(() => this.signal('SIGKILL'), STOP_TIMEOUT_MS);
    try {
      return await this.ended;
    } finally {
      clearTimeout(timer);
    }
  }
}

async function succeed(words: readonly string[], cwd: string): Promise<void> {
  const { code, output } = await new Command(words, { cwd }).ended;
  if (code !== 0) throw new Error(`${words.join(' ')} ended with exit code ${code}: ${output.slice(-2_000)}`);
}

describeWithQuiver('the package that npm pack makes', () => {
  let dir: string;
  let home: string;
  let shard: RealQuiver | undefined;
  let service: Command | undefined;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'package-'));
    home = join(dir, 'home');
    await mkdir(home);
    await writeFile(join(home, 'package.json'), JSON.stringify({ name: 'home', private: true }));
    await succeed(['npm', 'pack', '--pack-destination', dir], ROOT);
    const tarball = (await readdir(dir)).find((name) => name.endsWith('.tgz')) ?? 'no tarball';
    const quietly = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'];
    await succeed(['npm', 'install', ...quietly, join(dir, tarball)], home);
  }, SETUP_TIMEOUT_MS);

  afterAll(async () => {
    await service?.stop();
    await shard?.kill();
    await rm(dir, { recursive: true, force: true });
  });

  const installed = (...path: readonly string[]): string => join(home, 'node_modules', 'quiver-coordinator', ...path);

  it('holds the built program and its workflow bundle, and neither sources nor tests', async () => {
    expect(existsSync(installed('dist', 'main.js'))).toBe(true);
    expect(existsSync(installed('dist', 'workflow-bundle.js'))).toBe(true);
    expect((await readdir(installed())).sort()).toEqual(['LICENSE', 'README.md', 'dist', 'package.json']);
    const manifest = JSON.parse(await readFile(installed('package.json'), 'utf8')) as { version: string };
    const own = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    expect(manifest.version).toBe(own.version);
  });

  it('says how to use it and ends with exit code 2 without a command', async () => {
    const { code, output } = await new Command(['npx', '--no', 'quiver-coordinator'], { cwd: home }).ended;
    expect(output).toContain('Usage: quiver-coordinator');
    expect(code).toBe(2);
  }, 60_000);

  it('serves the map of a real shard with an embedded Temporal, and stops when it is told to', async () => {
    const temporalCli = await locateTemporalCli({ report: (line) => process.stderr.write(`${line}\n`) });
    shard = await startQuiver({ role: 'shard', binary: quiverBinary() ?? '', dataDir: join(dir, 'shard') });
    const port = await freePort();
    service = new Command(['npx', '--no', 'quiver-coordinator', 'serve'], {
      cwd: home,
      env: {
        TEMPORAL_CLI: temporalCli,
        QUIVER_REST_ADDR: `127.0.0.1:${port}`,
        QUIVER_CLUSTER_SHARDS: `[${shard.url}]`,
        QUIVER_API_KEYS: API_KEY,
        COORDINATOR_DATA_DIR: join(dir, 'data'),
        COORDINATOR_TEMPORAL_PORT: '0',
        COORDINATOR_TEMPORAL_UI_PORT: '0',
      },
    });
    const get = (path: string): Promise<Response> =>
      fetch(`http://127.0.0.1:${port}${path}`, { headers: { authorization: `Bearer ${API_KEY}` } });
    const ready = waitFor('GET /readyz is 200', async () => (await get('/readyz')).ok, READY_TIMEOUT_MS);
    const ended = service.ended.then(({ code, output }) => {
      throw new Error(`it ended while starting with exit code ${code}: ${output.slice(-2_000)}`);
    });
    await Promise.race([ready, ended]);
    const map: unknown = await (await get('/cluster/map')).json();
    expect(map).toMatchObject({ shards: [{ id: 0, primary_url: shard.url, replica_urls: [] }] });
    expect((await service.stop()).output).toContain('"msg":"stopped"');
  }, 180_000);
});
