/** The unit tests and one smoke grow on every Node version of the table, each by that version's own binary. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { hasNodeBinaries, locateNode, NODE_VERSIONS } from '../../scripts/node-versions';
import { locateTemporalCli } from '../../src/temporal/dev-server/temporal-cli';

const ROOT = join(__dirname, '../..');
const FETCH_TIMEOUT_MS = 420_000;
const UNIT_TIMEOUT_MS = 900_000;
const GROW_TIMEOUT_MS = 420_000;
const OUTPUT_SHOWN = 4_000;

const report = (line: string): void => void process.stderr.write(`${line}\n`);

const describeWhereBinariesAre = hasNodeBinaries ? describe : describe.skip;

describeWhereBinariesAre.each(NODE_VERSIONS)('Node $version (binaries are for Linux on x64)', (version) => {
  let dir: string;
  let node: string;
  let env: Record<string, string>;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'node-version-'));
    node = join(dir, 'node');
    await symlink(await locateNode(version, { report }), node);
    const { PATH = '', HOME = '', XDG_CACHE_HOME = '', COORDINATOR_CACHE_DIR = '' } = process.env;
    env = {
      // What starts `node` by its name gets this version too.
      PATH: [dir, PATH].join(delimiter),
      HOME,
      XDG_CACHE_HOME,
      COORDINATOR_CACHE_DIR,
      TEMPORAL_CLI: await locateTemporalCli({ report }),
    };
  }, FETCH_TIMEOUT_MS);

  afterAll(() => rm(dir, { recursive: true, force: true }));

  it('is what runs', async () => {
    expect(await run(['-p', 'process.version'])).toEqual({ code: 0, output: `v${version.version}\n` });
  });

  it(
    'passes the unit tests',
    async () => {
      // A cache of its own: jest writes it in a format that belongs to the Node version.
      const options = ['--ci', '--selectProjects=unit', '--maxWorkers=2', `--cacheDirectory=${join(dir, 'jest')}`];
      const { code, output } = await run([join(ROOT, 'node_modules', 'jest', 'bin', 'jest.js'), ...options]);
      expectSuccess(code, output);
    },
    UNIT_TIMEOUT_MS,
  );

  it(
    'grows a cluster in the quick demo',
    async () => {
      const { code, output } = await run([join(ROOT, 'scripts', 'bootstrap.cjs'), 'demo/index.ts', '--quick']);
      expectSuccess(code, output);
    },
    GROW_TIMEOUT_MS,
  );

  function run(args: readonly string[]): Promise<{ code: number | null; output: string }> {
    const child = spawn(node, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
    const killWithTest = (): void => void child.kill('SIGTERM');
    process.once('exit', killWithTest);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    }
    return new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => {
        process.off('exit', killWithTest);
        resolve({ code, output });
      });
    });
  }

  function expectSuccess(code: number | null, output: string): void {
    if (code !== 0)
      throw new Error(`Node ${version.version} ended with exit code ${code}:\n${output.slice(-OUTPUT_SHOWN)}`);
  }
});
