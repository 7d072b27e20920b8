/**
 * Begins a lost cluster again: its workflow was terminated, or is gone with its namespace.
 *
 * 1. Asks all that may know it: the ended workflow, which still answers queries, the witness, and the routers.
 * 2. Begins one version above the highest of all, with ids above all (INV-1), whichever state was asked for.
 * 3. Starts the workflow, which only one of several restores at once can do, and has the witness remember the state.
 */
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import type { Logger } from 'pino';
import type { ClusterState } from '../../domain/cluster-state';
import { witnessedPart } from '../../domain/witnessed';
import { IDS_LEFT_OUT, newestKnown, restoredState, type KnownState } from '../../domain/restored-state';
import { normalizeMap } from '../../domain/shard-map';
import { clusterStartOptions } from './start-cluster';
import type { ClusterTraces, Survey } from './survey';
import type { Witness } from './witness';
import type { StateFile } from '../../wire/cluster-map';
import { stateQuery } from '../../contract/messages';
import { CLUSTER_WORKFLOW, clusterWorkflowId } from '../../contract/ids';
import { queryError, TemporalCalls, updateError, type TemporalCallsOptions } from '../calls/calls';
import { ClientError } from '../calls/errors';

export interface ClusterRestoreOptions extends TemporalCallsOptions {
  readonly traces: Pick<ClusterTraces, 'survey' | 'lostDetail'>;
  readonly witness: Pick<Witness, 'remember'>;
  readonly logger: Logger;
}

export interface RestoredCluster {
  readonly state: ClusterState;
  readonly source: string;
  readonly note: string;
}

/** `given`: a state from the request, or null for the last known one. @throws ClientError, DomainError */
export type RestoreCluster = (given: StateFile | null) => Promise<RestoredCluster>;

const START_TIMEOUT_MS = 10_000;

/** The terminated workflow: its state, or why that cannot be read. Both null: no workflow is left. */
interface Ended {
  readonly state: ClusterState | null;
  readonly reason: string | null;
}

export class ClusterRestore {
  private readonly options: ClusterRestoreOptions;
  private readonly calls: TemporalCalls;
  private readonly workflowId: string;

  constructor(options: ClusterRestoreOptions) {
    this.options = options;
    this.calls = new TemporalCalls(options);
    this.workflowId = clusterWorkflowId(options.cluster);
  }

  /** @throws ClientError ClusterRuns, NothingKnown, WitnessUnread, EndedStateUnread, TemporalUnreachable; DomainError InvalidShardUrl */
  async restore(given: StateFile | null): Promise<RestoredCluster> {
    const [ended, survey] = await Promise.all([this.askEnded(), this.survey()]);
    requireWitness(survey);
    const ownState: KnownState[] =
      ended.state === null
        ? []
        : [{ source: 'cluster workflow', where: this.workflowId, ...witnessedPart(ended.state) }];
    const known = [...ownState, ...survey.known];
    const request = given === null ? requireNewest(known, ended) : asRequest(given);
    const versionSeen = Math.max(0, ...survey.unusable.map(({ version }) => version));
    const state = restoredState({ request, known, versionSeen, ended: ended.state });
    await this.start(state);
    const isRemembered = await this.remember(state);
    const source = request.where === null ? request.source : `${request.source} (${request.where})`;
    const { version } = state.map;
    const { logger } = this.options;
    logger.warn({ workflowId: this.workflowId, version, nextId: state.nextId, source }, 'the cluster was begun again');
    return { state, source, note: notesOn(state, { request, ended, survey, isRemembered }).join(' ') };
  }

  /** @throws ClientError ClusterRuns, TemporalUnreachable */
  private async askEnded(): Promise<Ended> {
    const handle = this.calls.workflows.getHandle(this.workflowId);
    try {
      const { status } = await this.calls.withinMs(this.calls.queryMs, () => handle.describe());
      if (status.name === 'RUNNING') throw this.runsAlready();
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return { state: null, reason: null };
      throw queryError(error);
    }
    try {
      return { state: await this.calls.withinMs(this.calls.queryMs, () => handle.query(stateQuery)), reason: null };
    } catch (error) {
      return { state: null, reason: queryError(error).message };
    }
  }

