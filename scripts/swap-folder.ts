import { access, rename, rm } from 'node:fs/promises';

const ATTEMPTS_MAX = 5;

/** Puts the folder `fresh` where `target` is, if it is. Another process may do the same at the same moment: the later one stays. */
export async function swapFolder(fresh: string, target: string): Promise<void> {
  await access(fresh);
  const old = `${fresh}-old`;
  for (let attempt = 1; ; attempt++) {
    try {
      await rename(target, old);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    try {
      await rename(fresh, target);
      return;
    } catch (error) {
      // Somebody else's folder has come to stand there in between.
      if (attempt === ATTEMPTS_MAX) throw error;
    } finally {
      await rm(old, { recursive: true, force: true });
    }
  }
}
