/** The built program itself, as a process: settings, start, stop, and an embedded Temporal that is killed under it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startDevServer, type DevServer } from '../../src/temporal/dev-server/dev-server';
import { locateTemporalCli } from '../../src/temporal/dev-server/temporal-cli';
import { MAIN, requireFreshBuild } from '../support/coordinator-process';
import { waitFor } from '../support/wait-for';

const START_TIMEOUT_MS = 60_000;
const LAST_WORDS_CHARS = 4_000;
// Whole processes start here, on whatever else the machine does.
jest.setTimeout(240_000);
const KEY = 'key-that-must-not-be-logged';
const SHARD_KEY = 'shard-key-that-must-not-be-logged';

let cli: string;
let dir: string;
const programs: Program[] = [];

beforeAll(async () => {
  requireFreshBuild();
  cli = await locateTemporalCli({ report: (line) => process.stderr.write(`${line}\n`) });
}, 1_800_000);
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'main-'));
});
afterEach(async () => {
  await Promise.all(programs.splice(0).map((program) => program.kill()));
  rmSync(dir, { recursive: true, force: true });
});

/** One run of the program in a folder of its own, so that no file of this machine is read as a setting. */
class Program {
  readonly exit: Promise<number | null>;
  stdout = '';
  stderr = '';
  private readonly child: ChildProcess;

