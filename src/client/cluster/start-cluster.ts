/** How the cluster's workflow is started, for the first time and again. */
import type { ClusterState } from '../../domain/cluster-state';
import type { ClusterInput } from '../../contract/messages';
import { clusterWorkflowId, taskQueue } from '../../contract/ids';

export function clusterStartOptions(cluster: string, state: ClusterState) {
  const input: ClusterInput = { cluster, state };
  return {
    workflowId: clusterWorkflowId(cluster),
    taskQueue: taskQueue(cluster),
    args: [input],
    staticSummary: `shard map of the cluster ${cluster}`,
    staticDetails:
      'Holds the shard map and the lock of the cluster. **Do not terminate it**: no map is served without it.',
  };
}
