import { Context } from '@temporalio/activity';
import type { CoordinatorActivities } from '../../contract/activities';
import { ClientError, type ClientErrorCode } from '../../client/calls/errors';
import { clusterActivity, type ClusterClientDeps } from '../frame/cluster-clients';

/** Its workflow is gone, or of a version that does not know the query: no attempt can change that. */
const CANNOT_TELL: readonly ClientErrorCode[] = ['UnknownOperation', 'QueryUnknown'];
/** After so many attempts, an operation that exists but does not answer counts as unable to. */
const ATTEMPTS_MAX = 3;

/** A closed workflow answers queries for as long as Temporal keeps its history: a worker replays it and asks it there. */
export function createRecallOperation(deps: ClusterClientDeps): CoordinatorActivities['recallOperation'] {
  return clusterActivity(deps, 'retry', async (client, { operationId }) => {
    try {
      return await client.recallOperation(operationId);
    } catch (error) {
      if (error instanceof ClientError && CANNOT_TELL.includes(error.code)) return null;
      if (Context.current().info.attempt >= ATTEMPTS_MAX) return null;
      throw error;
    }
  });
}
