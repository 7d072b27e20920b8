import { operationIdOf } from '../../contract/ids';
import type { AutoscaleActivities, StartedOperation } from '../../contract/evaluation-activities';
import type { DrainInput, GrowInput } from '../../contract/messages';
import type { Refusal } from '../../contract/requests';
import { ClientError, RefusedError } from '../../client/calls/errors';
import { clientFailure, clusterClients, type ClusterClientDeps } from '../frame/cluster-clients';

type Start = Pick<AutoscaleActivities, 'startGrow' | 'startDrain'>;

/** The key is the caller's, so a repeat finds the operation that the first attempt started, running or ended. */
export function createStartByPolicy(deps: ClusterClientDeps): Start {
  const clientOf = clusterClients(deps);
  const start = async (kind: 'grow' | 'drain', input: GrowInput | DrainInput): Promise<StartedOperation> => {
    const client = clientOf(input.cluster);
    const operationId = operationIdOf(kind, input.key);
    try {
      await client.startOperation(kind, input);
      return { operationId, announced: true, refusal: null };
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal !== null) return { operationId, announced: false, refusal };
      if (!isUnanswered(error)) throw clientFailure(error, input.cluster, 'fail');
    }
    try {
      // A call without an answer may not even have started it: then this fails, and the next attempt starts it.
      await client.describeOperation(operationId);
      return { operationId, announced: false, refusal: null };
    } catch (error) {
      throw clientFailure(error, input.cluster, 'fail');
    }
  };
  return {
    startGrow: ({ input }) => start('grow', input),
    startDrain: ({ input }) => start('drain', input),
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
