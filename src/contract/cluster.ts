/** What the cluster workflow is asked to do, and what it answers. */
import type { AutoscalePolicy, Evaluation } from '../domain/autoscale-policy';
import type { LockStage, OperationLock } from '../domain/cluster-state';
import type { WitnessedState } from '../domain/witnessed';
import type { LockRequest, OperationResult } from '../domain/lock-transitions';
import type { NewNotice } from '../domain/notices';
import type { ManualChange } from '../domain/manual-changes';
import type { ClusterLimits } from '../domain/work-limits';
import type { ClusterIdentity, Members } from '../domain/members';
import type { RouterChange } from '../domain/router-list';
import type { ShardAddress, ShardMap } from '../domain/shard-map';

/**
 * A transition of the cluster workflow. See domain/lock-transitions.ts, manual-changes.ts, autoscale-state.ts,
 * notices.ts, limit-transitions.ts, router-list.ts and witnessed.ts.
 */
export type ClusterTransition =
  /** `uid`: taken for the cluster's own when it has none yet. `asked`: digest of the operation's request. */
  | {
      readonly type: 'reserve';
      readonly operationId: string;
      readonly request: LockRequest;
      readonly uid?: string;
      readonly asked?: string;
    }
  | { readonly type: 'announce'; readonly operationId: string }
  | { readonly type: 'confirmHeld'; readonly operationId: string }
  | { readonly type: 'confirmAnnounced'; readonly operationId: string }
  | { readonly type: 'flip'; readonly operationId: string }
  | { readonly type: 'withdraw'; readonly operationId: string }
  | ({ readonly type: 'release' } & OperationResult)
  | { readonly type: 'takeOver'; readonly operationId: string; readonly from: string }
  | { readonly type: 'beginCheck'; readonly operationId: string; readonly uid?: string; readonly asked?: string }
  | ({ readonly type: 'endCheck' } & OperationResult)
  | { readonly type: 'changeByHand'; readonly change: ManualChange; readonly key: string | null }
  | { readonly type: 'seedAutoscale'; readonly policy: AutoscalePolicy; readonly standbys: readonly ShardAddress[] }
  | { readonly type: 'replacePolicy'; readonly policy: AutoscalePolicy }
  | { readonly type: 'addStandby'; readonly address: ShardAddress }
  | { readonly type: 'removeStandby'; readonly primaryUrl: string }
  | {
      readonly type: 'markStandbys';
      readonly findings: readonly { readonly primaryUrl: string; readonly problem: string | null }[];
    }
  | {
      readonly type: 'recordEvaluation';
      readonly evaluation: Omit<Evaluation, 'atMs'>;
      readonly streak: number;
      readonly lowStreak?: number;
    }
  /** By an operation, after it has written them. */
  | { readonly type: 'recordEpochs'; readonly epochs: Readonly<Record<string, number>> }
  | { readonly type: 'bringUid'; readonly uid: string }
  | { readonly type: 'removeIdentities' }
  | { readonly type: 'adoptIdentities' }
  | { readonly type: 'raiseFromZero' }
  | { readonly type: 'notice'; readonly notices: readonly NewNotice[] }
  | { readonly type: 'clearNotice'; readonly key: string }
  | { readonly type: 'replaceLimits'; readonly limits: ClusterLimits }
  /** By an API at its start, from its settings. */
  | { readonly type: 'seedLimits'; readonly limits: ClusterLimits }
  /** By an API at its start, from its setting. */
  | { readonly type: 'seedRouters'; readonly entries: readonly string[] }
  | { readonly type: 'setRouters'; readonly entries: readonly string[] }
  | ({ readonly type: 'changeRouters' } & RouterChange)
  | { readonly type: 'catchUp'; readonly published: WitnessedState };

/** As it is sent: with the rules that its sender knows (domain/rules.ts). Absent in what earlier releases sent. */
export type SentTransition = ClusterTransition & { readonly rules?: number };

/** What the cluster workflow answers to a transition: the map after it, and the lock with its holder's shards. */
export interface ClusterAnswer {
  readonly map: ShardMap;
  readonly lock: OperationLock | null;
  /** Every point is known to lie where the map has it: since the last clean check. */
  readonly isInOrder?: boolean;
  readonly identity: ClusterIdentity;
  /** Of the operation that holds the lock; without one the last that was given out. */
  readonly epoch: number;
  /** Only where an operation begins, and those with a gRPC address in `confirmHeld`: a history must not grow at each step. */
  readonly members?: Members;
  /** How fast operations work, and when. Absent: nobody has ever said. */
  readonly limits?: ClusterLimits;
  /** How many entries the list of routers has. Absent while the cluster has none: the settings of the operation count. */
  readonly routers?: number;
}

/**
 * What the lock must be for a step to touch points: held by this operation, at this stage. Every such activity confirms
 * it (lock-guard.ts).
 */
export interface LockGuard {
  readonly cluster: string;
  readonly operationId: string;
  readonly stage: LockStage;
}
