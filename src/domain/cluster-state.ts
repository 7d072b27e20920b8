import { NO_AUTOSCALE, type AutoscaleState, type Standby } from './autoscale-state';
import { membersWith, NO_IDENTITY, type ClusterIdentity, type Members } from './members';
import type { ClusterNotice } from './notices';
import type { ClusterLimits } from './work-limits';
import type { ClusterRouters } from './router-entries';
import { asMember, type Shard, type ShardAddress, type ShardMap } from './shard-map';

/** The kinds of operation that hold the lock while they work. A repair changes no map, but relies on it. */
export type LockingKind = 'grow' | 'drain' | 'repair';

/**
 * The kinds of operation that can be started and watched. `recover` takes over the lock of one that was ended from
 * outside.
 */
export type OperationKind = LockingKind | 'check' | 'recover';
export const OPERATION_KINDS: readonly OperationKind[] = ['grow', 'drain', 'repair', 'check', 'recover'];

/** How an operation ended. `refused`: nothing was announced. `failed`, `cancelled`: after their undo. */
export type OperationEnd = 'succeeded' | 'failed' | 'cancelled' | 'refused';

/**
 * Where the lock's holder stands.
 * - `reserved`: it has the lock and ids, and the map does not know it yet.
 * - `announced`: its shards are joining or leaving in the map.
 * - `flipped`: past the point of no return.
 * - `withdrawn`: undone, the map is as before.
 */
export type LockStage = 'reserved' | 'announced' | 'flipped' | 'withdrawn';

/** INV-2: the one operation that may change placement. */
export interface OperationLock {
  readonly operationId: string;
  readonly kind: LockingKind;
  readonly stage: LockStage;
  /** The change has been in the map, and may be withdrawn by now. */
  readonly wasAnnounced: boolean;
  /** The joining or leaving shards; none in a repair. */
  readonly shards: readonly Shard[];
  readonly sinceMs: number;
  /** The operation that took the lock. It differs from `operationId` after a recovery. */
  readonly origin: string;
  /** How often the lock was taken over from a holder that was ended from outside. */
  readonly takeovers: number;
  /**
   * What the grow took from the autoscale policy. It goes back when the grow comes to nothing. Null in a grow that a
   * person started.
   */
  readonly standby: TakenStandby | null;
  /** Written to every shard that takes part, before anything else. A lock of release 0.2 has none. */
  readonly epoch?: number | undefined;
  /** The shard that a drain by policy takes out waits outside of the cluster afterwards, when it is empty. */
  readonly toStandby?: boolean;
}

export interface TakenStandby {
  readonly standby: Standby;
  /** The start of the cooldown before this grow. */
  readonly lastScaleBeforeMs: number | null;
}

/** What is remembered of an operation. */
export interface OperationRecord {
  readonly operationId: string;
  readonly kind: OperationKind;
  readonly shardIds: readonly number[];
  readonly startedAtMs: number;
  /** Null while it runs. */
  readonly endedAtMs: number | null;
  readonly end: OperationEnd | null;
  readonly pointsMoved: number;
  /** One sentence for an operator: what came of it and why. Holds no point data. */
  readonly message: string;
  /** Digest of the request (request-digest.ts), for a repeated key. A record of an earlier release has none. */
  readonly asked?: string;
  /** Why it was refused or ended, when the coordinator did that. Absent while it runs, and in older records. */
  readonly code?: string | null;
}

/** An answered `Idempotency-Key` of a manual change, so that a repeat changes nothing. */
export interface AnsweredRequest {
  readonly key: string;
  /** The request, to tell a repeat from a key that is used for something else. */
  readonly request: string;
}

/**
 * All that the cluster workflow knows, and the only copy of it. Plain JSON: it goes through continue-as-new as it is.
 */
export interface ClusterState {
  readonly map: ShardMap;
  /** INV-1: the id that the next shard gets. It only rises. */
  readonly nextId: number;
  readonly lock: OperationLock | null;
  /** Newest first, bounded by RECENT_OPERATIONS_MAX. */
  readonly operations: readonly OperationRecord[];
  /** Newest first, bounded by ANSWERED_REQUESTS_MAX. */
  readonly answered: readonly AnsweredRequest[];
  readonly autoscale: AutoscaleState;
  /** Who the shards say they belong to (shard-identity.ts). */
  readonly identity: ClusterIdentity;
  /** Rises with every operation. */
  readonly epoch: number;
  readonly members: Members;
  /**
   * Every point is known to lie where the map has it: since the last clean check or repair. Changes by hand and points
   * that were kept end that.
   */
  readonly isInOrder: boolean;
  /** Newest first, bounded by NOTICES_MAX. What hinders the autoscale policy is in `autoscale`. */
  readonly notices: readonly ClusterNotice[];
  /** How fast operations work, and when. Absent: nobody has ever said. */
  readonly limits?: ClusterLimits;
  /** They come from settings. Absent: somebody said them by hand. */
  readonly areLimitsSeeded?: true;
  /** Absent until somebody has given one: then an operation asks the routers of its own settings. */
  readonly routers?: ClusterRouters;
}

type NewIn03 = 'identity' | 'epoch' | 'members' | 'notices' | 'isInOrder';
/** A state as any release wrote it. */
export type SavedState = Omit<ClusterState, 'autoscale' | NewIn03> & Partial<Pick<ClusterState, 'autoscale' | NewIn03>>;

export function readState(saved: SavedState): ClusterState {
  return {
    autoscale: NO_AUTOSCALE,
    identity: NO_IDENTITY,
    epoch: 0,
    members: {},
    notices: [],
    isInOrder: false,
    ...saved,
  };
}

/**
 * A router adopts a version above its own, and begins with 0. One that is started with a dead address, so that it
 * refuses writes until it holds a map, would wait for ever for a cluster of version 0.
 */
export function raiseFromZero(state: ClusterState): ClusterState {
  return state.map.version === 0 ? { ...state, map: { ...state.map, version: 1 } } : state;
}

/** A cluster that never had a coordinator: version 1, ids 0…n-1 in the order of `shards`. */
export function seedState(shards: readonly ShardAddress[]): ClusterState {
  const numbered = shards.map((shard, id): Shard => ({ id, ...shard }));
  const map: ShardMap = { version: 1, shards: numbered.map(asMember), joining: [], leaving: [] };
  return { ...adoptState({ next_id: shards.length, map }), members: membersWith({}, numbered) };
}

/** Takes over what another coordinator kept (`QUIVER_COORDINATOR_STATE`): same ids, same version, but never 0. */
export function adoptState(saved: { next_id: number; map: ShardMap }): ClusterState {
  const nextId = Math.max(saved.next_id, ...saved.map.shards.map((shard) => shard.id + 1));
  return raiseFromZero(readState({ map: saved.map, nextId, lock: null, operations: [], answered: [] }));
}
