/** What one may tell and ask a workflow: inputs, updates and queries. Nobody imports a workflow function for that. */
import { defineQuery, defineUpdate } from '@temporalio/workflow';
import type { ClusterAnswer, ClusterTransition } from './cluster';
import type { Evaluation } from '../domain/autoscale-policy';
import type { OperationLock, ClusterState } from '../domain/cluster-state';
import type { WitnessedState } from '../domain/witnessed';
import type { OperationProgress } from '../domain/progress';
import type { ShardMap } from '../domain/shard-map';
import type { OperationState } from './operation-state';
import type {
  AnnouncedAnswer,
  DrainRequest,
  GrowRequest,
  OperationSettings,
  RecoverRequest,
  Refusal,
  RepairRequest,
} from './requests';

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

// ---- witness ----

export interface WitnessInput {
  /** What is known of the cluster when this record begins; null when nothing is. */
  readonly kept: WitnessedState | null;
  /** After how many events of history a run hands over to the next one. Default HISTORY_EVENTS_MAX. */
  readonly historyEventsMax?: number;
}
export interface WitnessRecord {
  readonly state: WitnessedState | null;
  /** Names this record: what was kept elsewhere under another one is not of this cluster in this namespace. */
  readonly lineage: string;
}
export const witnessQuery = defineQuery<WitnessRecord>('published');
export const witnessUpdate = defineUpdate<WitnessRecord, [WitnessedState]>('publish');

// ---- operations ----

export interface OperationInput<Request> extends OperationSettings {
  readonly cluster: string;
  readonly key: string;
  readonly request: Request;
  /** After how many events of history a run hands over to the next one. Default HISTORY_EVENTS_MAX. */
  readonly historyEventsMax?: number;
  /** Absent in the first run. Present after continue-as-new. */
  readonly carried?: OperationState;
}

export type GrowInput = OperationInput<GrowRequest>;
export type DrainInput = OperationInput<DrainRequest>;
export type RepairInput = OperationInput<RepairRequest>;
export type RecoverInput = OperationInput<RecoverRequest>;

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

// ---- evaluation of the autoscale policy ----

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
