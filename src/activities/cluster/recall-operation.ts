import { Context } from '@temporalio/activity';
import { QueryNotRegisteredError, WorkflowNotFoundError, type Client } from '@temporalio/client';
import { operationStateQuery } from '../../contract/messages';
import { operationWorkflowId, parseOperationId } from '../../contract/ids';
import type { CoordinatorActivities } from '../../contract/activities';

const QUERY_TIMEOUT_MS = 8_000;
/** Attempts after which an operation that exists but does not answer is taken for one that cannot be asked any more. */
const ATTEMPTS_MAX = 3;

/** A closed workflow answers queries for as long as Temporal keeps its history: a worker replays it and asks it there. */
export function createRecallOperation(deps: { client: Client }): CoordinatorActivities['recallOperation'] {
  return async ({ cluster, operationId }) => {
    const parsed = parseOperationId(operationId);
    if (parsed === null) return null;
    const handle = deps.client.workflow.getHandle(operationWorkflowId(cluster, parsed.kind, parsed.key));
    try {
      return await deps.client.withDeadline(Date.now() + QUERY_TIMEOUT_MS, () => handle.query(operationStateQuery));
    } catch (error) {
      const isGone = error instanceof WorkflowNotFoundError || error instanceof QueryNotRegisteredError;
      if (isGone || Context.current().info.attempt >= ATTEMPTS_MAX) return null;
      throw error;
    }
  };
}