  constructor(args: readonly string[], environment: Record<string, string>) {
    const env = {
      PATH: process.env['PATH'] ?? '',
      HOME: dir,
      TEMPORAL_CLI: cli,
      QUIVER_REST_ADDR: '127.0.0.1:0',
      QUIVER_API_KEYS: KEY,
      QUIVER_CLUSTER_SHARD_KEY: SHARD_KEY,
      QUIVER_CLUSTER_SHARDS: 'http://127.0.0.1:1,http://127.0.0.1:2',
      COORDINATOR_DATA_DIR: join(dir, 'data'),
      COORDINATOR_TEMPORAL_PORT: '0',
      COORDINATOR_TEMPORAL_UI_PORT: '0',
      ...environment,
    };
    this.child = spawn(process.execPath, [MAIN, ...args], { cwd: dir, env });
    this.child.stdout?.on('data', (chunk: Buffer) => (this.stdout += chunk.toString()));
    this.child.stderr?.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    this.exit = new Promise((done) => this.child.once('close', done));
    programs.push(this);
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  /** With its last words, which say why when it ended otherwise. */
  async endsWith(code: number): Promise<void> {
    const ended = await this.exit;
    const words = ended === code ? '' : this.stdout.slice(-LAST_WORDS_CHARS) + this.stderr.slice(-LAST_WORDS_CHARS);
    expect({ ended, words }).toEqual({ ended: code, words: '' });
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.exit;
  }

  lines(): Record<string, unknown>[] {
    const complete = this.stdout.split('\n').filter((line) => line.startsWith('{') && line.endsWith('}'));
    return complete.map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /** The log line with this message, as soon as it is there. */
  logged(msg: string): Promise<Record<string, unknown>> {
    const seen = (): Record<string, unknown> | undefined => this.lines().find((line) => line['msg'] === msg);
    return waitFor(`the log line "${msg}" of ${this.stdout} ${this.stderr}`, seen, START_TIMEOUT_MS);
  }

  async url(): Promise<string> {
    return String((await this.logged('listening'))['url']);
  }
}

const get = (url: string): Promise<Response> => fetch(url, { headers: { Authorization: `Bearer ${KEY}` } });
const isReady = async (url: string): Promise<boolean> => (await get(`${url}/readyz`)).status === 200;

async function isServedFresh(url: string): Promise<boolean> {
  const answer = await get(`${url}/cluster/map`);
  return answer.status === 200 && answer.headers.get('coordinator-map-stale') === null;
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

const embeddedPid = (): number =>
  (JSON.parse(readFileSync(join(dir, 'data', 'temporal.db.pid'), 'utf8')) as { pid: number }).pid;

describe('the program', () => {
  it('ends with exit code 2, and says why, when it is started in a way that cannot work', async () => {
    const ends = async (args: readonly string[], environment: Record<string, string>) => {
      const program = new Program(args, environment);
      return { exit: await program.exit, stderr: program.stderr };
    };
    const line = (pattern: RegExp) => ({ exit: 2, stderr: expect.stringMatching(pattern) as unknown });
    expect(
      await Promise.all([
        ends([], {}),
        ends(['serv'], {}),
        ends(['serve', 'now'], {}),
        ends(['serve'], { COORDINATOR_GRACE_MS: 'soon' }),
        ends(['worker'], {}),
      ]),
    ).toEqual([
      line(/^Usage: quiver-coordinator /),
      line(/^error: unknown command 'serv'\n\(Did you mean serve\?\)\n/),
      line(/^error: too many arguments for 'serve'/),
      line(/^COORDINATOR_GRACE_MS: expected [^\n]+\n$/),
      line(/^TEMPORAL_ADDRESS: expected [^\n]+\n$/),
    ]);
  });

  it.each([0o640, 0o604])('ends up with exit code 2 where its key file has the mode %o', async (mode) => {
    const folder = join(dir, `open-${mode}`);
    mkdirSync(folder);
    writeFileSync(join(folder, 'admin.key'), `${KEY}\n`, { mode });
    chmodSync(join(folder, 'admin.key'), mode);
    const up = new Program(['up'], { QUIVER_API_KEYS: '', COORDINATOR_DATA_DIR: folder });
    await up.endsWith(2);
    expect(up.stderr).toMatch(/^COORDINATOR_API_KEYS_FILE: expected \S+admin\.key to be readable for its owner only/m);
    expect(up.stdout + up.stderr).not.toContain(KEY);
  });

  it('serves on a Temporal of its own, restarts it when it is killed, and ends in order on SIGTERM', async () => {
    const program = new Program(['serve'], {});
    const url = await program.url();
    await waitFor('it is ready', () => isReady(url), START_TIMEOUT_MS);
    expect(await (await get(`${url}/cluster/map`)).json()).toMatchObject({
      version: 1,
      shards: [{ id: 0 }, { id: 1 }],
    });

    const page = await Promise.all(['/', '/page/page.js'].map((path) => fetch(`${url}${path}`)));
    expect(page.map(({ status }) => status)).toEqual([200, 200]);

    const firstPid = embeddedPid();
    process.kill(firstPid, 'SIGKILL');
    const secondPid = await waitFor('another Temporal runs', () => embeddedPid() !== firstPid && embeddedPid());
    await waitFor('the map is served fresh again', () => isServedFresh(url), START_TIMEOUT_MS);

    program.signal('SIGTERM');
    await program.endsWith(0);
    expect(isAlive(secondPid)).toBe(false);
    expect(program.lines().map((line) => line['msg'])).toEqual(expect.arrayContaining(['stopping', 'stopped']));
    expect(program.stdout + program.stderr).not.toMatch(/must-not-be-logged/);
  });

  it('calls neither itself nor a metadata address, takes keys from a file, and limits wrong ones', async () => {
    const keys = join(dir, 'keys');
    writeFileSync(keys, 'from-the-file-must-not-be-logged\n');
    const program = new Program(['serve'], {
      QUIVER_API_KEYS: '',
      COORDINATOR_API_KEYS_FILE: keys,
      COORDINATOR_SHARD_KEY_FILE: keys,
      COORDINATOR_ALLOWED_HOSTS: '127.0.0.0/8',
      COORDINATOR_FAILED_KEYS_PER_MIN: '2',
    });
    const url = await program.url();
    await waitFor('it is ready', () => isReady(url), START_TIMEOUT_MS);
    const add = async (primary_url: string, key = 'from-the-file-must-not-be-logged') => {
      const headers = { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' };
      const answer = await fetch(`${url}/cluster/shards`, {
        method: 'POST',
        headers,
        body: JSON.stringify({ primary_url }),
      });
      return { status: answer.status, code: ((await answer.json()) as { code?: string }).code };
    };
    const refused = { status: 422, code: 'AddressNotAllowed' };
    expect(await add('http://169.254.169.254')).toEqual(refused);
    expect(await add('http://10.0.0.1:6333')).toEqual(refused);
    expect(await add(url)).toEqual(refused);
    const { address } = (await program.logged('Temporal started')) as { address: string };
    expect(await add(`http://${address}`)).toEqual(refused);
    for (const status of [401, 401, 429]) expect((await add('http://127.0.0.1:3', 'wrong')).status).toBe(status);
    expect((await add('http://127.0.0.1:3')).status).toBe(200);
    program.signal('SIGTERM');
    await program.endsWith(0);
    expect(program.stdout + program.stderr).not.toMatch(/must-not-be-logged/);
  });

  it('finds its cluster again after a SIGKILL, whatever the settings say by then', async () => {
    const first = new Program(['serve'], {});
    const firstUrl = await first.url();
    await waitFor('it is ready', () => isReady(firstUrl), START_TIMEOUT_MS);
    const add = await fetch(`${firstUrl}/cluster/shards`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${KEY}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ primary_url: 'http://127.0.0.1:3' }),
    });
    expect(add.status).toBe(200);
    await first.kill();

    const second = new Program(['serve'], { QUIVER_CLUSTER_SHARDS: 'http://127.0.0.1:9' });
    const url = await second.url();
    await waitFor('it is ready', () => isReady(url), START_TIMEOUT_MS);
    expect(await (await get(`${url}/cluster/map`)).json()).toEqual(await add.json());
  });

  it('runs everything with up: prints four lines, makes a key of its own and keeps it', async () => {
    const settings = { QUIVER_API_KEYS: '', QUIVER_CLUSTER_SHARDS: '' };
    const keyFile = join(dir, 'data', 'admin.key');
    const up = new Program(['up', 'http://127.0.0.1:1', 'http://127.0.0.1:2'], settings);
    const [api = '', page, webUi, goOn] = await waitFor(
      `the four lines of ${up.stderr}`,
      () => up.stdout.includes('Go on') && up.stdout.trimEnd().split('\n'),
      START_TIMEOUT_MS,
    );
    expect(up.stdout.trimEnd().split('\n')).toHaveLength(4);
    const url = api.replace(/^API +/, '');
    expect(page).toBe(`Status page  ${url}/`);
    expect(webUi).toMatch(/^Web UI +http:/);
    expect(goOn).toContain(`COORDINATOR_URL=${url} COORDINATOR_KEY_FILE=${keyFile} `);
    expect(statSync(keyFile).mode & 0o777).toBe(0o600);
    const key = readFileSync(keyFile, 'utf8').trim();
    const asked = new Program(['map', '-o', 'json'], { COORDINATOR_URL: url, COORDINATOR_KEY_FILE: keyFile });
    await asked.endsWith(0);
    expect(JSON.parse(asked.stdout)).toMatchObject({ shards: [{ id: 0 }, { id: 1 }] });
    // A router presents the key of the shards: it may read the map, and change nothing.
    const router = { Authorization: `Bearer ${SHARD_KEY}` };
    expect((await fetch(`${url}/cluster/map`, { headers: router })).status).toBe(200);
    expect((await fetch(`${url}/cluster/shards/1`, { method: 'DELETE', headers: router })).status).toBe(403);
    up.signal('SIGINT');
    await up.endsWith(0);
    expect(up.stdout + up.stderr).not.toContain(key);
    expect(up.stdout + up.stderr).not.toMatch(/must-not-be-logged/);

    const again = new Program(['up'], settings);
    await waitFor('it is up again', () => again.stdout.includes('Go on'), START_TIMEOUT_MS);
    expect(readFileSync(keyFile, 'utf8').trim()).toBe(key);
    again.signal('SIGTERM');
    await again.endsWith(0);
  });

  it('refuses up beside another Temporal', async () => {
    const up = new Program(['up'], { TEMPORAL_ADDRESS: '127.0.0.1:7233' });
    await up.endsWith(2);
    expect(up.stderr).toMatch(/TEMPORAL_ADDRESS: expected nothing/);
  });

  it('does not begin anew at version 0 when its database is lost, says so, and begins again above the last map when it is told to', async () => {
    const first = new Program(['serve'], {});
    const firstUrl = await first.url();
    const post = async (url: string, body: unknown): Promise<unknown> => {
      const headers = { Authorization: `Bearer ${KEY}`, 'Content-Type': 'application/json' };
      return (await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })).json();
    };
    await waitFor('it is ready', () => isReady(firstUrl), START_TIMEOUT_MS);
    await post(`${firstUrl}/cluster/shards`, { primary_url: 'http://127.0.0.1:3' });
    const map = (await (await get(`${firstUrl}/cluster/map`)).json()) as object;
    first.signal('SIGTERM');
    await first.endsWith(0);
    for (const file of readdirSync(join(dir, 'data'))) {
      if (file.startsWith('temporal.db')) rmSync(join(dir, 'data', file));
    }

    const url = await new Program(['serve'], {}).url();
    const lost = await waitFor('it says what is wrong', async () => {
      const answer = await get(`${url}/readyz`);
      const { code, detail } = (await answer.json()) as { code: string; detail: string };
      return answer.status === 503 && code === 'ClusterLost' && detail;
    });
    expect(lost).toMatch(/published-default\.json holds version 2\..*POST \/cluster\/restore/);
    expect((await get(`${url}/cluster/map`)).status).toBe(503);
    expect(await post(`${url}/cluster/restore`, { last_known: true })).toMatchObject({
      map: { version: 3 },
      next_id: 3,
    });
    await waitFor('it is ready', () => isReady(url));
    expect(await (await get(`${url}/cluster/map`)).json()).toEqual({ ...map, version: 3 });
  });

