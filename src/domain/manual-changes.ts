/**
 * Changes of the map by hand, most of them as Quiver knows them. None is possible while an operation holds the lock
 * (INV-2), but for the address of a shard that it waits for.
 */
import type { ClusterState } from './cluster-state';
import { DomainError, unknownToThisVersion } from './errors';
import { ANSWERED_REQUESTS_MAX, ANSWERED_REQUEST_CHARS_MAX } from './limits';
import { moveGrpc } from './identity-transitions';
import { membersWith, withGrpcUrls } from './members';
import { refuseFullMap, refuseWhileLocked, refuseWhileMoving } from './preconditions';
import { digestOf } from './request-digest';
import {
  addJoining,
  addOwners,
  findShard,
  promote,
  refuseKnownAddress,
  remove,
  replaceAddress,
  requireShard,
  type ShardAddress,
  type ShardMap,
} from './shard-map';

/** A change that an operator makes by hand. */
export type ManualChange =
  | { readonly change: 'add'; readonly shard: ShardAddress }
  | { readonly change: 'join'; readonly shard: ShardAddress }
  | { readonly change: 'promote'; readonly id: number }
  | { readonly change: 'remove'; readonly id: number }
  /** What is left out stays as it is. */
  | { readonly change: 'replaceAddress'; readonly id: number; readonly address: Partial<ShardAddress> };

/**
 * `key` is the caller's Idempotency-Key, null without one.
 * @throws DomainError OperationInProgress, JoinInProgress, LeaveInProgress, ShardAlreadyInMap, UnknownShard,
 * NotJoining, LastShard, InvalidRequest, IdempotencyKeyReused
 */
export function changeByHand(state: ClusterState, change: ManualChange, key: string | null): ClusterState {
  const whole = JSON.stringify(change);
  const request = remembered(whole);
  const answered = key === null ? undefined : state.answered.find((each) => each.key === key);
  if (answered !== undefined) {
    // A state of before holds whole requests only.
    if (answered.request === request || answered.request === whole) return state;
    throw new DomainError(
      'IdempotencyKeyReused',
      'this Idempotency-Key was used for another request: take a fresh one',
    );
  }
  if (!mayChangeUnderLock(state, change)) refuseWhileLocked(state);
  // A change by hand moves no point, so points lie elsewhere than the map has them from now on.
  const next = { ...applyByHand(state, change), isInOrder: state.isInOrder && change.change === 'replaceAddress' };
  if (key === null) return next;
  return { ...next, answered: [{ key, request }, ...state.answered].slice(0, ANSWERED_REQUESTS_MAX) };
}

/**
 * Past the flip, and in an undo, an operation waits for a shard for as long as it takes. One that has moved for good can
 * be told by its new address: no placement changes with it, and the operation reads the map again (addresses.ts).
 */
function mayChangeUnderLock({ lock }: ClusterState, { change }: ManualChange): boolean {
  return change === 'replaceAddress' && (lock?.stage === 'flipped' || lock?.stage === 'withdrawn');
}

/** A body may have 64 KiB, and 64 of them would be too much for a state. */
function remembered(request: string): string {
  return request.length <= ANSWERED_REQUEST_CHARS_MAX ? request : digestOf(request);
}

type Replacement = Extract<ManualChange, { change: 'replaceAddress' }>;

/** Whoever takes the lock over finds its shards where they are now. */
function moveInLock(state: ClusterState, { id, address }: Replacement): ClusterState {
  const { lock } = state;
  if (lock === null) return state;
  const shards = lock.shards.map((shard) => {
    if (shard.id !== id) return shard;
    const { primary_url, replica_urls } = { ...shard, ...address };
    return withGrpcUrls([{ id, primary_url, replica_urls }], state.members)[0] ?? shard;
  });
  return { ...state, lock: { ...lock, shards } };
}

/** A leaver behind its flip, or a joiner that is undone: the map does not know it, and its operation waits for it. */
function movedBeside(state: ClusterState, { id, address }: Replacement): ShardMap {
  const { map, lock } = state;
  if (lock?.shards.some((shard) => shard.id === id) !== true) requireShard(map, id);
  const urls = [address.primary_url, ...(address.replica_urls ?? [])].filter((url) => url !== undefined);
  const [primary_url = '', ...replica_urls] = urls;
  if (urls.length > 0) refuseKnownAddress(map, { primary_url, replica_urls });
  return map;
}

function applyByHand(state: ClusterState, change: ManualChange): ClusterState {
  switch (change.change) {
    case 'add':
    case 'join': {
      // Beside a joining shard a new owner would change the donors in the middle of that join.
      refuseWhileMoving(state);
      refuseFullMap(state, 1);
      const shard = { id: state.nextId, ...change.shard };
      const add = change.change === 'add' ? addOwners : addJoining;
      const members = membersWith(state.members, [shard]);
      return { ...state, map: add(state.map, [shard]), nextId: state.nextId + 1, members };
    }
    case 'promote':
      return { ...state, map: promote(state.map, [change.id]) };
    case 'remove':
      requireShard(state.map, change.id);
      return { ...state, map: remove(state.map, [change.id]) };
    case 'replaceAddress': {
      const isInMap = findShard(state.map, change.id) !== undefined;
      const map = isInMap ? replaceAddress(state.map, change.id, change.address) : movedBeside(state, change);
      return moveInLock(moveGrpc({ ...state, map }, change.id, change.address), change);
    }
    default:
      throw unknownToThisVersion('a change', (change as { change: never }).change);
  }
}
