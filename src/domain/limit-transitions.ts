import type { ClusterState } from './cluster-state';
import { requireClusterLimits, type ClusterLimits } from './work-limits';

/**
 * What holds for all operations from now on. Once something was said, the state keeps it, also when it says "no limit":
 * operations learn of that, too.
 * @throws DomainError InvalidRequest
 */
export function replaceLimits(state: ClusterState, limits: ClusterLimits): ClusterState {
  requireClusterLimits(limits);
  const { maxBytesPerS, maxRowsPerS, deleteShare, activeFrom, activeTo } = limits;
  return { ...state, limits: { maxBytesPerS, maxRowsPerS, deleteShare, activeFrom, activeTo } };
}
