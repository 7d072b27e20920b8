/** Refusals that more than one transition makes, in one wording. */
import type { ClusterState, OperationLock } from './cluster-state';
import { samplesOf } from './bounded-text';
import { DomainError } from './errors';
import { SHARDS_MAX } from './limits';
import { refuseKnownAddress, type ShardAddress } from './shard-map';

/** @throws DomainError NotLockHolder */
export function requireLock(state: ClusterState, operationId: string): OperationLock {
  if (state.lock?.operationId === operationId) return state.lock;
  const holder = state.lock === null ? 'nobody' : state.lock.operationId;
  throw new DomainError('NotLockHolder', `operation ${operationId} does not hold the cluster's lock (${holder} does)`);
}

/** @throws DomainError OperationInProgress */
export function refuseWhileLocked(state: Pick<ClusterState, 'lock'>): void {
  if (state.lock === null) return;
  const { operationId, shards } = state.lock;
  const ids = shards.length === 0 ? '' : ` (shard ${samplesOf(shards.map((shard) => shard.id))})`;
  throw new DomainError(
    'OperationInProgress',
    `operation ${operationId}${ids} is running: wait for its end${state.lock.takeovers > 0 ? '' : `, or cancel it with POST /cluster/operations/${operationId}/cancel`}; then repeat this call with a fresh Idempotency-Key`,
  );
}

/**
 * A half-way change decides who the donors are, so nothing may begin beside it.
 * @throws DomainError JoinInProgress, LeaveInProgress
 */
export function refuseWhileMoving(state: ClusterState): void {
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

/** @throws DomainError InvalidRequest */
export function refuseFullMap(state: ClusterState, more: number): void {
  if (state.map.shards.length + more <= SHARDS_MAX) return;
  throw new DomainError(
    'InvalidRequest',
    `a map holds at most ${SHARDS_MAX} shards, this one has ${state.map.shards.length}`,
  );
}

/** Refuses a shard that is in the map, or about to enter it. @throws DomainError ShardAlreadyInMap */
export function refuseMember(state: ClusterState, address: ShardAddress): void {
  refuseKnownAddress(state.map, address);
  refuseKnownAddress({ shards: state.lock?.shards ?? [] }, address);
}
