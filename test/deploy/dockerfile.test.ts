import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { NODE_VERSIONS } from '../../scripts/node-versions';

const IMAGE_NODE_MAJOR = 24;

const root = join(__dirname, '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

interface Instruction {
  readonly name: string;
  readonly text: string;
}
interface Stage {
  readonly base: string;
  readonly name: string | null;
  readonly instructions: readonly Instruction[];
}

function stages(): readonly Stage[] {
  const found: { base: string; name: string | null; instructions: Instruction[] }[] = [];
  for (const line of read('Dockerfile').split('\n')) {
    const [, name = '', text = ''] = /^([A-Z]+)\s+(.+)$/.exec(line) ?? [];
    if (name === '') continue;
    if (name === 'FROM') {
      const [base = '', , alias = null] = text.split(/\s+/);
      found.push({ base, name: alias, instructions: [] });
    } else found.at(-1)?.instructions.push({ name, text });
  }
  return found;
}

const all = stages();
const final = all.at(-1);
const textsOf = (stage: Stage | undefined, name: string): readonly string[] =>
  stage?.instructions.filter((instruction) => instruction.name === name).map(({ text }) => text) ?? [];
const stage = (name: string): Stage | undefined => all.find((each) => each.name === name);

/** Sources of the COPY instructions that take from the repository, not from another stage. */
const copiedFromRepository = all
  .flatMap((each) => textsOf(each, 'COPY'))
  .filter((text) => !text.startsWith('--from='))
  .flatMap((text) => text.split(/\s+/).slice(0, -1));

describe('Dockerfile', () => {
  it('has several stages on one base with glibc, and its Node is the version that the campaign tests', () => {
    expect(all.length).toBeGreaterThan(1);
    const tested = NODE_VERSIONS.find(({ major }) => major === IMAGE_NODE_MAJOR)?.version;
    expect([...new Set(all.map(({ base }) => base))]).toEqual([`node:${tested}-bookworm-slim`]);
  });

  it.each(copiedFromRepository)('copies %s, which the repository has and .dockerignore lets through', (source) => {
    expect(existsSync(join(root, source))).toBe(true);
    const allowed = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    expect(allowed.some((each) => source === each || source.startsWith(`${each}/`))).toBe(true);
  });

  it('copies from stages that exist', () => {
    const names = all.flatMap((each) => textsOf(each, 'COPY')).flatMap((text) => /^--from=(\S+)/.exec(text)?.[1] ?? []);
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) expect(stage(name)).toBeDefined();
  });

  it('installs from the lockfile and lets no package run scripts', () => {
    const installs = all.flatMap((each) => textsOf(each, 'RUN')).filter((text) => text.includes('npm ci'));
    expect(installs).toHaveLength(2);
    for (const install of installs) expect(install).toContain('--ignore-scripts');
  });

  it('runs with the dependencies of production only', () => {
    expect(textsOf(stage('dependencies'), 'RUN').join()).toContain('--omit=dev');
    expect(textsOf(final, 'COPY')).toContain('--from=dependencies /app/node_modules ./node_modules');
    expect(textsOf(final, 'RUN').join()).not.toContain('npm');
  });

  it('builds with the script that package.json has', () => {
    expect(textsOf(stage('build'), 'RUN')).toContain('npm run build');
    const { scripts } = JSON.parse(read('package.json')) as { scripts?: Record<string, string> };
    expect(scripts).toHaveProperty('build');
  });

  it('runs as a user without rights and serves by default, on an address that others reach', () => {
    expect(textsOf(final, 'USER')).toEqual(['node']);
    expect(textsOf(final, 'CMD')).toEqual(['["node", "dist/main.js", "serve"]']);
    expect(textsOf(final, 'ENV').join(' ')).toContain('QUIVER_REST_ADDR=0.0.0.0:6333');
    expect(textsOf(final, 'EXPOSE')).toEqual(['6333']);
  });

  it('checks the health of the process at /healthz, the default of its script', () => {
    expect(textsOf(final, 'HEALTHCHECK').join()).toContain('CMD ["node", "deploy/healthcheck.js"]');
  });
});

describe('deploy/healthcheck.js', () => {
  let server: Server | undefined;
  afterEach(() => {
    server?.close();
    server = undefined;
  });

  /** A stand-in for the API; `asked` collects the paths that it was asked for. */
  async function listen(answers: Readonly<Record<string, number>>): Promise<{ port: number; asked: string[] }> {
    const asked: string[] = [];
    server = createServer((request, response) => {
      asked.push(request.url ?? '');
      response.writeHead(answers[request.url ?? ''] ?? 404).end();
    });
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    return { port: (server.address() as AddressInfo).port, asked };
  }

  function check(port: number, ...parameters: readonly string[]): Promise<number | null> {
    const child = spawn(process.execPath, [join(root, 'deploy/healthcheck.js'), ...parameters], {
      env: { ...process.env, QUIVER_REST_ADDR: `0.0.0.0:${port}` },
      stdio: 'ignore',
    });
    return new Promise((resolve) => child.once('exit', resolve));
  }

  it('succeeds when the API answers 200, at /healthz unless told otherwise', async () => {
    const { port, asked } = await listen({ '/healthz': 200, '/readyz': 200 });
    expect(await check(port)).toBe(0);
    expect(await check(port, '/readyz')).toBe(0);
    expect(asked).toEqual(['/healthz', '/readyz']);
  });

  it('fails when the API answers anything else, and when nothing listens', async () => {
    const { port } = await listen({ '/readyz': 503 });
    expect(await check(port, '/readyz')).toBe(1);
    await new Promise((resolve) => server?.close(resolve));
    expect(await check(port)).toBe(1);
  });
});
