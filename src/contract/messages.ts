/** What one may tell and ask a workflow: inputs, updates and queries. So nobody needs to import a workflow function. */
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { ClusterAnswer, SentTransition } from './cluster';
import type { Evaluation } from '../domain/autoscale-policy';
import type { OperationKind, OperationLock, ClusterState, SavedState } from '../domain/cluster-state';
import type { ExaminedShards } from '../domain/diagnosis';
import type { PauseRequest } from '../domain/pause';
import type { WitnessedState } from '../domain/witnessed';
import type { Hook, NewHook, ToldNews } from '../domain/hooks';
import type { ToldTime } from '../domain/late-writes';
import type { OperationProgress, Phase } from '../domain/progress';
import type { PlannedKind } from '../domain/plan';
import type { Shard, ShardMap } from '../domain/shard-map';
import type { ClusterLimits, WorkLimits } from '../domain/work-limits';
import type { OperationState } from './operation-state';
import type { StepProgress } from '../domain/progress';
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
  readonly state: SavedState;
}
export const mapQuery = defineQuery<ShardMap>('map');
export const lockQuery = defineQuery<OperationLock | null>('lock');
export const stateQuery = defineQuery<ClusterState>('state');
/** The entries of the list of routers; undefined while the cluster has none. */
export const routersQuery = defineQuery<readonly string[] | undefined>('routers');

/** Fails with an ApplicationFailure whose type is a DomainErrorCode. */
export const transitionUpdate = defineUpdate<ClusterAnswer, [SentTransition]>('transition');

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

/**
 * Answers as soon as the change is in the map (a check or repair: as soon as it has begun). Fails with a
 * DomainErrorCode as type when the operation was refused.
 */
export const announcedUpdate = defineUpdate<AnnouncedAnswer>('announced');

/**
 * The same answer, for a caller that repeats a call after the operation ended in a later run than the one that took the
 * update. An update's result is kept with its run. Both are null while the operation is not announced yet.
 */
export const announcedQuery = defineQuery<{ answer: AnnouncedAnswer | null; refusal: Refusal | null }>(
  'announcedAnswer',
);

/** Asks for the undo. Fails with PointOfNoReturnPassed or OperationEnded as type. A repeat is harmless. */
export const cancelUpdate = defineUpdate<OperationProgress, [{ reason: string }]>('cancel');

/**
 * Has the operation stand still at its next safe point. Fails with CannotPauseNow, OperationEnded or InvalidRequest as
 * type. A repeat gives it other words and another end.
 */
export const pauseUpdate = defineUpdate<OperationProgress, [PauseRequest]>('pause');
/** Fails with OperationEnded as type. Harmless where nothing is paused. */
export const resumeUpdate = defineUpdate<OperationProgress>('resume');
/** Changes its own limits: what is absent stays, null is as the cluster says. Fails with OperationEnded as type. */
export const limitUpdate = defineUpdate<OperationProgress, [Partial<WorkLimits>]>('limit');
/** Tells a running operation what the cluster says by now. */
export const clusterLimitsUpdate = defineUpdate<OperationProgress, [ClusterLimits]>('clusterLimits');
/** What one step may take of the operation's limits. Not there while nothing limits the operation. */
export const stepLimitsQuery = defineQuery<WorkLimits>('stepLimits');

export const progressQuery = defineQuery<OperationProgress>('progress');

export const stepProgressSignal = defineSignal<[StepProgress]>('stepProgress');

/** All that an operation knows, for the operation that recovers it. */
export const operationStateQuery = defineQuery<OperationState>('operationState');

// ---- evaluation of the autoscale policy ----

export interface AutoscaleInput {
  readonly cluster: string;
  /** Settings for the grow that it may start, and for a recovery. */
  readonly settings: OperationSettings;
  /** Only says what it would do. Changes and records nothing. */
  readonly dryRun: boolean;
}
export interface EvaluationResult extends Evaluation {
  readonly dryRun: boolean;
}

// ---- a plan: what an operation would do ----

export interface PlanInput extends OperationSettings {
  readonly cluster: string;
  readonly what:
    | ({ readonly kind: 'grow'; readonly request: GrowRequest } & PlannedParties)
    | ({ readonly kind: 'drain'; readonly request: DrainRequest } & PlannedParties)
    | ({ readonly kind: 'check' | 'repair'; readonly request: RepairRequest } & PlannedParties)
    | ({ readonly kind: 'cancel' } & CancelledSoFar)
    /** The cluster itself refuses it, so nobody is asked. */
    | { readonly kind: 'refused'; readonly of: Exclude<PlannedKind, 'cancel'> };
}

/** The cluster as it is, and the shards that would join or leave. */
export interface PlannedParties {
  readonly map: ShardMap;
  readonly own: readonly Shard[];
  readonly uid: string | null;
  /** By shard id: the last epoch that was recorded for it. */
  readonly epochs: Readonly<Record<string, number | null>>;
  readonly isInOrder: boolean;
}

/** What the operation has done that would be cancelled. */
export interface CancelledSoFar {
  readonly of: OperationKind;
  readonly shards: readonly Shard[];
  readonly begun: readonly Phase[];
  readonly wasAnnounced: boolean;
  /** Rows and bytes that it has copied. */
  readonly rows: number;
  readonly bytes: number;
}

// ---- webhooks. No secret is in any of this in clear. ----

export interface HooksInput {
  readonly cluster: string;
  /** Absent in the first run. Present after continue-as-new. */
  readonly carried?: HooksState;
  /** After how many events of history a run hands over to the next one. Default HISTORY_EVENTS_MAX. */
  readonly historyEventsMax?: number;
}

export interface HooksState {
  readonly hooks: readonly Hook[];
  readonly told: ToldNews | null;
}

export const hooksQuery = defineQuery<readonly Hook[]>('hooks');
/** Replaces all hooks. Fails with a DomainErrorCode as type. A repeat is harmless. */
export const replaceHooksUpdate = defineUpdate<readonly Hook[], [readonly NewHook[]]>('replaceHooks');

// ---- a diagnosis: what a worker sees. No key and no point data is part of it ----

export interface DiagnosisInput {
  /** As operations are given them, with their gRPC addresses. */
  readonly shards: readonly Shard[];
  /** Null before the first operation. */
  readonly uid: string | null;
  /** By shard id: the last epoch that was recorded for it. */
  readonly epochs: Readonly<Record<string, number | null>>;
}

/** The one worker that took the task. */
export interface SeenWorker {
  /** The machine, as it names itself. */
  readonly host: string;
  /** The version of Node. */
  readonly node: string;
  readonly spoolFolder: string;
  /** Null: the folder cannot be looked at. */
  readonly spoolFreeBytes: number | null;
  readonly told: ToldTime;
}

export interface DiagnosisResult extends ExaminedShards {
  readonly worker: SeenWorker;
  /** The clock of the worker against Temporal's: ahead above 0, behind below it. 0: as far as can be told, it is right. */
  readonly workerSkewMs: number;
  /** When it began, by the clock of Temporal. */
  readonly startedAtMs: number;
}
