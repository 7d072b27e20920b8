/**
 * What the outside may say to and ask of the workflows. The API and activities import only this file (and types), never a
 * workflow function, so that names and ids stand in one place.
 */
import { defineQuery, defineUpdate } from '@temporalio/workflow';
import type { ClusterAnswer, ClusterTransition } from '../activities/contract';
import type { ClusterState } from '../domain/cluster-state';
import type { Timings } from '../domain/limits';
import type { OperationProgress } from '../domain/progress';
import type { ShardAddress, ShardMap } from '../domain/shard-map';
import type { OperationState } from './operation-state';

export const CLUSTER_WORKFLOW = 'cluster';
export const GROW_WORKFLOW = 'grow';

export const clusterWorkflowId = (cluster: string): string => `cluster/${cluster}`;
export const growWorkflowId = (cluster: string, key: string): string => `grow/${cluster}/${key}`;
/** The id that REST shows and the lock holds. A key holds no `/` and no `%`, so it is safe in a path. */
export const growOperationId = (key: string): string => `grow-${key}`;
/** One task queue per cluster: a worker holds the shard key of one cluster only. */
export const taskQueue = (cluster: string): string => `coordinator/${cluster}`;

// ---- cluster ----

export interface ClusterInput {
  readonly cluster: string;
  readonly state: ClusterState;
}
export const mapQuery = defineQuery<ShardMap>('map');
export const stateQuery = defineQuery<ClusterState>('state');
/** Fails with an ApplicationFailure whose type is a DomainErrorCode. */
export const transitionUpdate = defineUpdate<ClusterAnswer, [ClusterTransition]>('transition');

// ---- grow ----

export interface GrowRequest {
  readonly shards: readonly ShardAddress[];
  readonly allowNonempty: boolean;
}
export interface GrowInput {
  readonly cluster: string;
  readonly key: string;
  readonly request: GrowRequest;
  readonly routerUrls: readonly string[];
  readonly timings: Timings;
  /** Whether the namespace knows the search attributes of search-attributes.ts; setting unknown ones would stall the workflow. */
  readonly searchAttributes: boolean;
  /** After how many events of history a run hands over to the next one. Default HISTORY_EVENTS_MAX. */
  readonly historyEventsMax?: number;
  /** Absent in the first run. Present after continue-as-new. */
  readonly carried?: OperationState;
}
/** What the REST call that started a grow is answered with. `request` lets the API tell a repeat from a reused key. */
export interface AnnouncedAnswer {
  readonly map: ShardMap;
  readonly shardIds: readonly number[];
  readonly request: GrowRequest;
}
/** Why an operation was refused. `type` is a DomainErrorCode, or the code of the failure of a shard. */
export interface Refusal {
  readonly type: string;
  readonly message: string;
}
export const ANNOUNCED_UPDATE_ID = 'announced';
/** Answers as soon as the shards are joining, or fails with a DomainErrorCode as type when the grow was refused. */
export const announcedUpdate = defineUpdate<AnnouncedAnswer>('announced');
/**
 * The same answer, for a caller who repeats a call after the operation has ended in a later run than the one that took the
 * update: an update's result is kept with its run. Both null while it is not announced yet.
 */
export const announcedQuery = defineQuery<{ answer: AnnouncedAnswer | null; refusal: Refusal | null }>(
  'announcedAnswer',
);
/** Asks for the undo. Fails with PointOfNoReturnPassed or OperationEnded as type; repeating it is harmless. */
export const cancelUpdate = defineUpdate<OperationProgress, [{ reason: string }]>('cancel');
export const progressQuery = defineQuery<OperationProgress>('progress');
