import type { CoordinatorActivities } from '../../contract/activities';
import { clientFailure, clusterClients, type ClusterClientDeps } from '../frame/cluster-clients';

/**
 * Applies one transition to the cluster workflow. If this process dies right after the update was applied, the retry applies
 * it again, which changes nothing: every transition of an operation recognises its own repeat.
 */
export function createChangeCluster(deps: ClusterClientDeps): CoordinatorActivities['changeCluster'] {
  const clientOf = clusterClients(deps);
  return async ({ cluster, transition }) => {
    try {
      return await clientOf(cluster).applyTransition(transition);
    } catch (error) {
      throw clientFailure(error, cluster, 'retry');
    }
  };
}
