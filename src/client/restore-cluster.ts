/**
 * Begins a cluster again that was lost: terminated, or gone with its namespace.
 *
 * 1. Asks everybody who may know it: the ended workflow itself, which still answers queries, what was published, and the routers.
 * 2. Begins one version above the highest of all, with ids above all (INV-1), whichever state was asked for.
 * 3. Starts the workflow, which only one of several restores at once can do, and publishes the state.
 */
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import type { Logger } from 'pino';
import type { ClusterState } from '../domain/cluster-state';
import { publishedPart } from '../domain/witnessed';
import { IDS_LEFT_OUT, newestKnown, restoredState, type KnownState } from '../domain/restored-state';
import { normalizeMap } from '../domain/shard-map';
import { clusterStartOptions } from './start-cluster';
import type { ClusterTraces, Survey } from './survey';
import type { Published } from './witness';
import type { StateFile } from '../wire/cluster-map';
import { stateQuery } from '../contract/messages';
import { CLUSTER_WORKFLOW, clusterWorkflowId } from '../contract/ids';
import { ApiError, unavailable } from '../api/http/problem';
import { queryTrouble, TemporalCalls, updateTrouble, type TemporalCallsOptions } from './calls';

export interface ClusterRestoreOptions extends TemporalCallsOptions {
  readonly traces: Pick<ClusterTraces, 'survey' | 'detail'>;
  readonly published: Pick<Published, 'publish'>;
  readonly logger: Logger;
}

export interface RestoredCluster {
  readonly state: ClusterState;
  readonly source: string;
  readonly note: string;
}

/** `given`: a state that a person gives, or null for the last one that anybody knows. @throws ApiError, DomainError */
export type RestoreCluster = (given: StateFile | null) => Promise<RestoredCluster>;

const START_TIMEOUT_MS = 10_000;

/** The workflow that was terminated: its state, or why it does not tell it. Both null: there is none (any more). */
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

  /** @throws ApiError ClusterExists, NoKnownState, TemporalUnreachable; DomainError InvalidShardUrl */
  async restore(given: StateFile | null): Promise<RestoredCluster> {
    const [ended, survey] = await Promise.all([this.askEnded(), this.survey()]);
    requirePublished(survey);
    const ownState: KnownState[] =
      ended.state === null
        ? []
        : [{ source: 'cluster workflow', where: this.workflowId, ...publishedPart(ended.state) }];
    const known = [...ownState, ...survey.known];
    const wanted = given === null ? requireNewest(known, ended) : asWanted(given);
    const versionSeen = Math.max(0, ...survey.unusable.map(({ version }) => version));
    const state = restoredState({ wanted, known, versionSeen, ended: ended.state });
    await this.start(state);
    const isRecorded = await this.publish(state);
    const source = wanted.where === null ? wanted.source : `${wanted.source} (${wanted.where})`;
    const { version } = state.map;
    const { logger } = this.options;
    logger.warn({ workflowId: this.workflowId, version, nextId: state.nextId, source }, 'the cluster was begun again');
    return { state, source, note: notesOn(state, { wanted, ended, survey, isRecorded }).join(' ') };
  }

  /** @throws ApiError ClusterExists, TemporalUnreachable */
  private async askEnded(): Promise<Ended> {
    const handle = this.calls.workflows.getHandle(this.workflowId);
    try {
      const { status } = await this.calls.call(this.calls.queryMs, () => handle.describe());
      if (status.name === 'RUNNING') throw this.exists();
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return { state: null, reason: null };
      throw queryTrouble(error);
    }
    try {
      return { state: await this.calls.call(this.calls.queryMs, () => handle.query(stateQuery)), reason: null };
    } catch (error) {
      return { state: null, reason: queryTrouble(error).message };
    }
  }

  private async survey(): Promise<Survey> {
    try {
      return await this.options.traces.survey();
    } catch (error) {
      throw queryTrouble(error);
    }
  }

  private async start(state: ClusterState): Promise<void> {
    try {
      await this.calls.call(START_TIMEOUT_MS, () =>
        this.calls.workflows.start(CLUSTER_WORKFLOW, {
          ...clusterStartOptions(this.options.cluster, state),
          workflowIdConflictPolicy: 'FAIL',
          workflowIdReusePolicy: 'ALLOW_DUPLICATE',
        }),
      );
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) throw this.exists(error);
      throw updateTrouble(error, 'the cluster may or may not have been begun again: look at GET /readyz');
    }
  }

  /** The cluster runs by now, and the first read of its map records it in any case. */
  private async publish(state: ClusterState): Promise<boolean> {
    try {
      await this.options.published.publish(publishedPart(state));
      return true;
    } catch (error) {
      this.options.logger.warn({ err: error }, 'the restored state is not recorded outside of its workflow yet');
      return false;
    }
  }

  private exists(cause?: unknown): ApiError {
    const detail =
      `workflow ${this.workflowId} runs, so there is nothing to restore: look at GET /cluster/map. ` +
      'To replace its state by another one, terminate it first';
    return new ApiError('ClusterExists', detail, { cause });
  }
}

