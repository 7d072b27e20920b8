import { chmod, mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  locate,
  locateOrInstall,
  runInstaller,
  type Installation,
  type Tool,
} from '../../../src/temporal/dev-server/tool-cache';

let dir: string;
let lines: string[];
const report = (line: string): void => void lines.push(line);

beforeEach(async () => {
  lines = [];
  dir = await mkdtemp(join(tmpdir(), 'tool-cache-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function executable(...path: string[]): Promise<string> {
  const file = join(dir, ...path);
  await mkdir(join(file, '..'), { recursive: true });
  await writeFile(file, '#!/bin/sh\n');
  await chmod(file, 0o755);
  return file;
}

/** Counts how often it is run; writes `content` as the program. */
function installation(name: string, outcome: string | Error): Installation & { runs: () => number } {
  let runs = 0;
  return {
    needs: `${name} to be there`,
    announcement: `trying ${name}`,
    runs: () => runs,
    run: async (into) => {
      runs += 1;
      if (outcome instanceof Error) throw outcome;
      await writeFile(join(into, 'built'), outcome);
      return join(into, 'built');
    },
  };
}

const tool = (...installations: Installation[]): Tool => ({
  name: 'gadget',
  title: 'Gadget',
  variable: 'GADGET_BIN',
  installations,
});
const env = (more: Record<string, string> = {}): Record<string, string> => ({ COORDINATOR_CACHE_DIR: dir, ...more });

describe('locateOrInstall', () => {
  it('prefers the named program to PATH, PATH to the cache and the cache to an installation', async () => {
    const way = installation('a build', 'new');
    const cached = await executable('bin', 'gadget');
    const onPath = await executable('on-path', 'gadget');
    const named = await executable('named');
    const path = { PATH: `${join(dir, 'nowhere')}:${join(dir, 'on-path')}` };
    const find = (from: Record<string, string>): Promise<string> =>
      locateOrInstall(tool(way), { env: env(from), report });

    expect(await find({ ...path, GADGET_BIN: named })).toBe(named);
    expect(await find(path)).toBe(onPath);
    expect(await find({})).toBe(cached);
    expect(way.runs()).toBe(0);
  });

  it('takes the next way when one fails, says so, and leaves nothing of the failed one', async () => {
    const first = installation('a download', new Error('no network'));
    const path = await locateOrInstall(tool(first, installation('a build', 'program')), { env: env(), report });
    expect(await readFile(path, 'utf8')).toBe('program');
    expect(await readdir(join(dir, 'bin'))).toEqual(['gadget']);
    expect(lines.join('\n')).toMatch(/trying a download\n.*no network.*\n.*trying a build\n.*installed as/);
    expect(await locate(tool(), env())).toBe(path);
  });

  it('names every way in one error when none succeeds', async () => {
    const ways = tool(installation('a download', new Error('no network')), installation('a build', new Error('no go')));
    await expect(locateOrInstall(ways, { env: env(), report })).rejects.toThrow(
      /set GADGET_BIN to its path; put gadget on PATH; a download to be there \(tried: no network\); a build to be there \(tried: no go\)/,
    );
  });

  it('refuses a variable that names no executable file instead of looking elsewhere', async () => {
    await executable('bin', 'gadget');
    const from = env({ GADGET_BIN: join(dir, 'missing') });
    await expect(locateOrInstall(tool(), { env: from, report })).rejects.toThrow('GADGET_BIN is set to');
  });

  it('installs once when two ask at the same time', async () => {
    const way = installation('a build', 'program');
    const both = [1, 2].map(() => locateOrInstall(tool(way), { env: env(), report }));
    const [one, other] = await Promise.all(both);
    expect(one).toBe(other);
    expect(way.runs()).toBe(1);
    expect(lines.join('\n')).toContain('waiting for another process');
  });

  it('takes over the lock of an installation that was killed', async () => {
    const lock = join(dir, 'bin', 'gadget.lock');
    await mkdir(join(dir, 'bin'));
    await writeFile(lock, 'killed');
    const longAgo = new Date(Date.now() - 60_000);
    await utimes(lock, longAgo, longAgo);
    await locateOrInstall(tool(installation('a build', 'program')), { env: env(), report });
    expect(await readdir(join(dir, 'bin'))).toEqual(['gadget']);
  });
});

describe('runInstaller', () => {
  const run = (script: string, timeoutMs = 10_000): Promise<void> =>
    runInstaller({ command: 'sh', args: ['-c', script], env: process.env, timeoutMs }, report);

  it('gives the last line that the installer wrote when it fails', async () => {
    await expect(run('echo first >&2; echo the reason >&2; exit 3')).rejects.toThrow('exit code 3: the reason');
  });

  it('kills an installer and its children when its time is up', async () => {
    await expect(run('sleep 60 & wait', 200)).rejects.toThrow('sh took over 0.2 s');
  });

  it('says that a toolchain is not installed when its command is missing', async () => {
    const missing = { command: 'no-such-toolchain', args: [], env: process.env, timeoutMs: 1_000 };
    await expect(runInstaller(missing, report)).rejects.toThrow('no-such-toolchain is not installed');
  });
});
