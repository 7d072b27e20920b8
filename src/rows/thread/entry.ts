/** The thread in which a worker reads and writes rows. */
import { setTimeout as delay } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import type { TraceContext } from '../../domain/trace';
import { ShardError } from '../../shards/errors';
import { steadyNowMs, takeSteadyBase } from '../../shards/steady-clock';
import type { JobProgress } from '../ports';
import { InlineEngine } from './engine';
import type { RemoteJob } from '../remote/remote-job';
import { toFailure } from './errors';
import { readLease } from './lease';
import type { FromThread, ThreadData, ToThread } from './protocol';

const port = parentPort;
if (port === null) throw new Error('this file is the entry of a thread');

const options = workerData as ThreadData;
takeSteadyBase(options.steadyBase);
const engine = new InlineEngine(options);
const aborts = new Map<number, AbortController>();
/** By job: who waits to learn until when every router is known to be watched. */
const renewals = new Map<number, (untilMs: number | null) => void>();
/** A request of a job may go on for so long after its answer was lost. */
const REQUEST_MS = 30_000;
const REPORT_EVERY_MS = 250;

port.on('message', (message: ToThread) => {
  if (message.kind === 'run') void run(message);
  else if (message.kind === 'abort') abortJob(message.id);
  else if (message.kind === 'watched') renewals.get(message.id)?.(message.untilMs);
  else if (message.kind === 'endSession') void endSession(message);
});

function tell(message: FromThread): void {
  port?.postMessage(message);
}

function abortJob(id: number): void {
  aborts.get(id)?.abort();
  renewals.get(id)?.(null);
}

async function endSession({ id, session }: Extract<ToThread, { kind: 'endSession' }>): Promise<void> {
  await engine.endSession(session);
  tell({ kind: 'done', id, result: null });
}

async function run({ id, request, deadlineMs, lease, trace }: Extract<ToThread, { kind: 'run' }>): Promise<void> {
  const abort = new AbortController();
  aborts.set(id, abort);
  try {
    const result = await engine.run(
      jobOf(id, { deadlineMs, lease: new Float64Array(lease), signal: abort.signal, trace }),
      request,
    );
    tell({ kind: 'done', id, result });
  } catch (error) {
    tell({ kind: 'failed', id, failure: toFailure(error, abort.signal.aborted) });
  } finally {
    aborts.delete(id);
  }
}

function jobOf(
  id: number,
  {
    deadlineMs,
    lease,
    signal,
    trace,
  }: { deadlineMs: number; lease: Float64Array; signal: AbortSignal; trace: TraceContext | null },
): RemoteJob {
  let hasWritten = false;
  let reportedAtMs = 0;
  const { mayWriteUntilMs, limits } = readLease(lease);
  return {
    limits,
    signal,
    nowMs: () => steadyNowMs(),
    sleep: async (ms) => {
      await delay(ms, undefined, { signal });
    },
    report: (progress: JobProgress) => {
      signal.throwIfAborted();
      if (steadyNowMs() - reportedAtMs < REPORT_EVERY_MS) return;
      reportedAtMs = steadyNowMs();
      tell({ kind: 'progress', id, progress });
    },
    tellSlowed: (slowed) => {
      tell({ kind: 'slowed', id, slowed });
    },
    renewWatch: async () => {
      signal.throwIfAborted();
      const answer = new Promise<number | null>((resolve) => renewals.set(id, resolve));
      tell({ kind: 'renewWatch', id });
      const untilMs = await answer;
      renewals.delete(id);
      signal.throwIfAborted();
      return untilMs;
    },
    reading: { deadlineMs, signal, trace },
    write: async (send) => {
      signal.throwIfAborted();
      if (steadyNowMs() >= mayWriteUntilMs()) throw new OutOfTime();
      if (!hasWritten) tell({ kind: 'writes', id, lateWritesUntilMs: 0 });
      hasWritten = true;
      try {
        return await send({ deadlineMs: steadyNowMs() + REQUEST_MS, trace });
      } catch (error) {
        const mayArrive = error instanceof ShardError && error.outcomeUnknown;
        if (mayArrive) tell({ kind: 'writes', id, lateWritesUntilMs: steadyNowMs() + REQUEST_MS });
        throw error;
      }
    },
  };
}

class OutOfTime extends Error {
  constructor() {
    super('the time of this attempt is over, so it no longer writes: the next attempt goes on');
    this.name = 'AttemptOutOfTime';
  }
}
