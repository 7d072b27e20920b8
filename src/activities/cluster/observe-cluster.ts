import type { AutoscaleActivities } from '../../contract/evaluation-activities';
import { clusterActivity, type ClusterClientDeps } from '../frame/cluster-clients';

/** Only what a decision is made of, so that the history of an evaluation does not grow with what the cluster remembers. */
export function createObserveCluster(deps: ClusterClientDeps): AutoscaleActivities['observeCluster'] {
  return clusterActivity(deps, 'fail', async (client) => {
    const { state, isRewound } = await client.observe();
    const { policy, standbys, lastScaleAtMs, streak, lowStreak = 0 } = state.autoscale;
    return {
      map: state.map,
      autoscale: { policy, standbys, lastScaleAtMs, streak, lowStreak },
      lockedBy: state.lock?.operationId ?? null,
      isRewound,
    };
  });
}