  it('ends with exit code 2 when its address is taken, and leaves no Temporal behind', async () => {
    const holder = createServer();
    await new Promise<void>((done) => holder.listen(0, '127.0.0.1', done));
    const { port } = holder.address() as AddressInfo;
    const program = new Program(['serve'], { QUIVER_REST_ADDR: `127.0.0.1:${port}` });
    await program.logged('Temporal started');
    const pid = embeddedPid();
    await program.endsWith(2);
    expect(program.stderr).toMatch(/^QUIVER_REST_ADDR: .*EADDRINUSE/m);
    expect(isAlive(pid)).toBe(false);
    await new Promise((done) => holder.close(done));
  });
});

describe('api and worker as processes of their own', () => {
  let temporal: DevServer;
  beforeAll(async () => {
    temporal = await startDevServer({ cli, dbFile: null, port: 0, uiPort: null, namespace: 'default' });
  }, START_TIMEOUT_MS);
  afterAll(() => temporal.stop());

  it('work side by side on one Temporal, and each can be stopped without the other', async () => {
    const environment = { TEMPORAL_ADDRESS: temporal.address, COORDINATOR_CLUSTER: 'side-by-side' };
    const api = new Program(['api'], environment);
    const url = await api.url();
    expect((await get(`${url}/readyz`)).status).toBe(503);

    const workers = [new Program(['worker'], environment), new Program(['worker'], environment)];
    const other = new Program(['api'], environment);
    await waitFor(
      'both APIs are ready',
      async () => (await isReady(url)) && (await isReady(await other.url())),
      60_000,
    );

    workers[0]!.signal('SIGTERM');
    await workers[0]!.endsWith(0);
    await waitFor('the other worker answers', () => isServedFresh(url));
    other.signal('SIGINT');
    await other.endsWith(0);
    expect(await isReady(url)).toBe(true);
  });

  it('answers a request that is under way when SIGTERM comes, and takes no new one', async () => {
    const environment = { TEMPORAL_ADDRESS: temporal.address, COORDINATOR_CLUSTER: 'no-worker' };
    const api = new Program(['api'], environment);
    const url = await api.url();
    // Nothing answers the query behind it, so it is under way for as long as a query may take.
    const underWay = get(`${url}/cluster/operations`);
    await waitFor('the request has arrived', async () => (await get(`${url}/healthz`)).ok);
    api.signal('SIGTERM');
    await api.logged('stopping');
    await expect(get(`${url}/healthz`)).rejects.toThrow();
    expect((await underWay).status).toBe(503);
    await api.endsWith(0);
  });
});
