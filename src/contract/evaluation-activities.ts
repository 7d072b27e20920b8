/** The activities of an evaluation of the autoscale policy, as its workflow sees them: types only, plain JSON and small (see activities.ts). */
import type { ShardLoad } from '../domain/autoscale-decision';
import type { AutoscaleState } from '../domain/autoscale-state';
import type { Shard, ShardAddress, ShardMap } from '../domain/shard-map';
import type { GrowInput } from './messages';
import type { OperationSettings, Refusal } from './requests';

/** What a look at the lock found. */
export type LockLook =
  | { readonly kind: 'free' }
  | { readonly kind: 'held'; readonly operationId: string }
  /** `operationId` was ended from outside while it held the lock, and `recovery` takes over from it. */
  | { readonly kind: 'recovering'; readonly operationId: string; readonly recovery: string };

/** The part of the cluster's state that a decision is made of. */
export interface ObservedCluster {
  readonly map: ShardMap;
  readonly autoscale: Pick<AutoscaleState, 'policy' | 'standbys' | 'lastScaleAtMs' | 'streak'>;
  /** The operation that holds the lock, or null. */
  readonly lockedBy: string | null;
  /** The map is older than what was published: a reset of the cluster workflow, not caught up with yet. Nothing may be begun on it. */
  readonly isRewound: boolean;
}

/** Null: nothing speaks against it. Else why it cannot join now, as a sentence for an operator. */
export interface StandbyFinding {
  readonly primaryUrl: string;
  readonly problem: string | null;
}

/** What came of the start of a grow. Neither announced nor refused: it runs, and has not said yet. */
export interface StartedGrow {
  readonly operationId: string;
  readonly announced: boolean;
  readonly refusal: Refusal | null;
}

export interface AutoscaleActivities {
  /** Finds a lock whose holder was ended from outside, and starts its recovery. Repeating it is harmless. */
  lookAfterLock(input: { cluster: string; settings: OperationSettings }): Promise<LockLook>;

  /** What the cluster workflow knows. Fails with ClusterStateLost when there is none that runs. */
  observeCluster(input: { cluster: string }): Promise<ObservedCluster>;

  /** How many points each shard holds over all collections. One that does not answer is unknown, with the reason (INV-8), and no failure. */
  readLoads(input: { shards: readonly Shard[] }): Promise<readonly ShardLoad[]>;

  /** Whether each of them could join now: it answers, takes the key and is empty. Changes nothing, and fails because of none. */
  probeStandbys(input: { standbys: readonly ShardAddress[] }): Promise<readonly StandbyFinding[]>;

  /** Starts a grow as the API does and waits, for a while, until it is announced or refused. Repeating it finds the same grow. */
  startGrow(input: { input: GrowInput }): Promise<StartedGrow>;
}
