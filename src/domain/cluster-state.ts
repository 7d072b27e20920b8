import { DomainError } from './errors';
import { ANSWERED_REQUESTS_MAX, RECENT_OPERATIONS_MAX, SHARDS_MAX } from './limits';
import {
  addJoining,
  addOwners,
  promote,
  remove,
  requireShard,
  shardAtAddress,
  type Shard,
  type ShardAddress,
  type ShardMap,
} from './shard-map';

/** The kinds of operation that change placement. */
export type OperationKind = 'grow';

/** How an operation ended. `refused`: nothing was announced. `failed`, `cancelled`: after their undo. */
export type OperationEnd = 'succeeded' | 'failed' | 'cancelled' | 'refused';

/**
 * Where the lock's holder stands. `reserved`: it has the lock and ids, the map knows nothing of it yet. `announced`: its
 * shards are in the map. `flipped`: past the point of no return. `withdrawn`: undone, the shards are out of the map again.
 */
export type LockStage = 'reserved' | 'announced' | 'flipped' | 'withdrawn';

/** INV-2: the one operation that may change placement. */
export interface OperationLock {
  readonly operationId: string;
  readonly kind: OperationKind;
  readonly stage: LockStage;
  readonly shards: readonly Shard[];
  readonly sinceMs: number;
}

/** What is remembered of an operation that held the lock. */
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
}

/** An `Idempotency-Key` that a manual change was answered for, so that a repeat changes nothing. */
export interface AnsweredRequest {
  readonly key: string;
  /** What was asked, to tell a repeat from a key that is used for something else. */
  readonly request: string;
}

/**
 * All that the cluster workflow knows, and the only copy of it. Plain JSON: it goes through continue-as-new as it is.
 */
export interface ClusterState {
  readonly map: ShardMap;
  /** INV-1: the id that the next shard gets. Rises only. */
  readonly nextId: number;
  readonly lock: OperationLock | null;
  /** Newest first, bounded by RECENT_OPERATIONS_MAX. */
  readonly operations: readonly OperationRecord[];
  /** Newest first, bounded by ANSWERED_REQUESTS_MAX. */
  readonly answered: readonly AnsweredRequest[];
}

/** A cluster that never had a coordinator: version 0, ids 0…n-1 in the order of `shards`. */
export function seedState(shards: readonly ShardAddress[]): ClusterState {
  const map: ShardMap = { version: 0, shards: shards.map((shard, id) => ({ id, ...shard })), joining: [], leaving: [] };
  return adoptState({ next_id: shards.length, map });
}

/** Takes over what another coordinator kept (`QUIVER_COORDINATOR_STATE`): same version, same ids. */
export function adoptState(saved: { next_id: number; map: ShardMap }): ClusterState {
  const nextId = Math.max(saved.next_id, ...saved.map.shards.map((shard) => shard.id + 1));
  return { map: saved.map, nextId, lock: null, operations: [], answered: [] };
}

// ---- Transitions of an operation. Each one answers a repeat by the same operation without changing anything. ----

/** Takes the lock and allocates ids, before anything is looked at or announced. The map stays as it is. */
export function reserve(
  state: ClusterState,
  request: { operationId: string; kind: OperationKind; shards: readonly ShardAddress[]; nowMs: number },
): ClusterState {
  if (state.lock?.operationId === request.operationId) return state;
  if (state.operations.some((each) => each.operationId === request.operationId)) {
    throw new DomainError('OperationEnded', `operation ${request.operationId} has already ended: start another one`);
  }
  refuseWhileLocked(state);
  refuseWhileMoving(state);
  refuseFullMap(state, request.shards.length);
  for (const shard of request.shards) {
    const known = shardAtAddress(state.map, shard);
    if (known !== undefined) {
      throw new DomainError(
        'ShardAlreadyInMap',
        `${shard.primary_url} is already in the map as shard ${known.id}: give the address of a shard that is not in the cluster yet`,
      );
    }
  }
  const shards = request.shards.map((shard, index) => ({ id: state.nextId + index, ...shard }));
  const lock: OperationLock = {
    operationId: request.operationId,
    kind: request.kind,
    stage: 'reserved',
    shards,
    sinceMs: request.nowMs,
  };
  const record: OperationRecord = {
    operationId: request.operationId,
    kind: request.kind,
    shardIds: shards.map((shard) => shard.id),
    startedAtMs: request.nowMs,
    endedAtMs: null,
    end: null,
    pointsMoved: 0,
    message: 'running',
  };
  return {
    ...state,
    nextId: state.nextId + shards.length,
    lock,
    operations: [record, ...state.operations].slice(0, RECENT_OPERATIONS_MAX),
  };
}

/** The operation's shards enter the map as joining, in one version. @throws DomainError as `confirmAnnounced` */
export function announceJoin(state: ClusterState, operationId: string): ClusterState {
  const lock = requireLock(state, operationId);
  if (lock.stage === 'reserved') {
    return { ...state, map: addJoining(state.map, lock.shards), lock: { ...lock, stage: 'announced' } };
  }
  return confirmAnnounced(state, operationId);
}

/**
 * Changes nothing. An operation whose workflow was reset to an earlier step must not go on as if the later ones had not been:
 * behind the flip the donors are no longer the truth.
 * @throws DomainError NotLockHolder, PointOfNoReturnPassed, OperationEnded
 */
export function confirmAnnounced(state: ClusterState, operationId: string): ClusterState {
  const lock = requireLock(state, operationId);
  if (lock.stage === 'announced') return state;
  if (lock.stage === 'flipped') {
    throw new DomainError(
      'PointOfNoReturnPassed',
      `operation ${operationId} has flipped ownership: it only goes forward`,
    );
  }
  throw new DomainError('OperationEnded', `the shards of operation ${operationId} are not in the map (${lock.stage})`);
}

