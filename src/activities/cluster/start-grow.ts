import { operationIdOf } from '../../contract/ids';
import type { AutoscaleActivities, StartedGrow } from '../../contract/evaluation-activities';
import type { Refusal } from '../../contract/requests';
import { ClientError, RefusedError } from '../../client/errors';
import { clientFailure, clusterClients, type ClusterClientDeps } from '../frame/cluster-clients';

/** The key is the caller's, so a repeat finds the grow that the first attempt started, running or ended. */
export function createStartGrow(deps: ClusterClientDeps): AutoscaleActivities['startGrow'] {
  const clientOf = clusterClients(deps);
  return async ({ input }): Promise<StartedGrow> => {
    const client = clientOf(input.cluster);
    const operationId = operationIdOf('grow', input.key);
    try {
      await client.startOperation('grow', input);
      return { operationId, announced: true, refusal: null };
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal !== null) return { operationId, announced: false, refusal };
      if (!isUnanswered(error)) throw clientFailure(error, input.cluster, 'fail');
    }
    try {
      // A call without an answer may not even have started the grow: then this fails, and the next attempt starts it.
      await client.describeOperation(operationId);
      return { operationId, announced: false, refusal: null };
    } catch (error) {
      throw clientFailure(error, input.cluster, 'fail');
    }
  };
}

function refusalOf(error: unknown): Refusal | null {
  if (error instanceof RefusedError) return error.refusal;
  if (!(error instanceof ClientError) || error.code !== 'EndedUnannounced') return null;
  return { type: 'OperationEnded', message: `${error.message}: it was ended from outside before it was announced` };
}

function isUnanswered(error: unknown): boolean {
  return error instanceof ClientError && error.code === 'StartUnanswered';
}