  private async survey(): Promise<Survey> {
    try {
      return await this.options.traces.survey();
    } catch (error) {
      throw queryError(error);
    }
  }

  private async start(state: ClusterState): Promise<void> {
    try {
      await this.calls.withinMs(START_TIMEOUT_MS, () =>
        this.calls.workflows.start(CLUSTER_WORKFLOW, {
          ...clusterStartOptions(this.options.cluster, state),
          workflowIdConflictPolicy: 'FAIL',
          workflowIdReusePolicy: 'ALLOW_DUPLICATE',
        }),
      );
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) throw this.runsAlready(error);
      throw updateError(error, { code: 'RestoreUnanswered' });
    }
  }

  /** The cluster runs by now, and the first read of its map tells the witness in any case. */
  private async remember(state: ClusterState): Promise<boolean> {
    try {
      await this.options.witness.remember(witnessedPart(state));
      return true;
    } catch (error) {
      this.options.logger.warn({ err: error }, 'the witness does not remember the restored state yet');
      return false;
    }
  }

  private runsAlready(cause?: unknown): ClientError {
    const message = `workflow ${this.workflowId} runs, so there is nothing to restore`;
    return new ClientError('ClusterRuns', message, { cause });
  }
}

interface RequestedState extends Omit<KnownState, 'source' | 'where'> {
  readonly source: KnownState['source'] | 'request';
  readonly where: string | null;
}

function asRequest(given: StateFile): RequestedState {
  return { source: 'request', where: null, map: normalizeMap(given.map), nextId: given.next_id, lock: null };
}

/** INV-8: a witness that exists and cannot be read may be later than everything else, and would push a cluster that begins below it back. */
function requireWitness({ unread }: Survey): void {
  const record = unread.find(({ source }) => source === 'published workflow');
  if (record === undefined) return;
  const message = `${record.where} remembers the highest version and cannot be read (${record.reason})`;
  throw new ClientError('WitnessUnread', message);
}

function requireNewest(known: readonly KnownState[], ended: Ended): KnownState {
  // Without an answer of the ended workflow, only the witness is as good.
  if (ended.reason !== null && !known.some(({ source }) => source === 'published workflow')) {
    const message = `the ended cluster workflow does not tell its state (${ended.reason})`;
    throw new ClientError('EndedStateUnread', message);
  }
  const newest = newestKnown(known);
  if (newest !== null) return newest;
  throw new ClientError(
    'NothingKnown',
    'no state of this cluster is known: not from its workflow, not from the witness, and not from a router of COORDINATOR_ROUTER_URLS',
  );
}

function notesOn(
  { map, nextId, lock }: ClusterState,
  about: { request: RequestedState; ended: Ended; survey: Survey; isRemembered: boolean },
): string[] {
  const { request, ended, survey, isRemembered } = about;
  const moving = [...map.joining, ...map.leaving];
  const notes: (string | false)[] = [
    request.nextId === null &&
      `A router does not know the next id: it is ${nextId}, ${IDS_LEFT_OUT} above the highest that was found, because an id must never be given out twice.`,
    moving.length > 0 &&
      lock === null &&
      `No operation is known for the joining or leaving shards (${moving.join(', ')}): promote or remove them by hand.`,
    lock !== null &&
      `Operation ${lock.operationId} holds the lock; if it has ended, its change is undone or finished by a recovery.`,
    ended.reason !== null &&
      `The ended workflow did not tell its state (${ended.reason}): records of operations are lost, and the autoscale policy comes from the settings again.`,
    ended.reason === null &&
      ended.state === null &&
      'Nothing is left of the workflow that kept the map: records of operations are lost, and the autoscale policy comes from the settings again.',
    ...[...survey.unread, ...survey.silentRouters].map(
      ({ where, reason }) => `${where} did not answer (${reason}): compare its version with this one.`,
    ),
    ...survey.unusable.map(({ where, version }) => `${where} holds version ${version} of a map that was not used.`),
    !isRemembered && 'The witness does not remember the state yet: the next read of the map tries it again.',
  ];
  return notes.filter((note) => note !== false);
}
