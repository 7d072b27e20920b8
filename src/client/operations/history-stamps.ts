import { clusterWorkflowId, operationWorkflowId, parseOperationId } from '../../contract/ids';
import type { WorkflowExecutionDescription } from '@temporalio/client';
import { TemporalCalls, unknownOperation, type TemporalCallsOptions } from '../calls/calls';
import { failingTaskOf } from './failing-task';

/**
 * A stamp of a workflow changes when its history does, and when its task begins or ends to fail. It costs Temporal a short call and no
 * worker anything, so it may be asked for often. Every method throws ClientError only.
 */
export class HistoryStamps {
  private readonly cluster: string;
  private readonly calls: TemporalCalls;

  constructor(options: TemporalCallsOptions) {
    this.cluster = options.cluster;
    this.calls = new TemporalCalls(options);
  }

  async ofCluster(): Promise<string> {
    const handle = this.calls.workflows.getHandle(clusterWorkflowId(this.cluster));
    return stampOf(await this.calls.askCluster(() => handle.describe()));
  }

  /** @throws ClientError UnknownOperation */
  async ofOperation(operationId: string): Promise<string> {
    const parsed = parseOperationId(operationId);
    if (parsed === null) throw unknownOperation(operationId);
    const handle = this.calls.workflows.getHandle(operationWorkflowId(this.cluster, parsed.kind, parsed.key));
    return stampOf(await this.calls.askOperation(operationId, () => handle.describe()));
  }
}

function stampOf(described: WorkflowExecutionDescription): string {
  const { runId, historyLength, status } = described;
  return `${runId} ${historyLength} ${status.name} ${failingTaskOf(described) === null ? 'works' : 'fails'}`;
}
