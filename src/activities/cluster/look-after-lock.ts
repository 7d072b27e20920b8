import type { AutoscaleActivities } from '../../contract/evaluation-activities';
import { clusterActivity, type ClusterClientDeps } from '../frame/cluster-clients';

/** Harmless to repeat, and to do twice at once: the recovery of one lock has one id. */
export function createLookAfterLock(deps: ClusterClientDeps): AutoscaleActivities['lookAfterLock'] {
  return clusterActivity(deps, 'fail', (client, { settings }) => client.lookAfterLock(settings));
}
