/** What a job in the thread may do by now, in memory that the worker and its thread share. */
import type { WorkLimits } from '../../domain/work-limits';

const MAY_WRITE_UNTIL_MS = 0;
const MAX_BYTES_PER_S = 1;
const MAX_ROWS_PER_S = 2;
const DELETE_SHARE = 3;
const FIELDS = 4;

/** No limit is 0, so 0 stands for none. */
const NONE = 0;

export function newLease(): SharedArrayBuffer {
  return new SharedArrayBuffer(FIELDS * Float64Array.BYTES_PER_ELEMENT);
}

/** As of now. `limits` is absent where nothing limits the job. */
export interface Leasing {
  readonly mayWriteUntilMs: () => number;
  limits?(): WorkLimits;
}

export function writeLease(lease: Float64Array, job: Leasing): void {
  lease[MAY_WRITE_UNTIL_MS] = job.mayWriteUntilMs();
  const limits = job.limits?.();
  lease[MAX_BYTES_PER_S] = limits?.maxBytesPerS ?? NONE;
  lease[MAX_ROWS_PER_S] = limits?.maxRowsPerS ?? NONE;
  lease[DELETE_SHARE] = limits?.deleteShare ?? NONE;
}

export function readLease(lease: Float64Array): Required<Leasing> {
  const limit = (field: number): number | null => lease[field] || null;
  return {
    mayWriteUntilMs: () => lease[MAY_WRITE_UNTIL_MS] ?? 0,
    limits: () => ({
      maxBytesPerS: limit(MAX_BYTES_PER_S),
      maxRowsPerS: limit(MAX_ROWS_PER_S),
      deleteShare: limit(DELETE_SHARE),
    }),
  };
}
