import type { AutoscaleActivities } from '../../contract/evaluation-activities';
import { clientFailure, clusterClients, type ClusterClientDeps } from '../frame/cluster-clients';

/** Harmless to repeat, and to do twice at once: the recovery of one lock has one id. */
export function createLookAfterLock(deps: ClusterClientDeps): AutoscaleActivities['lookAfterLock'] {
  const clientOf = clusterClients(deps);
  return async ({ cluster, settings }) => {
    try {
      return await clientOf(cluster).lookAfterLock(settings);
    } catch (error) {
      throw clientFailure(error, cluster, 'fail');
    }
  };
}
