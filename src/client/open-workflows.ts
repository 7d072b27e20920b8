import { QueryRejectCondition, WorkflowClient, type Client } from '@temporalio/client';

/**
 * Like `client.workflow`, but a closed workflow is not asked: it would still answer, with a state that nobody keeps any more. Made at the
 * first use.
 */
export function openWorkflows(client: Client): () => WorkflowClient {
  let workflows: WorkflowClient | null = null;
  return () => {
    const { connection, options } = client;
    const { namespace } = options;
    workflows ??= new WorkflowClient({ connection, namespace, queryRejectCondition: QueryRejectCondition.NOT_OPEN });
    return workflows;
  };
}
