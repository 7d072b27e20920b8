/**
 * The first thing that every npm script runs, on a clean clone too: plain JavaScript without a dependency. Installs what package-lock.json
 * asks for when node_modules is missing or older, then runs the script that it was given with what else it was given.
 */
const { spawn, spawnSync } = require('node:child_process');
const { randomUUID } = require('node:crypto');
const { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } = require('node:fs');
const { dirname, join } = require('node:path');
const { pathToFileURL } = require('node:url');

const root = dirname(__dirname);
const lock = join(root, '.installing');
const LOCK_POLL_MS = 300;
const NODE_MAJOR_MIN = 20;
const NODE_MINOR_MIN = 18;

const [script, ...args] = process.argv.slice(2);
if (script === undefined) fail('usage: node scripts/bootstrap.cjs <script.ts> [arguments]');

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < NODE_MAJOR_MIN || (major === NODE_MAJOR_MIN && minor < NODE_MINOR_MIN)) {
  fail(`this needs Node ${NODE_MAJOR_MIN}.${NODE_MINOR_MIN} or newer, and this is ${process.versions.node}`);
}

if (!isInstalled()) install();

if (!existsSync(join(root, script))) fail(`there is no ${script}`);
const tsx = pathToFileURL(join(root, 'node_modules', 'tsx', 'dist', 'loader.mjs')).href;
// As a loader, not as tsx's own command: on Ctrl-C that one kills a script which takes more than 30 ms to notice, before it has cleaned up.
const child = spawn(process.execPath, ['--import', tsx, join(root, script), ...args], { cwd: root, stdio: 'inherit' });
// Ctrl-C reaches the whole process group by itself; the script decides how it ends, and this process ends after it.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => child.kill('SIGTERM'));
child.on('exit', (code, signal) => process.exit(signal === null ? code : 1));

/** One process installs; another one that was started meanwhile waits for it. */
function install() {
  const graves = takeLock();
  let hasFailed = false;
  try {
    // Whoever had the lock before may just have done it.
    if (isInstalled()) return;
    console.log('Installing the dependencies of package-lock.json (npm ci, about a minute, once) …');
    const npmArgs = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
    hasFailed = spawnSync('npm', npmArgs, { cwd: root, stdio: 'inherit' }).status !== 0;
  } finally {
    for (const folder of [lock, ...graves]) rmSync(folder, { recursive: true, force: true });
  }
  if (hasFailed) fail('npm ci failed: see above');
}

/**
 * The lock is a folder that names its holder. It is made aside and renamed, so that it is never there without the name. Two processes may
 * find the lock of a dead one at once: its grave takes it only once, so that the second one cannot move the first one's new lock away.
 * Returns the graves, which have to stay until the lock is given back.
 */
function takeLock() {
  const token = randomUUID();
  const mine = `${lock}.${token}`;
  mkdirSync(mine);
  writeFileSync(join(mine, 'holder'), `${process.pid} ${token}`);
  const graves = [];
  for (let told = null; !isMoved(mine, lock);) {
    const holder = lockHolder();
    if (holder === null) continue;
    const grave = `${lock}.${holder.token}.dead`;
    if (!isAlive(holder.pid) && isMoved(lock, grave)) {
      graves.push(grave);
      continue;
    }
    if (told !== holder.token) console.log(`Waiting for process ${holder.pid}, which is installing the dependencies …`);
    told = holder.token;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOCK_POLL_MS);
  }
  return graves;
}

/** A folder cannot be moved onto one that holds something. */
function isMoved(from, to) {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if (['ENOTEMPTY', 'EEXIST', 'EPERM', 'ENOENT'].includes(error.code)) return false;
    throw error;
  }
}

/** Null: it has just been given back. */
function lockHolder() {
  try {
    const [pid, token] = readFileSync(join(lock, 'holder'), 'utf8').split(' ');
    return { pid: Number(pid), token };
  } catch (error) {
    if (error.code === 'ENOENT') return null;
    throw error;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** npm writes down what it installed: every package that the lockfile asks for has to stand there in the same version. */
function isInstalled() {
  const written = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(written)) return false;
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  const present = JSON.parse(readFileSync(written, 'utf8')).packages;
  return Object.entries(wanted).every(([path, { version, integrity, optional }]) => {
    if (path === '') return true;
    const found = present[path];
    // A package for another platform is asked for and rightly not there.
    if (found === undefined) return optional === true;
    return found.version === version && found.integrity === integrity;
  });
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
