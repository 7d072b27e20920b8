import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { waitFor } from '../support/wait-for';

const BOOTSTRAP = join(__dirname, '../../scripts/bootstrap.cjs');

/** A project with a lockfile, and an `npm` that writes down how it was called and installs what the lockfile asks for. */
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'bootstrap-'));
  write('scripts/hello.ts', '');
  mkdirSync(join(root, 'bin'));
  copyFileSync(BOOTSTRAP, join(root, 'scripts/bootstrap.cjs'));
  write(
    'bin/npm',
    `#!${process.execPath}
    const fs = require('node:fs');
    fs.appendFileSync('npm-calls', process.argv.slice(2).join(' ') + '\\n');
    if (fs.existsSync('npm-fails')) process.exit(1);
    while (fs.existsSync('npm-hangs')) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
    fs.mkdirSync('node_modules/tsx/dist', { recursive: true });
    fs.copyFileSync('package-lock.json', 'node_modules/.package-lock.json');
    fs.writeFileSync('node_modules/tsx/dist/loader.mjs', 'console.log("ran", ...process.argv.slice(2)); process.exit(7);');`,
  );
  chmodSync(join(root, 'bin/npm'), 0o755);
  lock({ 'node_modules/a': { version: '1.0.0', integrity: 'x' } });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}
const lock = (packages: Record<string, object>): void =>
  write('package-lock.json', JSON.stringify({ packages: { '': { name: 'project' }, ...packages } }));

function run(...args: string[]): { status: number | null; output: string; installs: number } {
  const env = { PATH: `${join(root, 'bin')}:${process.env['PATH'] ?? ''}` };
  const child = spawnSync(process.execPath, [join(root, 'scripts/bootstrap.cjs'), ...args], { env, encoding: 'utf8' });
  const calls = existsSync(join(root, 'npm-calls')) ? readFileSync(join(root, 'npm-calls'), 'utf8') : '';
  return { status: child.status, output: child.stdout + child.stderr, installs: calls.split('\n').length - 1 };
}

function start(...args: string[]): { pid: number | undefined; output: () => string; ended: Promise<unknown> } {
  const env = { PATH: `${join(root, 'bin')}:${process.env['PATH'] ?? ''}` };
  const child = spawn(process.execPath, [join(root, 'scripts/bootstrap.cjs'), ...args], { env });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  return { pid: child.pid, output: () => output, ended: new Promise((done) => child.once('close', done)) };
}

describe('scripts/bootstrap.cjs', () => {
  it('installs on a clean clone, says so, and runs the script with its arguments and its exit code', () => {
    const { status, output, installs } = run('scripts/hello.ts', '--quick', 'x');
    expect(output).toMatch(/^Installing the dependencies.*\nran --quick x\n$/);
    expect({ status, installs }).toEqual({ status: 7, installs: 1 });
    expect(readFileSync(join(root, 'npm-calls'), 'utf8')).toMatch(/^ci --ignore-scripts /);
  });

  it('installs nothing when node_modules holds what the lockfile asks for', () => {
    run('scripts/hello.ts');
    const { output, installs } = run('scripts/hello.ts');
    expect(output).toBe('ran\n');
    expect(installs).toBe(1);
  });

  it('installs again when the lockfile asks for another version', () => {
    run('scripts/hello.ts');
    lock({ 'node_modules/a': { version: '1.0.1', integrity: 'y' } });
    expect(run('scripts/hello.ts').installs).toBe(2);
  });

  it('does not miss a package that is optional and for another platform', () => {
    run('scripts/hello.ts');
    lock({
      'node_modules/a': { version: '1.0.0', integrity: 'x' },
      'node_modules/b': { version: '1.0.0', optional: true },
    });
    expect(run('scripts/hello.ts').installs).toBe(1);
  });

  it('fails and runs nothing when the installation fails', () => {
    write('npm-fails', '');
    const { status, output } = run('scripts/hello.ts');
    expect(status).toBe(1);
    expect(output).toContain('npm ci failed');
    expect(existsSync(join(root, '.installing'))).toBe(false);
    expect(output).not.toContain('ran');
  });

  it('waits for another process that is installing, says so, and does not install again', async () => {
    write('npm-hangs', '');
    const first = start('scripts/hello.ts', 'first');
    await waitFor('npm runs', () => existsSync(join(root, 'npm-calls')));
    const second = start('scripts/hello.ts', 'second');
    await waitFor('the second one waits', () => second.output().includes('Waiting'));
    expect(second.output()).toBe(`Waiting for process ${first.pid}, which is installing the dependencies …\n`);
    rmSync(join(root, 'npm-hangs'));
    await Promise.all([first.ended, second.ended]);
    expect(first.output()).toMatch(/^Installing .*\nran first\n$/);
    expect(second.output()).toMatch(/^Waiting .*\nran second\n$/);
    expect(readFileSync(join(root, 'npm-calls'), 'utf8').split('\n')).toHaveLength(2);
  });

  it('takes over from a process that was killed while it installed, and leaves nothing behind', () => {
    const { pid } = spawnSync(process.execPath, ['-e', '']);
    write('.installing/holder', `${pid} some-token`);
    expect(run('scripts/hello.ts')).toMatchObject({ installs: 1, status: 7 });
    expect(readdirSync(root).filter((name) => name.startsWith('.installing'))).toEqual([]);
  });

  it('names a script that is not there', () => {
    expect(run('scripts/absent.ts')).toMatchObject({
      status: 1,
      output: expect.stringContaining('scripts/absent.ts') as string,
    });
  });
});