/** The flip: the operation's shards become owners, in one version. @throws DomainError NotLockHolder, NotJoining */
export function flipJoin(state: ClusterState, operationId: string): ClusterState {
  const lock = requireLock(state, operationId);
  if (lock.stage === 'flipped') return state;
  const ids = lock.shards.map((shard) => shard.id);
  return { ...state, map: promote(state.map, ids), lock: { ...lock, stage: 'flipped' } };
}

/** The undo of `announceJoin`: the shards leave the map. The lock stays until what they hold is cleaned up. */
export function withdrawJoin(state: ClusterState, operationId: string): ClusterState {
  const lock = requireLock(state, operationId);
  if (lock.stage === 'flipped') {
    throw new DomainError(
      'PointOfNoReturnPassed',
      `operation ${operationId} has flipped ownership: it only goes forward`,
    );
  }
  if (lock.stage !== 'announced') return { ...state, lock: { ...lock, stage: 'withdrawn' } };
  const ids = lock.shards.map((shard) => shard.id);
  return { ...state, map: remove(state.map, ids), lock: { ...lock, stage: 'withdrawn' } };
}

/** Gives the lock back and records the end. A repeat, or a call by an operation that never had it, changes nothing. */
export function release(
  state: ClusterState,
  result: { operationId: string; end: OperationEnd; pointsMoved: number; message: string; nowMs: number },
): ClusterState {
  if (state.lock?.operationId !== result.operationId) return state;
  const { operationId, end, pointsMoved, message, nowMs } = result;
  const operations = state.operations.map((each) =>
    each.operationId === operationId ? { ...each, end, pointsMoved, message, endedAtMs: nowMs } : each,
  );
  return { ...state, lock: null, operations };
}

// ---- Manual changes, as Quiver's operators know them. None is possible while an operation holds the lock (INV-2). ----

/** A change that an operator makes by hand. `key` is the caller's Idempotency-Key, null without one. */
export type ManualChange =
  | { readonly change: 'add'; readonly shard: ShardAddress }
  | { readonly change: 'join'; readonly shard: ShardAddress }
  | { readonly change: 'promote'; readonly id: number }
  | { readonly change: 'remove'; readonly id: number };

/** @throws DomainError OperationInProgress, JoinInProgress, LeaveInProgress, ShardAlreadyInMap, UnknownShard, NotJoining, LastShard, IdempotencyKeyReused */
export function changeByHand(state: ClusterState, change: ManualChange, key: string | null): ClusterState {
  const request = JSON.stringify(change);
  const answered = key === null ? undefined : state.answered.find((each) => each.key === key);
  if (answered !== undefined) {
    if (answered.request === request) return state;
    throw new DomainError(
      'IdempotencyKeyReused',
      'this Idempotency-Key was used for another request: take a fresh one',
    );
  }
  refuseWhileLocked(state);
  const next = applyByHand(state, change);
  if (key === null) return next;
  return { ...next, answered: [{ key, request }, ...state.answered].slice(0, ANSWERED_REQUESTS_MAX) };
}

function applyByHand(state: ClusterState, change: ManualChange): ClusterState {
  switch (change.change) {
    case 'add':
    case 'join': {
      // Beside a joining shard a new owner would change who the donors are, in the middle of that join.
      refuseWhileMoving(state);
      refuseFullMap(state, 1);
      const shard = { id: state.nextId, ...change.shard };
      const add = change.change === 'add' ? addOwners : addJoining;
      return { ...state, map: add(state.map, [shard]), nextId: state.nextId + 1 };
    }
    case 'promote':
      return { ...state, map: promote(state.map, [change.id]) };
    case 'remove':
      requireShard(state.map, change.id);
      return { ...state, map: remove(state.map, [change.id]) };
  }
}

// ---- Preconditions ----

function requireLock(state: ClusterState, operationId: string): OperationLock {
  if (state.lock?.operationId === operationId) return state.lock;
  const holder = state.lock === null ? 'nobody' : state.lock.operationId;
  throw new DomainError('NotLockHolder', `operation ${operationId} does not hold the cluster's lock (${holder} does)`);
}

function refuseWhileLocked(state: ClusterState): void {
  if (state.lock === null) return;
  const { operationId, shards } = state.lock;
  const ids = shards.map((shard) => shard.id).join(', ');
  throw new DomainError(
    'OperationInProgress',
    `operation ${operationId} (shard ${ids}) is running: wait for its end, or cancel it with POST /cluster/operations/${operationId}/cancel`,
  );
}

/** Another change that is half-way decides who the donors are, so nothing may begin beside it. */
function refuseWhileMoving(state: ClusterState): void {
  const [joining] = state.map.joining;
  if (joining !== undefined) {
    throw new DomainError(
      'JoinInProgress',
      `shard ${joining} is still joining: promote it (POST /cluster/shards/${joining}/promote) or remove it (DELETE /cluster/shards/${joining}) first`,
    );
  }
  const [leaving] = state.map.leaving;
  if (leaving !== undefined) {
    throw new DomainError(
      'LeaveInProgress',
      `shard ${leaving} is still leaving: remove it (DELETE /cluster/shards/${leaving}) first`,
    );
  }
}

function refuseFullMap(state: ClusterState, more: number): void {
  if (state.map.shards.length + more <= SHARDS_MAX) return;
  throw new DomainError(
    'InvalidRequest',
    `a map holds at most ${SHARDS_MAX} shards, this one has ${state.map.shards.length}`,
  );
}
