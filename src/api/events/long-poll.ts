/** `Prefer: wait=N` (RFC 7240): an answer that waits until what is asked for changes. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ApiError } from '../http/problem';
import { noteHeld } from '../http/request-trail';
import type { EventHub, Seat } from './hub';
import type { Lookout } from './lookout';

/** A proxy or a client mostly gives up after this. */
const WAIT_MAX_S = 60;

/** Seconds that the caller prefers to wait, 60 at most; null when it has no such wish. */
export function preferredWaitS({ headers }: Pick<IncomingMessage, 'headers'>): number | null {
  const { prefer } = headers;
  const given = (Array.isArray(prefer) ? prefer.join() : (prefer ?? '')).split(',');
  const waits = given.flatMap((each) => /^\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:;|$)/i.exec(each)?.[1] ?? []);
  const seconds = Number(waits[0] ?? 0);
  return seconds === 0 ? null : Math.min(seconds, WAIT_MAX_S);
}

/** Where too many wait already, a wish to wait is not heard, and the answer comes at once. */
export function seatIfFree(join: () => Seat): Seat | null {
  try {
    return join();
  } catch (error) {
    if (error instanceof ApiError && error.code === 'TooManySubscribers') return null;
    throw error;
  }
}

/** What the wait of one caller needs. */
export interface LongPoll {
  readonly response: ServerResponse;
  readonly waitS: number;
  /** Brings the lookout up to date. Its failure ends the wait. */
  readonly look: () => Promise<unknown>;
  readonly isReached: () => boolean;
}

/** Waits, leaves the seat, and says on the answer that the wish was heard. @throws what `look` throws */
export async function awaitTold(
  events: Pick<EventHub, 'isClosed'>,
  { lookout, leave }: Seat,
  { response, waitS, look, isReached }: LongPoll,
): Promise<void> {
  noteHeld(response);
  try {
    await look();
    await untilTold(lookout, { response, waitMs: waitS * 1_000, isReached });
  } finally {
    leave();
  }
  response.setHeader('Preference-Applied', `wait=${waitS}`);
  // It began before the listener closed, which waits for its connection.
  if (events.isClosed) response.setHeader('Connection', 'close');
}

/** Resolves when `isReached` holds, after `waitMs`, when nothing more comes, or when the caller has gone. */
function untilTold(
  lookout: Lookout,
  { response, waitMs, isReached }: { response: ServerResponse; waitMs: number; isReached: () => boolean },
): Promise<void> {
  if (isReached() || lookout.isOver || response.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      response.off('close', end);
      stopListening();
      resolve();
    };
    const timer = setTimeout(end, waitMs);
    const take = (): void => {
      if (isReached()) end();
    };
    const stopListening = lookout.listen({ take, end });
    response.once('close', end);
  });
}
