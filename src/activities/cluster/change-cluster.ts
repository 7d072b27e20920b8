import { ApplicationFailure } from '@temporalio/common';
import { WorkflowNotFoundError, WorkflowUpdateFailedError, type Client } from '@temporalio/client';
import { transitionUpdate } from '../../contract/messages';
import { clusterWorkflowId } from '../../contract/ids';
import type { CoordinatorActivities } from '../../contract/activities';

/** How long one transition may take. The cluster workflow answers at once or not at all. */
const TRANSITION_TIMEOUT_MS = 8_000;

/**
 * Applies one transition to the cluster workflow. If this process dies right after the update was applied, the retry applies
 * it again, which changes nothing: every transition of an operation recognises its own repeat.
 */
export function createChangeCluster(deps: { client: Client }): CoordinatorActivities['changeCluster'] {
  return async ({ cluster, transition }) => {
    const handle = deps.client.workflow.getHandle(clusterWorkflowId(cluster));
    try {
      return await deps.client.withDeadline(Date.now() + TRANSITION_TIMEOUT_MS, () =>
        handle.executeUpdate(transitionUpdate, { args: [transition] }),
      );
    } catch (error) {
      throw transitionFailure(error, cluster);
    }
  };
}

function transitionFailure(error: unknown, cluster: string): unknown {
  if (error instanceof WorkflowUpdateFailedError && error.cause instanceof ApplicationFailure) {
    const { message, type } = error.cause;
    return ApplicationFailure.create({ message, type: type ?? 'InvalidRequest', nonRetryable: true });
  }
  if (error instanceof WorkflowNotFoundError) {
    return ApplicationFailure.create({
      type: 'ClusterStateLost',
      message: `expected the running workflow ${clusterWorkflowId(cluster)}, found none: look at GET /readyz, and begin it again with POST /cluster/restore`,
      cause: error,
    });
  }
  return error;
}
