/** What an API does once at its start, as soon as the cluster answers: it gives the cluster what its settings say. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';

const PAUSE_FIRST_MS = 1_000;
const PAUSE_MAX_MS = 30_000;

export interface OnceAtStart {
  /** For people: what is to be seeded, such as `the limits`. */
  readonly what: string;
  readonly logger: Logger;
  readonly stopping: AbortSignal;
  /** Ends early when the signal fires, without an error. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/**
 * Tries again until it succeeds, or `stopping` fires; never throws. A cluster that is just starting is no news, one that
 * fails for half a minute is: the settings do not count until then.
 */
export async function onceAtStart(
  seed: () => Promise<void>,
  { what, logger, stopping, pause = wait }: OnceAtStart,
): Promise<void> {
  let isTold = false;
  for (let pauseMs = PAUSE_FIRST_MS; !stopping.aborted; pauseMs = Math.min(2 * pauseMs, PAUSE_MAX_MS)) {
    try {
      await seed();
      if (isTold) logger.info({ what }, 'what the settings say was seeded after all');
      return;
    } catch (error) {
      const isNews: boolean = pauseMs === PAUSE_MAX_MS && !isTold;
      logger[isNews ? 'warn' : 'debug'](
        { what, err: error },
        'what the settings say could not be seeded yet, and does not count: it is tried again',
      );
      isTold ||= isNews;
    }
    await pause(pauseMs, stopping);
  }
}

async function wait(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal, ref: false }).catch(() => undefined);
}
