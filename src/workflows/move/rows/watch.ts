/**
 * Routers are watched through a move: from before the first row is read to the end of the drop (INV-4). One that
 * restarts serves its seeds for a moment, and may write by them.
 */
import { ActivityFailure, TimeoutFailure } from '@temporalio/workflow';
import type { WatchedStep } from '../../../contract/move';
import type { WatchReading } from '../../../contract/watch';
import { nowMs } from '../../clock';
import { noticeRouters } from '../../operation/notices';
import { listOf, routerEntries } from '../../operation/routers';
import type { MoveContext } from '../context';
import { sessionOf } from '../placement';

const SILENCE_PATIENCE_MS = 60_000;
const ASK_AGAIN_MS = 1_000;

/** Opens the watch, or a new one in the place of one that was lost. Returns from when on it holds. */
export async function openWatch(context: MoveContext): Promise<void> {
  const { run } = context;
  const { state } = run;
  if (routerEntries(context) === 0) return;
  const watchId = sessionOf(run);
  const worker = state.watch?.worker ?? null;
  const opened = await run.persist('watching the routers', () =>
    onWatcher(worker, (queue) =>
      run.activities.watch('watch the routers', queue).openWatch({ watchId, ...listOf(context) }),
    ),
  );
  const { worker: watcher, openedAtMs: sinceMs, mark, routerUrls } = opened;
  state.watch = { watchId, worker: watcher, sinceMs, mark, ...(routerUrls === undefined ? {} : { routerUrls }) };
}

/**
 * Whether every router was watched since the watch was opened, or since the last time it was found broken. Where routers
 * cannot be watched, the grace stands for it. `onBroken` is called before anything else happens: who asks meanwhile must
 * not take for unbroken what begins behind this reading.
 */
export async function readWatch(
  context: MoveContext,
  onBroken: (reading: WatchReading & { readonly unbroken: false }) => void = () => undefined,
): Promise<WatchReading | null> {
  const { run, settings } = context;
  const { state } = run;
  if (routerEntries(context) === 0) return null;
  // A map that got another address since has another version, and routers hold that one.
  await run.renewAddresses();
  if (state.watch === null) {
    await openWatch(context);
    return lost('nobody has watched the routers until now');
  }
  const { watchId, worker, sinceMs, mark, routerUrls = context.routerUrls } = state.watch;
  const question = {
    watchId,
    sinceMs,
    marked: { mark, routerUrls },
    list: listOf(context),
    version: state.mapVersion,
    routersFailClosed: settings.routersFailClosed === true,
  };
  const reading = await run.persist('asking whether every router was watched', () =>
    onWatcher(worker, (queue) => run.activities.watch('was every router watched?', queue).readWatch(question)),
  );
  // What was unbroken until this reading is behind it, so the next one is about what comes after it.
  state.watch = { ...state.watch, worker: reading.worker ?? null, sinceMs: reading.readAtMs };
  if (reading.unbroken) return reading;
  onBroken(reading);
  await noticeRouters(run, reading);
  // A router that is gone is marked when it is back.
  if (mustOpenAnew(reading)) await openWatch(context);
  return reading;
}

/**
 * After the flip: whether no router can have written by an old map since the donors were read. A router that is slow to
 * answer has not restarted, so it is asked again for a while.
 */
export async function isWatchUnbroken(context: MoveContext): Promise<boolean> {
  const { run } = context;
  const { state } = run;
  const untilMs = nowMs() + SILENCE_PATIENCE_MS;
  for (;;) {
    const reading = await readWatch(context, ({ suspects }) => {
      if (suspects.length > 0) state.isWatchBroken = true;
    });
    if (reading === null || reading.unbroken) return !state.isWatchBroken;
    if (reading.suspects.length > 0 || nowMs() >= untilMs) {
      state.isWatchBroken = true;
      return false;
    }
    await run.waits.until(
      nowMs() + ASK_AGAIN_MS,
      `not every router answers as it has to: ${reading.reasons.join('; ')}`,
    );
  }
}

/** For a step that relies on a watch that was unbroken at `readAtMs`, and asks again while it runs. Null where there is none. */
export function watchedStep(context: MoveContext, readAtMs: number): WatchedStep | null {
  const { state } = context.run;
  if (state.watch === null || routerEntries(context) === 0) return null;
  const { watchId, sinceMs, mark } = state.watch;
  const routersFailClosed = context.settings.routersFailClosed === true;
  return { watchId, sinceMs, mark, readAtMs, version: state.mapVersion, routersFailClosed, list: listOf(context) };
}

function mustOpenAnew(reading: WatchReading & { readonly unbroken: false }): boolean {
  if (reading.unknown === true || reading.changed === true) return true;
  return reading.suspects.some(({ untilMs }) => untilMs !== null);
}

/** Asks the worker that watches, and any other one when that one is gone. */
async function onWatcher<T>(worker: string | null, ask: (queue: string | null) => Promise<T>): Promise<T> {
  try {
    return await ask(worker);
  } catch (error) {
    if (worker === null || !isUnanswered(error)) throw error;
    return ask(null);
  }
}

function isUnanswered(error: unknown): boolean {
  return error instanceof ActivityFailure && error.cause instanceof TimeoutFailure;
}

function lost(reason: string): WatchReading {
  return { unbroken: false, unknown: true, reasons: [reason], suspects: [], readAtMs: nowMs() };
}
