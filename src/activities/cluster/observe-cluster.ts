import { QueryRejectedError, type Client } from '@temporalio/client';
import { ApplicationFailure, WorkflowNotFoundError } from '@temporalio/common';
import { isBehind } from '../../domain/witnessed';
import { publishedOf } from '../../client/abandoned-lock';
import { stateQuery } from '../../contract/messages';
import { clusterWorkflowId } from '../../contract/ids';
import type { AutoscaleActivities } from '../../contract/evaluation-activities';
import { openWorkflows } from '../../client/open-workflows';

const QUERY_TIMEOUT_MS = 5_000;

/** Only what a decision is made of, so that the history of an evaluation does not grow with what the cluster remembers. */
export function createObserveCluster(deps: { client: Client }): AutoscaleActivities['observeCluster'] {
  const workflows = openWorkflows(deps.client);
  return async ({ cluster }) => {
    try {
      return await deps.client.withDeadline(Date.now() + QUERY_TIMEOUT_MS, async () => {
        // The record first: a state that was read after it is behind it only when it was rewound.
        const published = await publishedOf(deps.client.workflow, cluster);
        const state = await workflows().getHandle(clusterWorkflowId(cluster)).query(stateQuery);
        const { policy, standbys, lastScaleAtMs, streak } = state.autoscale;
        return {
          map: state.map,
          autoscale: { policy, standbys, lastScaleAtMs, streak },
          lockedBy: state.lock?.operationId ?? null,
          isRewound: published !== null && isBehind(state, published),
        };
      });
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
