import { QueryRejectedError, type Client } from '@temporalio/client';
import { ApplicationFailure, WorkflowNotFoundError } from '@temporalio/common';
import { clusterWorkflowId, stateQuery } from '../workflows/messages';
import type { AutoscaleActivities } from './autoscale-contract';
import { openWorkflows } from './open-workflows';

const QUERY_TIMEOUT_MS = 5_000;

/** Only what a decision is made of, so that the history of an evaluation does not grow with what the cluster remembers. */
export function createObserveCluster(deps: { client: Client }): AutoscaleActivities['observeCluster'] {
  const workflows = openWorkflows(deps.client);
  return async ({ cluster }) => {
    try {
      const { map, autoscale, lock } = await deps.client.withDeadline(Date.now() + QUERY_TIMEOUT_MS, () =>
        workflows().getHandle(clusterWorkflowId(cluster)).query(stateQuery),
      );
      const { policy, standbys, lastScaleAtMs, streak } = autoscale;
      return { map, autoscale: { policy, standbys, lastScaleAtMs, streak }, lockedBy: lock?.operationId ?? null };
    } catch (error) {
      throw clusterCallFailure(error, cluster);
    }
  };
}

/** A cluster that is gone does not come back by asking again; everything else may. */
export function clusterCallFailure(error: unknown, cluster: string): unknown {
  if (!(error instanceof WorkflowNotFoundError) && !(error instanceof QueryRejectedError)) return error;
  return ApplicationFailure.create({
    type: 'ClusterStateLost',
    message: `expected the running workflow ${clusterWorkflowId(cluster)}, found none: start the API, which creates or reports it`,
    nonRetryable: true,
    cause: error,
  });
}
