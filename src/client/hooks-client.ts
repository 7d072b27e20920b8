import { QueryRejectedError, WithStartWorkflowOperation } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { HOOKS_WORKFLOW, hooksWorkflowId, taskQueue } from '../contract/ids';
import { hooksQuery, replaceHooksUpdate, type HooksInput } from '../contract/messages';
import type { Hook, NewHook } from '../domain/hooks';
import { queryError, TemporalCalls, updateError, type TemporalCallsOptions } from './calls/calls';

const UPDATE_TIMEOUT_MS = 10_000;

/** The webhooks of one cluster. Every method throws ClientError only. */
export class HooksClient {
  private readonly cluster: string;
  private readonly calls: TemporalCalls;

  constructor(options: TemporalCallsOptions) {
    this.cluster = options.cluster;
    this.calls = new TemporalCalls(options);
  }

  async read(): Promise<readonly Hook[]> {
    const handle = this.calls.openWorkflows.getHandle(hooksWorkflowId(this.cluster));
    try {
      return await this.calls.withinMs(this.calls.queryMs, () => handle.query(hooksQuery));
    } catch (error) {
      // None were ever given, or their workflow was ended.
      if (error instanceof WorkflowNotFoundError || error instanceof QueryRejectedError) return [];
      throw queryError(error);
    }
  }

  /** Returns them as they are then. */
  async replace(given: readonly NewHook[]): Promise<readonly Hook[]> {
    if (given.length === 0 && (await this.read()).length === 0) return [];
    const input: HooksInput = { cluster: this.cluster };
    const startWorkflowOperation = new WithStartWorkflowOperation(HOOKS_WORKFLOW, {
      workflowId: hooksWorkflowId(this.cluster),
      taskQueue: taskQueue(this.cluster),
      args: [input],
      workflowIdConflictPolicy: 'USE_EXISTING',
      staticSummary: `webhooks of the cluster ${this.cluster}`,
    });
    try {
      return await this.calls.withinMs(UPDATE_TIMEOUT_MS, () =>
        this.calls.workflows.executeUpdateWithStart(replaceHooksUpdate, { args: [given], startWorkflowOperation }),
      );
    } catch (error) {
      throw updateError(error, { code: 'HooksUnanswered' });
    }
  }
}
