/**
 * What REST shows of operations. An operation's own workflow knows most, also after its end, for as long as Temporal keeps its history. The
 * cluster's record is the fallback. Asking an ended workflow has a worker replay it, so the list bounds that: only the newest, few at once,
 * each with a deadline, all together with another one. Each answer is kept, because it does not change.
 */
import type { ClusterState, OperationRecord } from '../domain/cluster-state';
import { RECENT_OPERATIONS_MAX } from '../domain/limits';
import type { OperationList, OperationView } from '../wire/coordinator-api';
import { operationWorkflowId, parseOperationId } from '../contract/ids';
import { ClientError } from '../client/calls/errors';
import { Semaphore } from '../client/calls/semaphore';
import type { ApiDeps } from './deps';
import { endedFromOutside, viewOfProgress, viewOfRecord } from './views/operation';
import { isoOf } from './views/times';

/** Of the ended operations, the newest so many are asked. Older ones are shown from the cluster's records. */
const ENDED_ASKED_MAX = 20;
const ASKED_AT_ONCE_MAX = 4;
const ANSWER_TIMEOUT_MS = 500;
/** After this long, the rest of the list is shown from the cluster's records. */
const LIST_PATIENCE_MS = 2_000;
/** A history that takes too long to replay does so at every poll: the record is shown for this long before the next try. */
const FAILED_LOOK_KEPT_MS = 5 * 60_000;

interface Remembered {
  readonly view: OperationView;
  readonly untilMs: number;
}

export class OperationReader {
  private readonly deps: Pick<ApiDeps, 'client' | 'cluster' | 'namespace' | 'webUiUrl'>;
  private readonly nowMs: () => number;
  private readonly asked = new Semaphore({ runningMax: ASKED_AT_ONCE_MAX, waitingMax: 2 * RECENT_OPERATIONS_MAX });
  /** Views of ended operations, by `endedKey`. An answer never changes; a failed look is tried again. */
  private remembered = new Map<string, Remembered>();

  constructor(deps: OperationReader['deps'], nowMs: () => number = Date.now) {
    this.deps = deps;
    this.nowMs = nowMs;
  }

  /** Newest first. @throws ClientError when the cluster does not answer */
  async listOperations(): Promise<OperationList> {
    const { operations } = await this.deps.client.queryState();
    const untilMs = this.nowMs() + LIST_PATIENCE_MS;
    const newest = new Set(operations.filter(({ end }) => end !== null).slice(0, ENDED_ASKED_MAX));
    const views = await Promise.all(
      operations.map((record) =>
        record.end === null ? this.viewOfRunning(record) : this.viewOfEnded(record, newest.has(record), untilMs),
      ),
    );
    const keys = new Set(operations.map(endedKey));
    this.remembered = new Map([...this.remembered].filter(([key]) => keys.has(key)));
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
      return record.end === null ? this.viewOfSilent(record) : this.viewOfItsRecord(record);
    }
  }

  /** How the newest operation reads the shards, or has read them. Nothing is known of one that nobody can ask any more. */
  async newestSources({ operations: [newest] }: ClusterState): Promise<OperationView['sources']> {
    if (newest === undefined) return [];
    const view = newest.end === null ? this.viewOfRunning(newest) : this.viewOfEnded(newest, true, Infinity);
    return (await view).sources;
  }

  /** The page of an operation in the Web UI, or null when the Web UI is not known. */
  linkTo(operationId: string): string | null {
    const { cluster, namespace, webUiUrl } = this.deps;
    const parsed = parseOperationId(operationId);
    if (webUiUrl === null || parsed === null) return null;
    const workflowId = encodeURIComponent(operationWorkflowId(cluster, parsed.kind, parsed.key));
    return `${webUiUrl}/namespaces/${encodeURIComponent(namespace)}/workflows/${workflowId}`;
  }

  private async viewOfRunning(record: OperationRecord): Promise<OperationView> {
    try {
      return await this.viewOfWorkflow(record.operationId);
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      return this.viewOfSilent(record);
    }
  }

  /** It runs, as far as the cluster knows, and does not answer: Temporal may know why. */
  private async viewOfSilent(record: OperationRecord): Promise<OperationView> {
    const view = this.viewOfItsRecord(record);
    try {
      const { failingTask } = await this.deps.client.describeOperation(record.operationId, ANSWER_TIMEOUT_MS);
      if (failingTask === null) return view;
      const { reason, endsWhen, sinceMs } = failingTask;
      return { ...view, waiting: { reason, ends_when: endsWhen, since: isoOf(sinceMs) } };
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      return view;
    }
  }

  private async viewOfEnded(record: OperationRecord, mayAsk: boolean, untilMs: number): Promise<OperationView> {
    const known = this.remembered.get(endedKey(record));
    if (known !== undefined && this.nowMs() < known.untilMs) return known.view;
    if (!mayAsk) return this.viewOfItsRecord(record);
    try {
      return await this.asked.runInTurn(() => this.lookAtEnded(record, untilMs));
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      return this.viewOfItsRecord(record);
    }
  }

  private async lookAtEnded(record: OperationRecord, untilMs: number): Promise<OperationView> {
    // A look with less time would say little about the next one, and yet be remembered.
    if (untilMs - this.nowMs() < ANSWER_TIMEOUT_MS) return this.viewOfItsRecord(record);
    try {
      const view = await this.viewOfWorkflow(record.operationId, { record, timeoutMs: ANSWER_TIMEOUT_MS });
      // The record knows the end a moment before the workflow does.
      if (view.status === 'running') return this.viewOfItsRecord(record);
      return this.remember(record, view, Infinity);
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      const keptMs = error.code === 'UnknownOperation' ? Infinity : FAILED_LOOK_KEPT_MS;
      return this.remember(record, this.viewOfItsRecord(record), this.nowMs() + keptMs);
    }
  }

  private remember(record: OperationRecord, view: OperationView, untilMs: number): OperationView {
    this.remembered.set(endedKey(record), { view, untilMs });
    return view;
  }

  private viewOfItsRecord(record: OperationRecord): OperationView {
    return viewOfRecord(record, this.linkTo(record.operationId));
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
