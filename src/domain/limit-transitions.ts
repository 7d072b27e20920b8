/** How the cluster's limits change: by the settings of an API at its start, and by hand. Also while an operation runs. */
import type { ClusterState } from './cluster-state';
import { isNoLimit, NO_CLUSTER_LIMITS, requireClusterLimits, stricter, type ClusterLimits } from './work-limits';

/**
 * What holds for all operations from now on. Once something was said, the state keeps it, also when it says "no limit":
 * operations learn of that, too.
 * @throws DomainError InvalidRequest
 */
export function replaceLimits(state: ClusterState, limits: ClusterLimits): ClusterState {
  requireClusterLimits(limits);
  const { areLimitsSeeded: _areSeeded, ...others } = state;
  return { ...others, limits: withoutOthers(limits) };
}

/**
 * By an API at its start. What was said by hand stays. Settings that say nothing lift nothing, and while an operation
 * holds the lock they only tighten: variables that were lost must not let a move run free.
 * @throws DomainError InvalidRequest
 */
export function seedLimits(state: ClusterState, limits: ClusterLimits): ClusterState {
  requireClusterLimits(limits);
  if (areLimitsByHand(state) || isNoLimit(limits)) return state;
  const after = state.lock === null ? limits : stricter(state.limits ?? NO_CLUSTER_LIMITS, limits);
  return { ...state, limits: withoutOthers(after), areLimitsSeeded: true };
}

/** Limits of an earlier release were always said by hand. */
export function areLimitsByHand({ limits, areLimitsSeeded }: ClusterState): boolean {
  return limits !== undefined && areLimitsSeeded !== true;
}

function withoutOthers({ maxBytesPerS, maxRowsPerS, deleteShare, activeFrom, activeTo }: ClusterLimits): ClusterLimits {
  return { maxBytesPerS, maxRowsPerS, deleteShare, activeFrom, activeTo };
}
