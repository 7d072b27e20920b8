import type { ScanReport } from '../contract/move';
import type { Job, Row, RowSource, ScanEvent } from './ports';

/** What a scan of a shard told, and where its changes go on. */
export interface Cut {
  /** The shard stood still for this long. */
  readonly stopMs: number;
  /** The cut holds everything that was acknowledged by then, or more. */
  readonly atMs: number;
  readonly rowsRead: number;
  readonly tookMs: number;
  /** The changes behind the cut. */
  readonly tail: AsyncIterator<ScanEvent>;
  /** Ends the scan, wherever it stands. */
  readonly end: () => void;
}

/** Reads one whole cut. `take` is awaited, so a slow consumer holds the shard's stream back. */
export async function scanCut(
  source: RowSource,
  job: Job,
  take: (collection: string, rows: readonly Row[]) => Promise<void> | void,
): Promise<Cut> {
  const ending = new AbortController();
  const events = source.scan(ending.signal)[Symbol.asyncIterator]();
  const end = (): void => {
    ending.abort();
    // Where nobody asks for more, only this lets the source close its call.
    void events.return?.(undefined).catch(() => undefined);
  };
  const abort = (): void => ending.abort(job.signal.reason);
  job.signal.addEventListener('abort', abort, { once: true });
  const atMs = job.nowMs();
  let stopMs = 0;
  let rowsRead = 0;
  try {
    for (;;) {
      const next = await events.next();
      job.signal.throwIfAborted();
      if (next.done === true) throw new Error(`the scan of ${source.url} ended before its cut did`);
      const { value } = next;
      if (value.kind === 'cut-ended') {
        return { stopMs, atMs, rowsRead, tookMs: job.nowMs() - atMs, tail: events, end };
      }
      if (value.kind === 'started') stopMs = value.stopMs;
      if (value.kind !== 'rows') continue;
      rowsRead += value.rows.length;
      await take(value.collection, value.rows);
    }
  } catch (error) {
    end();
    // The source must not wait for a consumer that is gone.
    await events.return?.(undefined);
    throw error;
  } finally {
    job.signal.removeEventListener('abort', abort);
  }
}

export function reportOf(source: RowSource, { stopMs, rowsRead, tookMs }: Cut): ScanReport {
  const { kind, url, reason } = source;
  return { source: kind, sourceUrl: url, sourceReason: reason, stopMs, rowsRead, tookMs };
}
