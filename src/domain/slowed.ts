/** What slows an operation down just now. Numbers alone: it is state, and passes through a history. */
import { SLOWED_OF_STEP_MAX, SLOWED_SHOWN_MAX } from './limits';
import type { WorkLimits } from './work-limits';

/**
 * - `write_latency`, `delete_latency`: a shard takes longer for a call than it should, so it gets less at once, or rests.
 * - `max_bytes_per_s`, `max_rows_per_s`, `delete_share`: a limit that somebody has set.
 * - `asked_to_wait`: a shard answered with a pause that it wants, as a 429 with Retry-After does.
 */
export const SLOWED_BY = [
  'write_latency',
  'delete_latency',
  'max_bytes_per_s',
  'max_rows_per_s',
  'delete_share',
  'asked_to_wait',
] as const;
export type SlowedBy = (typeof SLOWED_BY)[number];

export interface Slowed {
  readonly by: SlowedBy;
  /** The shard that is spared; of a rate the one that the step reads. Null: it is not in the map, or not known. */
  readonly shardId: number | null;
  /** What the last slow call took, or how long a pause the shard asked for. Absent for limits. */
  readonly seenMs?: number;
  /** What a call may take before it counts as slow. */
  readonly boundMs?: number;
  /** The share of the last seconds in which the step stood still for it. Absent: it does not stand still, or nobody counts. */
  readonly restShare?: number;
}

/** Of one step, those that cost the most. */
export function worstOfStep(slowed: readonly Slowed[]): readonly Slowed[] {
  return worst(slowed, SLOWED_OF_STEP_MAX);
}

/** Of an operation, by shard. */
export function worstOfAll(slowed: readonly Slowed[]): readonly Slowed[] {
  return [...worst(slowed, SLOWED_SHOWN_MAX)].sort((a, b) => (a.shardId ?? -1) - (b.shardId ?? -1));
}

function worst(slowed: readonly Slowed[], most: number): readonly Slowed[] {
  return [...slowed].sort((a, b) => costOf(b) - costOf(a)).slice(0, most);
}

/** A pause stops the step altogether. */
function costOf({ by, restShare = 0 }: Slowed): number {
  return by === 'asked_to_wait' ? 2 : restShare;
}

/** One or two sentences, the same on every surface. `limits`: those of the operation. */
export function slowedInWords(slowed: Slowed, limits: WorkLimits | undefined): string {
  const { restShare } = slowed;
  const cause = causeInWords(slowed, limits);
  if (restShare === undefined) return cause;
  return `${cause}. The step stands still for ${Math.round(restShare * 100)} % of the time`;
}

function causeInWords({ by, shardId, seenMs = 0, boundMs = 0 }: Slowed, limits: WorkLimits | undefined): string {
  const shard = shardId === null ? 'a shard' : `shard ${shardId}`;
  switch (by) {
    case 'write_latency':
      return `A write to ${shard} takes ${seenMs} ms, the bound is ${boundMs} ms: fewer rows go at once`;
    case 'delete_latency':
      return `A delete on ${shard} takes ${seenMs} ms, the bound is ${boundMs} ms: it rests as long`;
    case 'max_bytes_per_s':
    case 'max_rows_per_s': {
      const rate = by === 'max_bytes_per_s' ? limits?.maxBytesPerS : limits?.maxRowsPerS;
      return `The step on ${shard} has used up its part of ${by}${rate == null ? '' : `, which is ${rate}`}`;
    }
    case 'delete_share':
      return `Deletes on ${shard} keep to delete_share${limits?.deleteShare == null ? '' : `, which is ${limits.deleteShare}`}`;
    case 'asked_to_wait':
      return `${shard[0]?.toUpperCase()}${shard.slice(1)} asked for a pause of ${Math.ceil(seenMs / 1_000)} s`;
  }
}
