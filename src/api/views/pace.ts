import { isOver, type Pause } from '../../domain/pause';
import { NO_CLUSTER_LIMITS, NO_LIMITS, type ClusterLimits, type WorkLimits } from '../../domain/work-limits';
import type { OperationView } from '../../wire/coordinator-api';
import { slowedInWords, type Slowed } from '../../domain/slowed';
import type { ClusterLimitsView, LimitsView, SlowedView } from '../../wire/operations/pace';
import { isoOf, isoOrNull } from './times';

/** A pause whose end has passed is over, whether the operation has noticed it yet or not. */
export function viewOfPause(pause: Pause | undefined, nowMs: number): OperationView['paused'] {
  if (pause === undefined || isOver(pause, nowMs)) return null;
  const { reason, sinceMs, untilMs, by, holds } = pause;
  return { reason, since: isoOf(sinceMs), until: isoOrNull(untilMs), by, holds };
}

export function viewOfLimits({ maxBytesPerS, maxRowsPerS, deleteShare }: WorkLimits = NO_LIMITS): LimitsView {
  return { max_bytes_per_s: maxBytesPerS, max_rows_per_s: maxRowsPerS, delete_share: deleteShare };
}

export function viewOfSlowed(slowed: Slowed, limits: WorkLimits | undefined): SlowedView {
  const { by, shardId, seenMs = null, boundMs = null, restShare = null } = slowed;
  const text = slowedInWords(slowed, limits);
  return { shard_id: shardId, by, seen_ms: seenMs, bound_ms: boundMs, rest_share: restShare, text };
}

export function viewOfClusterLimits(limits: ClusterLimits = NO_CLUSTER_LIMITS): ClusterLimitsView {
  return { ...viewOfLimits(limits), active_from: limits.activeFrom, active_to: limits.activeTo };
}
