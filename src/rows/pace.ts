import type { SlowedBy } from '../domain/slowed';
import { rowBytes } from './row';
import type { Job, Row } from './ports';

/** Limits may change at any time, so no sleep is longer. */
const SLEEP_MAX_MS = 500;

/**
 * How fast a job writes rows. What was written is owed to its limits and is paid off by time, so a call of any size
 * comes through, and the next one waits for it.
 */
export class Pace {
  readonly #job: Job;
  #owedRows = 0;
  #owedBytes = 0;
  #atMs: number;

  constructor(job: Job) {
    this.#job = job;
    this.#atMs = job.nowMs();
  }

  /** Not more than what may be written in a second, so that a slow pace is an even one. */
  atMost({ rows, bytes }: { rows: number; bytes: number }): { rows: number; bytes: number } {
    const { maxRowsPerS, maxBytesPerS } = this.#limits();
    return {
      rows: maxRowsPerS === null ? rows : Math.max(1, Math.min(rows, Math.floor(maxRowsPerS))),
      bytes: maxBytesPerS === null ? bytes : Math.max(1, Math.min(bytes, Math.floor(maxBytesPerS))),
    };
  }

  /** Returns when the next call may begin. Call `owe` for it before anything else is awaited. */
  async ready(): Promise<void> {
    for (let due = this.#pay(); due.waitMs > 0; due = this.#pay()) {
      const sinceMs = this.#job.nowMs();
      await this.#job.sleep(Math.min(Math.ceil(due.waitMs), SLEEP_MAX_MS));
      this.#job.slowness?.rested(due.by, null, sinceMs);
    }
  }

  owe(rows: readonly Row[]): void {
    this.#owedRows += rows.length;
    for (const row of rows) this.#owedBytes += rowBytes(row);
  }

  /** Returns how long it takes until nothing is owed. What was owed to a limit that is gone is forgotten. */
  #pay(): { waitMs: number; by: SlowedBy } {
    const { maxRowsPerS, maxBytesPerS } = this.#limits();
    const nowMs = this.#job.nowMs();
    const seconds = Math.max(0, nowMs - this.#atMs) / 1_000;
    this.#atMs = nowMs;
    this.#owedRows = left(this.#owedRows, maxRowsPerS, seconds);
    this.#owedBytes = left(this.#owedBytes, maxBytesPerS, seconds);
    const [rowsMs, bytesMs] = [msFor(this.#owedRows, maxRowsPerS), msFor(this.#owedBytes, maxBytesPerS)];
    return rowsMs >= bytesMs ? { waitMs: rowsMs, by: 'max_rows_per_s' } : { waitMs: bytesMs, by: 'max_bytes_per_s' };
  }

  #limits(): { maxRowsPerS: number | null; maxBytesPerS: number | null } {
    return this.#job.limits?.() ?? { maxRowsPerS: null, maxBytesPerS: null };
  }
}

function left(owed: number, perSecond: number | null, seconds: number): number {
  return perSecond === null ? 0 : Math.max(0, owed - perSecond * seconds);
}

function msFor(owed: number, perSecond: number | null): number {
  return perSecond === null ? 0 : (owed / perSecond) * 1_000;
}

/** A rest after a delete on a shard that took `tookMs`, such that deletes take at most their share of the time. */
export async function restAfterDelete(
  job: Job,
  { shard, tookMs, atLeastMs }: { shard: number | string; tookMs: number; atLeastMs: number },
): Promise<void> {
  const beganAtMs = job.nowMs();
  for (;;) {
    const share = job.limits?.().deleteShare ?? 1;
    const ofShareMs = tookMs / share - tookMs;
    const restMs = Math.max(atLeastMs, ofShareMs);
    const leftMs = Math.ceil(restMs - (job.nowMs() - beganAtMs));
    if (leftMs <= 0) return;
    const sinceMs = job.nowMs();
    await job.sleep(Math.min(leftMs, SLEEP_MAX_MS));
    job.slowness?.rested(ofShareMs > atLeastMs ? 'delete_share' : 'delete_latency', shard, sinceMs);
  }
}
