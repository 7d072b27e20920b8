/**
 * What REST shows of operations. An operation's own workflow knows most, also after its end, for as long as Temporal keeps its history. The
 * cluster's record is the fallback. Asking an ended workflow has a worker replay it, so the list bounds that: few at once, each with a
 * deadline, all together with another one, and each answer is kept, because it does not change.
 */
import type { OperationRecord } from '../domain/cluster-state';
import { RECENT_OPERATIONS_MAX } from '../domain/limits';
import type { OperationList, OperationView } from '../wire/coordinator-api';
import { operationWorkflowId, parseOperationId } from '../contract/ids';
import { ClientError } from '../client/errors';
import { Semaphore } from '../client/semaphore';
import type { ApiDeps } from './deps';
import { endedFromOutside, viewOfProgress, viewOfRecord } from './views/operation';

const ASKED_AT_ONCE_MAX = 4;
const ANSWER_TIMEOUT_MS = 500;
/** After this long, the rest of the list is shown from the cluster's records. */
const LIST_PATIENCE_MS = 2_000;

export class OperationReader {
  private readonly deps: Pick<ApiDeps, 'client' | 'cluster' | 'namespace' | 'webUiUrl'>;
  private readonly nowMs: () => number;
  private readonly asked = new Semaphore({ runningMax: ASKED_AT_ONCE_MAX, waitingMax: 2 * RECENT_OPERATIONS_MAX });
  /** Views of ended operations that do not change, by `endedKey`. */
  private final = new Map<string, OperationView>();

  constructor(deps: OperationReader['deps'], nowMs: () => number = Date.now) {
    this.deps = deps;
    this.nowMs = nowMs;
  }

  /** Newest first. @throws ClientError when the cluster does not answer */
  async listOperations(): Promise<OperationList> {
    const { operations } = await this.deps.client.queryState();
    const untilMs = this.nowMs() + LIST_PATIENCE_MS;
    const views = await Promise.all(operations.map((record) => this.viewOfListed(record, untilMs)));
    const keys = new Set(operations.map(endedKey));
    this.final = new Map([...this.final].filter(([key]) => keys.has(key)));
    return { operations: views };
  }

  /** @throws ClientError when neither the workflow nor the record can be read */
  async showOperation(operationId: string): Promise<OperationView> {
    try {
      return await this.viewOfWorkflow(operationId);
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      // Its workflow is gone (retention) or does not answer (no worker). The cluster may remember it all the same.
      const record = await this.recordOf(operationId);
      if (record === undefined) throw error;
      return viewOfRecord(record, this.linkTo(operationId));
    }
  }

  /** The page of an operation in the Web UI, or null when the Web UI is not known. */
  linkTo(operationId: string): string | null {
    const { cluster, namespace, webUiUrl } = this.deps;
    const parsed = parseOperationId(operationId);
    if (webUiUrl === null || parsed === null) return null;
    const workflowId = encodeURIComponent(operationWorkflowId(cluster, parsed.kind, parsed.key));
    return `${webUiUrl}/namespaces/${encodeURIComponent(namespace)}/workflows/${workflowId}`;
  }

  private async viewOfListed(record: OperationRecord, untilMs: number): Promise<OperationView> {
    const fromRecord = viewOfRecord(record, this.linkTo(record.operationId));
    try {
      if (record.end === null) return await this.viewOfWorkflow(record.operationId);
      return this.final.get(endedKey(record)) ?? (await this.viewOfEnded(record, fromRecord, untilMs));
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      if (record.end !== null && error.code === 'UnknownOperation') this.final.set(endedKey(record), fromRecord);
      return fromRecord;
    }
  }

  private viewOfEnded(record: OperationRecord, fromRecord: OperationView, untilMs: number): Promise<OperationView> {
    return this.asked.runInTurn(async () => {
      const timeoutMs = Math.min(ANSWER_TIMEOUT_MS, untilMs - this.nowMs());
      if (timeoutMs <= 0) return fromRecord;
      const view = await this.viewOfWorkflow(record.operationId, { record, timeoutMs });
      // The record knows the end a moment before the workflow does.
      if (view.status === 'running') return fromRecord;
      this.final.set(endedKey(record), view);
      return view;
    });
  }

  /** A workflow that was ended from outside still answers that it runs. */
  private async viewOfWorkflow(
    operationId: string,
    { record, timeoutMs }: { record?: OperationRecord; timeoutMs?: number } = {},
  ): Promise<OperationView> {
    const { client } = this.deps;
    const askProgress = async (): Promise<OperationView> =>
      viewOfProgress(await client.queryProgress(operationId, timeoutMs), this.linkTo(operationId));
    const [first, execution] = await Promise.all([askProgress(), client.describeOperation(operationId, timeoutMs)]);
    if (first.status !== 'running' || execution.isRunning) return first;
    // It may have ended by itself between the two answers.
    const view = await askProgress();
    if (view.status !== 'running') return view;
    return endedFromOutside(view, execution, record ?? (await this.recordOf(operationId)));
  }

  private async recordOf(operationId: string): Promise<OperationRecord | undefined> {
    try {
      const { operations } = await this.deps.client.queryState();
      return operations.find((each) => each.operationId === operationId);
    } catch (error) {
      if (error instanceof ClientError) return undefined;
      throw error;
    }
  }
}

/** A recovery may run again under its id: its end tells the two apart. */
const endedKey = ({ operationId, endedAtMs }: OperationRecord): string => `${operationId} ${endedAtMs ?? ''}`;