interface Wanted extends Omit<KnownState, 'source' | 'where'> {
  readonly source: KnownState['source'] | 'request';
  readonly where: string | null;
}

function asWanted(given: StateFile): Wanted {
  return { source: 'request', where: null, map: normalizeMap(given.map), nextId: given.next_id, lock: null };
}

/** INV-8: a record that exists and cannot be read may be later than everything else, and a cluster that begins below it is pushed back to it. */
function requirePublished({ unread }: Survey): void {
  const record = unread.find(({ source }) => source === 'published workflow');
  if (record === undefined) return;
  throw unavailable(
    'TemporalUnreachable',
    `${record.where} has what was last published and cannot be read (${record.reason}): run a worker of this cluster, then repeat this call`,
  );
}

function requireNewest(known: readonly KnownState[], ended: Ended): KnownState {
  // Without an answer of the ended workflow only the record of what was published is as good.
  if (ended.reason !== null && !known.some(({ source }) => source === 'published workflow')) {
    throw unavailable(
      'TemporalUnreachable',
      `the ended cluster workflow does not tell its state (${ended.reason}): run a worker of this cluster and repeat this call, ` +
        'or give {"state":{"next_id":…,"map":…}}',
    );
  }
  const newest = newestKnown(known);
  if (newest !== null) return newest;
  throw new ApiError(
    'NoKnownState',
    'nobody knows a state of this cluster: neither its workflow, nor what was published, nor a router of COORDINATOR_ROUTER_URLS. ' +
      'Give {"state":{"next_id":…,"map":…}}',
  );
}

function notesOn(
  { map, nextId, lock }: ClusterState,
  about: { wanted: Wanted; ended: Ended; survey: Survey; isRecorded: boolean },
): string[] {
  const { wanted, ended, survey, isRecorded } = about;
  const moving = [...map.joining, ...map.leaving];
  const notes: (string | false)[] = [
    wanted.nextId === null &&
      `A router does not know the next id: it is ${nextId}, ${IDS_LEFT_OUT} above the highest that could be found, because ids must not come again.`,
    moving.length > 0 &&
      lock === null &&
      `No operation is known for the joining or leaving shards (${moving.join(', ')}): promote or remove them by hand.`,
    lock !== null &&
      `Operation ${lock.operationId} holds the lock; if it has ended, its change is undone or finished by a recovery.`,
    ended.reason !== null &&
      `The ended workflow did not tell its state (${ended.reason}): records of operations and the autoscale policy begin anew.`,
    ended.reason === null &&
      ended.state === null &&
      'Nothing is left of the workflow that kept the map: records of operations and the autoscale policy begin anew.',
    ...[...survey.unread, ...survey.silentRouters].map(
      ({ where, reason }) => `${where} was not asked with success (${reason}): compare its version with this one.`,
    ),
    ...survey.unusable.map(({ where, version }) => `${where} holds version ${version} of a map that was not used.`),
    !isRecorded &&
      'The state could not be recorded outside of its workflow yet: the next read of the map tries it again.',
  ];
  return notes.filter((note) => note !== false);
}
