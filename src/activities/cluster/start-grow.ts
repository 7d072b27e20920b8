import {
  isGrpcServiceError,
  WithStartWorkflowOperation,
  WorkflowExecutionAlreadyStartedError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
  type Client,
} from '@temporalio/client';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { operationStartOptions } from '../../client/start-operation';
import { ANNOUNCED_UPDATE_ID, announcedQuery, announcedUpdate, type GrowInput } from '../../contract/messages';
import type { Refusal } from '../../contract/requests';
import { operationIdOf, operationWorkflowId } from '../../contract/ids';
import type { AutoscaleActivities, StartedGrow } from '../../contract/evaluation-activities';

/** A preflight that waits for a slow shard takes about half of it. */
const ANSWER_TIMEOUT_MS = 20_000;
const QUERY_TIMEOUT_MS = 5_000;

/** The key is the caller's, so a repeat finds the grow that the first attempt started, running or ended. */
export function createStartGrow(deps: { client: Client }): AutoscaleActivities['startGrow'] {
  return async ({ input }) => {
    const operationId = operationIdOf('grow', input.key);
    try {
      await deps.client.withDeadline(Date.now() + ANSWER_TIMEOUT_MS, () =>
        deps.client.workflow.executeUpdateWithStart(announcedUpdate, {
          updateId: ANNOUNCED_UPDATE_ID,
          startWorkflowOperation: new WithStartWorkflowOperation('grow', operationStartOptions('grow', input)),
        }),
      );
      return { operationId, announced: true, refusal: null };
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) return firstAnswer(deps.client, input);
      const refusal = refusalOf(error, operationId);
      if (refusal !== null) return { operationId, announced: false, refusal };
      if (isTimeout(error)) return requireStarted(deps.client, input);
      throw error;
    }
  };
}

/** What a grow that has ended answered when it still ran. */
async function firstAnswer(client: Client, input: GrowInput): Promise<StartedGrow> {
  const operationId = operationIdOf('grow', input.key);
  const { answer, refusal } = await client.withDeadline(Date.now() + QUERY_TIMEOUT_MS, () =>
    client.workflow.getHandle(operationWorkflowId(input.cluster, 'grow', input.key)).query(announcedQuery),
  );
  if (answer !== null) return { operationId, announced: true, refusal: null };
  return { operationId, announced: false, refusal: refusal ?? endedFromOutside(operationId) };
}

/** A call that ran out of time may not even have started the grow: then this fails, and is tried again. */
async function requireStarted(client: Client, input: GrowInput): Promise<StartedGrow> {
  await client.withDeadline(Date.now() + QUERY_TIMEOUT_MS, () =>
    client.workflow.getHandle(operationWorkflowId(input.cluster, 'grow', input.key)).describe(),
  );
  return { operationId: operationIdOf('grow', input.key), announced: false, refusal: null };
}

function refusalOf(error: unknown, operationId: string): Refusal | null {
  if (!(error instanceof WorkflowUpdateFailedError)) return null;
  const { cause } = error;
  if (cause instanceof CancelledFailure) {
    return { type: 'OperationCancelled', message: `operation ${operationId} was cancelled before it was announced` };
  }
  if (!(cause instanceof ApplicationFailure)) return null;
  if (cause.type === 'AcceptedUpdateCompletedWorkflow') return endedFromOutside(operationId);
  return { type: cause.type ?? 'none', message: cause.message };
}

function endedFromOutside(operationId: string): Refusal {
  return {
    type: 'OperationEnded',
    message: `operation ${operationId} was ended from outside before it was announced`,
  };
}

const DEADLINE_EXCEEDED = 4;

function isTimeout(error: unknown): boolean {
  if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) return true;
  for (let each: unknown = error; each instanceof Error; each = each.cause) {
    if (isGrpcServiceError(each)) return (each.code as number) === DEADLINE_EXCEEDED;
  }
  return false;
}
