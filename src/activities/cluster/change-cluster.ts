import type { CoordinatorActivities } from '../../contract/activities';
import { clusterActivity, type ClusterClientDeps } from '../frame/cluster-clients';

/**
 * Applies one transition to the cluster workflow. If this process dies right after the update was applied, the retry applies
 * it again, which changes nothing: every transition of an operation recognises its own repeat.
 */
export function createChangeCluster(deps: ClusterClientDeps): CoordinatorActivities['changeCluster'] {
  return clusterActivity(deps, 'retry', (client, { transition }) => client.applyTransition(transition));
}
