/**
 * The first thing that every npm script runs, on a clean clone too: plain JavaScript without a dependency. Installs what package-lock.json
 * asks for when node_modules is missing or older, then runs the script that it was given with what else it was given.
 */
const { spawn, spawnSync } = require('node:child_process');
const { existsSync, readFileSync } = require('node:fs');
const { dirname, join } = require('node:path');

const root = dirname(__dirname);
const NODE_MAJOR_MIN = 20;
const NODE_MINOR_MIN = 18;

const [script, ...args] = process.argv.slice(2);
if (script === undefined) fail('usage: node scripts/bootstrap.cjs <script.ts> [arguments]');

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < NODE_MAJOR_MIN || (major === NODE_MAJOR_MIN && minor < NODE_MINOR_MIN)) {
  fail(`this needs Node ${NODE_MAJOR_MIN}.${NODE_MINOR_MIN} or newer, and this is ${process.versions.node}`);
}

if (!isInstalled()) {
  console.log('Installing the dependencies of package-lock.json (npm ci, about a minute, once) …');
  const npmArgs = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const { status } = spawnSync('npm', npmArgs, { cwd: root, stdio: 'inherit' });
  if (status !== 0) fail('npm ci failed: see above');
}

if (!existsSync(join(root, script))) fail(`there is no ${script}`);
const tsx = join(root, 'node_modules', 'tsx', 'dist', 'cli.mjs');
const child = spawn(process.execPath, [tsx, join(root, script), ...args], { cwd: root, stdio: 'inherit' });
// Ctrl-C reaches the whole process group by itself; the script decides how it ends, and this process ends after it.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => child.kill('SIGTERM'));
child.on('exit', (code, signal) => process.exit(signal === null ? code : 1));

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
