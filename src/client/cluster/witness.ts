/** The witness remembers the highest version of the cluster's state, outside of the cluster workflow: in a workflow of its own and in a file. */
import { WithStartWorkflowOperation } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { laterWitnessed, type WitnessedState } from '../../domain/witnessed';
import { witnessQuery, witnessUpdate, type WitnessInput, type WitnessRecord } from '../../contract/messages';
import { WITNESS_WORKFLOW, witnessWorkflowId, taskQueue } from '../../contract/ids';
import { TemporalCalls, type TemporalCallsOptions } from '../calls/calls';
import type { FileReading, WitnessFile } from './witness-file';

const REMEMBER_TIMEOUT_MS = 5_000;

export interface WitnessOptions extends Omit<TemporalCallsOptions, 'traces' | 'queryMs'> {
  /** Null: only the workflow remembers. */
  readonly file: WitnessFile | null;
  readonly timeouts?: { readonly queryMs?: number; readonly rememberMs?: number };
}

export class Witness {
  readonly workflowId: string;
  readonly file: WitnessFile | null;
  private readonly cluster: string;
  private readonly calls: TemporalCalls;
  private readonly rememberMs: number;
  /** What a new record of the workflow begins with. */
  private seen: WitnessedState | null = null;

  constructor({ timeouts = {}, ...options }: WitnessOptions) {
    const { queryMs, rememberMs = REMEMBER_TIMEOUT_MS } = timeouts;
    this.cluster = options.cluster;
    this.workflowId = witnessWorkflowId(options.cluster);
    this.file = options.file;
    this.calls = new TemporalCalls(queryMs === undefined ? options : { ...options, queryMs });
    this.rememberMs = rememberMs;
  }

  /**
   * The newest state that the workflow and the file know. A file with another lineage is not believed: it may be left from another cluster
   * of the same name. Rejects when the workflow does not answer.
   */
  async lastRemembered(): Promise<WitnessedState | null> {
    const record = await this.readRecord();
    const file = await this.readFile();
    const isCopy = file.kind === 'known' && file.lineage === record?.lineage;
    const kept = record?.state ?? null;
    this.seen = isCopy ? laterWitnessed(kept, file.state) : kept;
    return this.seen;
  }

  /** Keeps `state`, unless it has a later one. Rejects when the workflow does not answer in time; the file never makes it fail. */
  async remember(state: WitnessedState): Promise<void> {
    const { cluster } = this;
    const input: WitnessInput = { kept: this.seen };
    const record = await this.calls.withinMs(this.rememberMs, () =>
      this.calls.workflows.executeUpdateWithStart(witnessUpdate, {
        args: [state],
        startWorkflowOperation: new WithStartWorkflowOperation(WITNESS_WORKFLOW, {
          workflowId: this.workflowId,
          taskQueue: taskQueue(cluster),
          args: [input],
          workflowIdConflictPolicy: 'USE_EXISTING',
          // A terminated workflow goes on in a new run, with what its last run is known to have held.
          workflowIdReusePolicy: 'ALLOW_DUPLICATE',
          staticSummary: `witness of the cluster ${cluster}: its highest map version`,
          staticDetails:
            'Remembers the highest map version outside of the history of the cluster workflow, to notice when that workflow is rewound.',
        }),
      }),
    );
    if (record.state !== null) await this.file?.writeCopy(record.state, record.lineage);
  }

  /** What the workflow remembers, also a closed one; null when there is none. Rejects when it does not answer. */
  async readRecord(): Promise<WitnessRecord | null> {
    try {
      return await this.calls.withinMs(this.calls.queryMs, () => this.handle().query(witnessQuery));
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return null;
      throw error;
    }
  }

  /** Needs no worker, unlike `readRecord`. Rejects when Temporal does not answer. */
  async exists(): Promise<boolean> {
    try {
      await this.calls.withinMs(this.calls.queryMs, () => this.handle().describe());
      return true;
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return false;
      throw error;
    }
  }

  async readFile(): Promise<FileReading> {
    return this.file === null ? { kind: 'absent' } : this.file.readCopy();
  }

  private handle() {
    return this.calls.workflows.getHandle(this.workflowId);
  }
}
