/** What `doctor` looks at on the machine that it runs on. */
import { statSync, statfsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { bytes } from '../output/format';
import { bad, good, type Finding } from './findings';

const NODE_MAJOR_MIN = 20;
const NODE_MINOR_MIN = 18;
/** A worker keeps the id of each point that it moves in so many bytes at most. */
const SPOOL_BYTES_PER_ROW = 64;
const SPOOL_FREE_BYTES_MIN = 256 * 1024 * 1024;

export function lookAtNode(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isNew = major > NODE_MAJOR_MIN || (major === NODE_MAJOR_MIN && minor >= NODE_MINOR_MIN);
  const what = ['node', 'Node'] as const;
  if (isNew) return good(what, version);
  return bad('error', what, version, `install Node ${NODE_MAJOR_MIN}.${NODE_MINOR_MIN} or later`);
}

/** A key that other users of the machine can read is nobody's secret. */
export function lookAtKeyFile(path: string | null): Finding[] {
  if (path === null || process.platform === 'win32') return [];
  const what = ['key-file', 'key file'] as const;
  const { mode } = statSync(path);
  if ((mode & 0o077) === 0) return [good(what, `${path} is yours alone`)];
  return [bad('warning', what, `${path} can be read by others`, `chmod 600 ${path}`)];
}

/** Only where the coordinator runs on this machine: elsewhere its disk is another one. `rows` null: nobody knows how many move. */
export function lookAtSpool(
  environment: Readonly<Record<string, string | undefined>>,
  { url, rows }: { url: string; rows: number | null },
): Finding[] {
  if (!isLocal(url)) return [];
  const dataDir = environment['COORDINATOR_DATA_DIR']?.trim() || './.data';
  const folder = resolve(environment['COORDINATOR_SPOOL_DIR']?.trim() || join(dataDir, 'spool'));
  const what = ['spool', 'spool disk'] as const;
  const free = freeBytes(folder);
  if (free === null) return [bad('unknown', what, `${folder} cannot be looked at`, 'make the folder readable')];
  const needed = Math.max(SPOOL_FREE_BYTES_MIN, (rows ?? 0) * SPOOL_BYTES_PER_ROW);
  const seen = `${bytes(free)} free for ${folder}`;
  if (free >= needed) return [good(what, seen)];
  const remedy = `free ${bytes(needed - free)}, or set COORDINATOR_SPOOL_DIR to a folder on a larger disk`;
  return [bad('warning', what, seen, remedy)];
}

export function isLocal(url: string): boolean {
  return /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(new URL(url).hostname);
}

/** Of the disk of the nearest folder that is there: the spool is made when it is needed first. */
function freeBytes(folder: string): number | null {
  for (let at = folder; ; at = dirname(at)) {
    try {
      const { bavail, bsize } = statfsSync(at);
      return bavail * bsize;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || at === dirname(at)) return null;
    }
  }
}
