import { statfs } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, resolve } from 'node:path';
import type { SeenWorker } from '../../contract/messages';
import type { ActivityScope } from '../frame/run-activity';

/** What only this process knows of its machine. Each worker has one of its own, and whoever takes the task tells. */
export function examineWorker(spoolFolder: string) {
  return async ({ attempt }: ActivityScope): Promise<SeenWorker> => {
    const folder = resolve(spoolFolder);
    const spoolFreeBytes = await freeBytes(folder);
    return {
      host: hostname(),
      node: process.versions.node,
      spoolFolder: folder,
      spoolFreeBytes,
      told: attempt.told,
    };
  };
}

/** Of the disk of the nearest folder that is there: the spool is made when it is needed first. */
async function freeBytes(folder: string): Promise<number | null> {
  for (let at = folder; ; at = dirname(at)) {
    try {
      const { bavail, bsize } = await statfs(at);
      return bavail * bsize;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || at === dirname(at)) return null;
    }
  }
}
