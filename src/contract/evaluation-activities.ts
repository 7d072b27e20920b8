/** The activities of an evaluation of the autoscale policy: types only, plain JSON and small (see activities.ts). */
import type { ShardLoad } from '../domain/autoscale-decision';
import type { AutoscaleState } from '../domain/autoscale-state';
import type { Shard, ShardAddress, ShardMap } from '../domain/shard-map';
import type { DrainInput, GrowInput } from './messages';
import type { OperationSettings, Refusal } from './requests';

/** What a look at the lock found. */
export type LockLook =
  | { readonly kind: 'free' }
  | { readonly kind: 'held'; readonly operationId: string }
  /** `operationId` was ended from outside while it held the lock, and `recovery` takes over from it. */
  | { readonly kind: 'recovering'; readonly operationId: string; readonly recovery: string };

/** The part of the cluster's state that a decision needs. */
export interface ObservedCluster {
  readonly map: ShardMap;
  readonly autoscale: Pick<AutoscaleState, 'policy' | 'standbys' | 'lastScaleAtMs' | 'streak' | 'lowStreak'>;
  /** The operation that holds the lock, or null. */
  readonly lockedBy: string | null;
  /**
   * The map is older than what was published: the cluster workflow was reset, and has not caught up yet. Nothing may
   * begin on it.
   */
  readonly isRewound: boolean;
}

/** Null: the standby can join. Else why it cannot join now, as a sentence for an operator. */
export interface StandbyFinding {
  readonly primaryUrl: string;
  readonly problem: string | null;
}

/** What came of the start of a grow or a drain. Neither announced nor refused: it runs, and has not answered yet. */
export interface StartedOperation {
  readonly operationId: string;
  readonly announced: boolean;
  readonly refusal: Refusal | null;
}

export interface AutoscaleActivities {
  /** Finds a lock whose holder was ended from outside, and starts its recovery. A repeat is harmless. */
  lookAfterLock(input: { cluster: string; settings: OperationSettings }): Promise<LockLook>;

  /** What the cluster workflow knows. Fails with ClusterStateLost when none runs. */
  observeCluster(input: { cluster: string }): Promise<ObservedCluster>;

  /**
   * How many points each shard holds over all collections, and how many bytes their vectors have. A shard that does not answer is unknown, with the reason
   * (INV-8); that is no failure.
   */
  readLoads(input: { shards: readonly Shard[] }): Promise<readonly ShardLoad[]>;

  /**
   * Whether each standby could join now: it answers, accepts the key and is empty. Changes nothing. A standby that
   * could not join is no failure.
   */
  probeStandbys(input: { standbys: readonly ShardAddress[] }): Promise<readonly StandbyFinding[]>;

  /**
   * Starts a grow as the API does, and waits for a while until it is announced or refused. A repeat finds the same
   * grow.
   */
  startGrow(input: { input: GrowInput }): Promise<StartedOperation>;

  /** The same for a drain. */
  startDrain(input: { input: DrainInput }): Promise<StartedOperation>;
}
