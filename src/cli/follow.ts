/**
 * Watches an operation to its end. Ctrl-C ends only the watching: the operation runs in Temporal and needs nobody who looks. The same
 * holds for an API that goes away meanwhile: it is asked again.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Context } from './context';
import { CliError, EXIT, type ExitCode } from './exit';
import { duration } from './output/format';
import { Live } from './output/live';
import { newsOf, progressLines } from './output/progress';
import { operationText } from './output/operation-text';
import { ProblemError, UnreachableError, type Answer } from './rest/client';
import { operationSchema, type Operation } from './rest/shapes';

/** How long an API may be away before the watching ends. */
const PATIENCE_MS = 120_000;
const POLL_MS = 1_000;
/** A coordinator that can wait for a change is asked to, and then not sooner again than this. */
const LONG_POLL_S = 5;
const LONG_POLL_PAUSE_MS = 200;

export interface FollowOptions {
  readonly timeoutS?: number | undefined;
  /** Ends that count as done. */
  readonly goodEnds: readonly Operation['status'][];
}

/** Why the watching ended before the operation did. */
class Detached extends Error {
  constructor(why: string) {
    super(why);
    this.name = 'Detached';
  }
}

export const operationPath = (id: string): string => `/cluster/operations/${encodeURIComponent(id)}`;

/** Prints the operation when it has ended. @returns running when the watching ended before it */
export async function follow(context: Context, id: string, options: FollowOptions): Promise<ExitCode> {
  const { io } = context;
  const live = new Live({
    output: io.stderr,
    isDrawn: io.stderr.isTTY === true && io.environment['TERM'] !== 'dumb',
    nowMs: io.nowMs,
  });
  try {
    const { value, raw } = await detachable(context, options.timeoutS, (signal) => poll(context, id, { live, signal }));
    live.clear();
    context.print(raw, (style) => operationText(value, io.nowMs(), style));
    return options.goodEnds.includes(value.status) ? EXIT.done : EXIT.failed;
  } catch (error) {
    if (!(error instanceof Detached)) throw error;
    // A terminal shows ^C where the cursor was.
    io.stderr.write(`${io.stderr.isTTY === true ? '\n' : ''}${error.message}: ${id} runs on. ${howToGoOn(id)}\n`);
    return EXIT.running;
  }
}

export function howToGoOn(id: string): string {
  return `Watch it with: quiver-coordinator op watch ${id}. Cancel the operation with: quiver-coordinator op cancel ${id}`;
}

/**
 * Runs `work` until Ctrl-C or the time is over. A call under way is cut off, and may have its effect all the same.
 * @throws Detached
 */
export async function detachable<T>(
  { io }: Context,
  timeoutS: number | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const release = io.onInterrupt(() => stop.abort(new Detached('detached')));
  const timer =
    timeoutS === undefined
      ? undefined
      : setTimeout(() => stop.abort(new Detached(`${duration(timeoutS)} are over`)), timeoutS * 1_000);
  try {
    return await work(stop.signal);
  } catch (error) {
    // What the abort interrupts fails with an error of its own.
    throw stop.signal.aborted ? stop.signal.reason : error;
  } finally {
    clearTimeout(timer);
    release();
  }
}

export function isDetached(error: unknown): error is Error {
  return error instanceof Detached;
}

async function poll(
  context: Context,
  id: string,
  { live, signal }: { live: Live; signal: AbortSignal },
): Promise<Answer<Operation>> {
  const { io, client } = context;
  const isShown = context.options.quiet !== true;
  let last: Answer<Operation> | null = null;
  let awaySinceMs: number | null = null;
  const show = (lines: readonly string[], news: string): void => {
    if (isShown) live.show(lines, news);
  };
  for (;;) {
    let isLongPolled = false;
    try {
      const etag: string | null = last?.headers.get('etag') ?? null;
      // Without a known answer to wait beyond, the first one would come late.
      const headers: Record<string, string> =
        etag === null ? {} : { Prefer: `wait=${LONG_POLL_S}`, 'If-None-Match': etag };
      const call = { path: operationPath(id), headers, signal };
      const { response, text } = await client.fetch(call);
      isLongPolled = response.headers.has('preference-applied');
      if (response.status !== 304) last = client.read(operationSchema, { response, text }, call);
      awaySinceMs = null;
      if (last !== null && last.value.status !== 'running') return last;
      if (last !== null) {
        const lines = progressLines(last.value, { nowMs: io.nowMs(), width: live.width });
        show(lines, newsOf(last.value));
      }
    } catch (error) {
      if (signal.aborted || !mayPass(error)) throw error;
      awaySinceMs ??= io.nowMs();
      const awayMs = io.nowMs() - awaySinceMs;
      if (awayMs > PATIENCE_MS) {
        throw new CliError(EXIT.unreachable, `${error.message}. ${id} runs on without it. ${howToGoOn(id)}`);
      }
      show([`${id}: no word of it for ${duration(awayMs / 1_000)}, asking again: ${error.message}`], error.message);
    }
    await delay(isLongPolled ? LONG_POLL_PAUSE_MS : POLL_MS, undefined, { signal });
  }
}

/** No answer, or one that says that a later one may differ. */
function mayPass(error: unknown): error is CliError {
  return error instanceof UnreachableError || (error instanceof ProblemError && error.exitCode === EXIT.unreachable);
}
