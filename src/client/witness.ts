/** The last published state of the cluster, kept in two places outside of the cluster workflow: the workflow `published` and a file. */
import { WithStartWorkflowOperation, WorkflowClient, type Connection } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { laterPublished, type PublishedState } from '../domain/witnessed';
import { publishedQuery, publishUpdate, type PublishedInput, type PublishedRecord } from '../contract/messages';
import { PUBLISHED_WORKFLOW, publishedWorkflowId, taskQueue } from '../contract/ids';
import { bounded } from './bounded';
import type { FileReading, PublishedFile } from './witness-file';

const QUERY_TIMEOUT_MS = 2_000;
const PUBLISH_TIMEOUT_MS = 5_000;

export interface PublishedOptions {
  readonly connection: Connection;
  readonly namespace: string;
  readonly cluster: string;
  /** Null: only the workflow keeps it. */
  readonly file: PublishedFile | null;
  /** Fires when this process stops. */
  readonly stopping: AbortSignal;
  readonly timeouts?: { readonly queryMs?: number; readonly publishMs?: number };
}

export class Published {
  readonly workflowId: string;
  readonly file: PublishedFile | null;
  private readonly options: PublishedOptions;
  private readonly workflows: WorkflowClient;
  private readonly timeouts: { readonly queryMs: number; readonly publishMs: number };
  /** What a record that has to be begun (again) begins with. */
  private seen: PublishedState | null = null;

  constructor(options: PublishedOptions) {
    this.options = options;
    const { connection, namespace, cluster, file, timeouts } = options;
    this.workflowId = publishedWorkflowId(cluster);
    this.file = file;
    this.workflows = new WorkflowClient({ connection, namespace });
    this.timeouts = { queryMs: QUERY_TIMEOUT_MS, publishMs: PUBLISH_TIMEOUT_MS, ...timeouts };
  }

  /**
   * The newest that the workflow and the file know. A file under another lineage is not believed: it may be left from another cluster of
   * the same name, and a running one must not become that. Rejects when the workflow does not answer.
   */
  async lastPublished(): Promise<PublishedState | null> {
    const record = await this.record();
    const file = await this.fileReading();
    const isCopy = file.kind === 'known' && file.lineage === record?.lineage;
    const kept = record?.state ?? null;
    this.seen = isCopy ? laterPublished(kept, file.state) : kept;
    return this.seen;
  }

  /** Keeps `state`, unless a later one is kept. Rejects when the workflow does not answer in time; the file never makes it fail. */
  async publish(state: PublishedState): Promise<void> {
    const { cluster } = this.options;
    const input: PublishedInput = { kept: this.seen };
    const record = await this.call(this.timeouts.publishMs, () =>
      this.workflows.executeUpdateWithStart(publishUpdate, {
        args: [state],
        startWorkflowOperation: new WithStartWorkflowOperation(PUBLISHED_WORKFLOW, {
          workflowId: this.workflowId,
          taskQueue: taskQueue(cluster),
          args: [input],
          workflowIdConflictPolicy: 'USE_EXISTING',
          // A record that was terminated goes on in a new run, with what its last one is known to have held.
          workflowIdReusePolicy: 'ALLOW_DUPLICATE',
          staticSummary: `last published map of the cluster ${cluster}`,
          staticDetails:
            'Keeps the last published map outside of the history of the cluster workflow, to notice when that one is rewound.',
        }),
      }),
    );
    if (record.state !== null) await this.file?.write(record.state, record.lineage);
  }

  /** What the workflow keeps, also a closed one; null when there is none. Rejects when it does not answer. */
  async record(): Promise<PublishedRecord | null> {
    try {
      return await this.call(this.timeouts.queryMs, () => this.handle().query(publishedQuery));
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return null;
      throw error;
    }
  }

  /** Needs no worker, as reading it does. Rejects when Temporal does not answer. */
  async exists(): Promise<boolean> {
    try {
      await this.call(this.timeouts.queryMs, () => this.handle().describe());
      return true;
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return false;
      throw error;
    }
  }

  async fileReading(): Promise<FileReading> {
    return this.file === null ? { kind: 'absent' } : this.file.read();
  }

  private handle() {
    return this.workflows.getHandle(this.workflowId);
  }

  private call<T>(timeoutMs: number, call: () => Promise<T>): Promise<T> {
    const { connection, stopping } = this.options;
    return bounded(timeoutMs, stopping, () => connection.withDeadline(Date.now() + timeoutMs, call));
  }
}
