/**
 * What the outside may say to and ask of the workflows. The API and activities import only this file (and types), never a
 * workflow function, so that names and ids stand in one place.
 */
import { defineQuery, defineUpdate } from '@temporalio/workflow';
import type { ClusterAnswer, ClusterTransition } from './activities';
import type { Evaluation } from '../domain/autoscale-state';
import {
  OPERATION_KINDS,
  type OperationLock,
  type ClusterState,
  type OperationKind,
  type PublishedState,
} from '../domain/cluster-state';
import type { Holder } from '../domain/findings';
import type { Timings } from '../domain/limits';
import type { OperationProgress } from '../domain/progress';
import type { ShardAddress, ShardMap } from '../domain/shard-map';
import type { OperationState } from './operation-state';

/** The type of an operation's workflow is its kind. */
export const CLUSTER_WORKFLOW = 'cluster';

export const clusterWorkflowId = (cluster: string): string => `cluster/${cluster}`;
export const operationWorkflowId = (cluster: string, kind: OperationKind, key: string): string =>
  `${kind}/${cluster}/${key}`;
/** The id that REST shows and the lock holds. A key holds no `/` and no `%`, so it is safe in a path. */
export const operationIdOf = (kind: OperationKind, key: string): string => `${kind}-${key}`;
/** One task queue per cluster: a worker holds the shard key of one cluster only. */
export const taskQueue = (cluster: string): string => `coordinator/${cluster}`;

/** A key as callers give it (Idempotency-Key), or with what a recovery adds to the id of the operation that it recovers. */
const KEY = /^[A-Za-z0-9_.:-]{1,200}$/;

/** Kind and key of an operation id, or null when it is none. */
export function parseOperationId(operationId: string): { kind: OperationKind; key: string } | null {
  const kind = OPERATION_KINDS.find((each) => operationId.startsWith(`${each}-`));
  if (kind === undefined) return null;
  const key = operationId.slice(kind.length + 1);
  return KEY.test(key) ? { kind, key } : null;
}

// ---- cluster ----

export interface ClusterInput {
  readonly cluster: string;
  readonly state: Omit<ClusterState, 'autoscale'> & Partial<Pick<ClusterState, 'autoscale'>>;
}
export const mapQuery = defineQuery<ShardMap>('map');
export const lockQuery = defineQuery<OperationLock | null>('lock');
export const stateQuery = defineQuery<ClusterState>('state');
/** Fails with an ApplicationFailure whose type is a DomainErrorCode. */
export const transitionUpdate = defineUpdate<ClusterAnswer, [ClusterTransition]>('transition');

// ---- published ----

export const PUBLISHED_WORKFLOW = 'published';
export const publishedWorkflowId = (cluster: string): string => `published/${cluster}`;

export interface PublishedInput {
  /** What is known of the cluster when this record begins; null when nothing is. */
  readonly kept: PublishedState | null;
  /** After how many events of history a run hands over to the next one. Default HISTORY_EVENTS_MAX. */
  readonly historyEventsMax?: number;
}
export interface PublishedRecord {
  readonly state: PublishedState | null;
  /** Names this record: what was kept elsewhere under another one is not of this cluster in this namespace. */
  readonly lineage: string;
}
export const publishedQuery = defineQuery<PublishedRecord>('published');
export const publishUpdate = defineUpdate<PublishedRecord, [PublishedState]>('publish');

// ---- operations ----

/** What every operation is told beside its request: settings of whoever started it, which it keeps to its end. */
export interface OperationSettings {
  readonly routerUrls: readonly string[];
  readonly timings: Timings;
  /** Whether the namespace knows the search attributes of search-attributes.ts; setting unknown ones would stall the workflow. */
  readonly searchAttributes: boolean;
}

export interface OperationInput<Request> extends OperationSettings {
  readonly cluster: string;
  readonly key: string;
  readonly request: Request;
  /** After how many events of history a run hands over to the next one. Default HISTORY_EVENTS_MAX. */
  readonly historyEventsMax?: number;
  /** Absent in the first run. Present after continue-as-new. */
  readonly carried?: OperationState;
}

export interface GrowRequest {
  readonly shards: readonly ShardAddress[];
  readonly allowNonempty: boolean;
  /** The shard is a standby of the autoscale policy. */
  readonly fromStandby?: boolean;
  /** With `fromStandby`: the start of the cooldown that the policy decided by (ms since the epoch), null when there was none. */
  readonly seenLastScaleAtMs?: number | null;
}
export interface DrainRequest {
  readonly shardId: number;
}
/** A check has no `prefer`. */
export interface RepairRequest {
  /** Null: all of them. */
  readonly collections: readonly string[] | null;
  /** Shards that are not in the map (any more), to be read, and in a repair emptied, as non-owners. */
  readonly leftovers: readonly ShardAddress[];
  /** Whose value counts, first one first, when the owner has none and the others' differ. Empty: such points are only reported. */
  readonly prefer: readonly Holder[];
}
export interface RecoverRequest {
  /** The operation that held the lock when it was found to be ended. */
  readonly dead: string;
  /** When its last run ended: an attempt of it may go on writing for as long as an attempt lives. */
  readonly diedAtMs: number;
}
export type OperationRequest = GrowRequest | DrainRequest | RepairRequest | RecoverRequest;

export type GrowInput = OperationInput<GrowRequest>;
export type DrainInput = OperationInput<DrainRequest>;
export type RepairInput = OperationInput<RepairRequest>;
export type RecoverInput = OperationInput<RecoverRequest>;

// ---- autoscale ----

export const AUTOSCALE_WORKFLOW = 'autoscale';
/** Of the Schedule, which adds the time of each start to it for its workflows. */
export const autoscaleScheduleId = (cluster: string): string => `autoscale/${cluster}`;
/** Of an evaluation that somebody asked for. */
export const evaluationWorkflowId = (cluster: string, key: string): string => `autoscale/${cluster}/${key}`;
/** An evaluation that nobody works on for so long is over: the next one decides on what is true then. */
export const EVALUATION_LIFE_MS = 120_000;

export interface AutoscaleInput {
  readonly cluster: string;
  /** What the grow is told that it may start, and a recovery. */
  readonly settings: OperationSettings;
  /** Only says what it would do: nothing is changed or recorded. */
  readonly dryRun: boolean;
}
export interface EvaluationResult extends Evaluation {
  readonly dryRun: boolean;
}

/** What the REST call that started an operation is answered with. `request` lets the API tell a repeat from a reused key. */
export interface AnnouncedAnswer {
  readonly map: ShardMap;
  readonly shardIds: readonly number[];
  readonly request: OperationRequest;
}
/** Why an operation was refused. `type` is a DomainErrorCode, or the code of the failure of a shard. */
export interface Refusal {
  readonly type: string;
  readonly message: string;
}
export const ANNOUNCED_UPDATE_ID = 'announced';
/** Answers as soon as the change is in the map (a check or repair: has begun), or fails with a DomainErrorCode as type when it was refused. */
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
/** All that an operation knows, for the one that recovers it. */
export const operationStateQuery = defineQuery<OperationState>('operationState');
