/**
 * How operations change the cluster's state. Each transition recognises a repeat by the same operation and then changes
 * nothing. So an activity that lost its answer may simply ask again.
 */
import { keepAsStandby, returnStandby, sharesUrl } from './autoscale-state';
import type {
  ClusterState,
  LockingKind,
  OperationEnd,
  OperationKind,
  OperationLock,
  OperationRecord,
  TakenStandby,
} from './cluster-state';
import { boundedText } from './bounded-text';
import { DomainError, unknownToThisVersion } from './errors';
import { RECENT_OPERATIONS_MAX, RECORDS_IN_FULL_MAX, SHORT_TEXT_CHARS_MAX } from './limits';
import { refuseWithoutIdentities } from './identity-transitions';
import { membersWith } from './members';
import { noticesAtEnd, type NoticesAtEnd } from './notices';
import { refuseFullMap, refuseMember, refuseWhileLocked, refuseWhileMoving, requireLock } from './preconditions';
import {
  addJoining,
  addLeaving,
  promote,
  remove,
  removeLeaving,
  requireShard,
  type Shard,
  type ShardAddress,
} from './shard-map';

/** What an operation takes the lock for. */
export type LockRequest =
  /**
   * `fromStandby`: the shard is a standby of the policy. One transition takes the standby, the cooldown and the lock.
   */
  | {
      readonly kind: 'grow';
      readonly shards: readonly ShardAddress[];
      readonly fromStandby: boolean;
      /**
       * The start of the cooldown that the policy decided by. If another grow by policy has begun since, the decision
       * is void.
       */
      readonly seenLastScaleAtMs?: number | null;
    }
  /** `toStandby`: decided by the policy; see `seenLastScaleAtMs` above. */
  | {
      readonly kind: 'drain';
      readonly shardId: number;
      readonly toStandby?: boolean;
      readonly seenLastScaleAtMs?: number | null;
    }
  | { readonly kind: 'repair' };

// ---- Taking the lock ----

/**
 * Takes the lock and allocates ids, before anything is looked at or announced. The map stays as it is.
 * @throws DomainError OperationEnded, OperationInProgress, JoinInProgress, LeaveInProgress, ShardAlreadyInMap,
 * UnknownShard, LastShard, UnknownStandby, InvalidRequest, IdentitiesRemoved
 */
export function reserve(
  state: ClusterState,
  { operationId, request, nowMs, asked }: { operationId: string; request: LockRequest; nowMs: number; asked?: string },
): ClusterState {
  if (state.lock?.operationId === operationId) return state;
  refuseRepeat(state, operationId);
  if (request.kind === 'drain') refuseDrain(state, request.shardId);
  refuseWhileLocked(state);
  refuseWithoutIdentities(state);
  refuseWhileMoving(state);
  if (request.kind !== 'repair') refuseOutdated(state, request.seenLastScaleAtMs);
  const shards = shardsOf(state, request);
  const standby = request.kind === 'grow' && request.fromStandby ? takeStandby(state, request) : null;
  const lock: OperationLock = {
    operationId,
    kind: request.kind,
    stage: 'reserved',
    wasAnnounced: false,
    shards,
    sinceMs: nowMs,
    origin: operationId,
    takeovers: 0,
    standby,
    epoch: state.epoch + 1,
    ...(request.kind === 'drain' && request.toStandby === true ? { toStandby: true } : {}),
  };
  const nextId = request.kind === 'grow' ? state.nextId + shards.length : state.nextId;
  const record = newRecord({ operationId, kind: request.kind, shards, nowMs, asked });
  const members = membersWith(state.members, shards);
  const locked = withRecord({ ...state, nextId, lock, epoch: state.epoch + 1, members }, record);
  if (standby === null) return locked;
  const standbys = state.autoscale.standbys.filter((each) => !sharesUrl(each, standby.standby));
  return { ...locked, autoscale: { ...state.autoscale, standbys, lastScaleAtMs: nowMs } };
}

/** INV-1: only a grow brings shards that need ids, and it gets fresh ones. */
function shardsOf(state: ClusterState, request: LockRequest): readonly Shard[] {
  switch (request.kind) {
    case 'grow':
      refuseFullMap(state, request.shards.length);
      for (const shard of request.shards) refuseMember(state, shard);
      refuseTwice(request.shards);
      return request.shards.map((shard, index) => ({ id: state.nextId + index, ...shard }));
    case 'drain':
      return [requireShard(state.map, request.shardId)];
    case 'repair':
      return [];
    default:
      throw unknownToThisVersion('an operation', (request as { kind: never }).kind);
  }
}

function refuseTwice(shards: readonly ShardAddress[]): void {
  const twice = shards.find((shard, index) => shards.slice(0, index).some((other) => sharesUrl(other, shard)));
  if (twice === undefined) return;
  throw new DomainError('InvalidRequest', `${twice.primary_url} is named twice: give each shard once`);
}

/** Waiting does not change these, so they are refused even while another operation runs. */
function refuseDrain(state: ClusterState, shardId: number): void {
  const { map } = state;
  requireShard(map, shardId);
  const isLocked = state.lock?.shards.some((shard) => shard.id === shardId) === true;
  if (!isLocked && map.joining.includes(shardId)) {
    throw new DomainError(
      'JoinInProgress',
      `shard ${shardId} is joining, so it owns nothing that could be drained: remove it with DELETE /cluster/shards/${shardId}`,
    );
  }
  if (!isLocked && map.leaving.includes(shardId)) {
    throw new DomainError(
      'LeaveInProgress',
      `shard ${shardId} is leaving already: remove it with DELETE /cluster/shards/${shardId} when it is empty`,
    );
  }
  if (!isLocked) addLeaving(map, [shardId]);
}

/** Two evaluations may have decided at once. */
function refuseOutdated({ autoscale }: ClusterState, seenLastScaleAtMs: number | null | undefined): void {
  if (seenLastScaleAtMs === undefined || seenLastScaleAtMs === autoscale.lastScaleAtMs) return;
  throw new DomainError('OperationInProgress', 'the cluster has grown or shrunk since this was decided on');
}

/** @throws DomainError UnknownStandby when it was taken or removed meanwhile */
function takeStandby(state: ClusterState, { shards }: LockRequest & { kind: 'grow' }): TakenStandby {
  const [wanted] = shards;
  const standby = wanted && state.autoscale.standbys.find((each) => each.primary_url === wanted.primary_url);
  if (standby === undefined || shards.length !== 1) {
    throw new DomainError('UnknownStandby', `${wanted?.primary_url ?? 'nothing'} is no longer a standby`);
  }
  return { standby, lastScaleBeforeMs: state.autoscale.lastScaleAtMs };
}

// ---- The steps of its holder ----

/**
 * The operation's shards enter the map as joining, or are marked as leaving, in one version.
 * @throws DomainError as `confirmAnnounced`
 */
export function announce(state: ClusterState, operationId: string): ClusterState {
  const lock = requireLock(state, operationId);
  if (lock.stage !== 'reserved') return confirmAnnounced(state, operationId);
  const { map } = state;
  const announced = isLeave(lock) ? addLeaving(map, idsOf(lock)) : addJoining(map, lock.shards);
  return { ...state, map: announced, lock: { ...lock, stage: 'announced', wasAnnounced: true } };
}

/** Changes nothing: only the answer counts. @throws DomainError NotLockHolder */
export function confirmHeld(state: ClusterState, operationId: string): ClusterState {
  requireLock(state, operationId);
  return state;
}

/**
 * Changes nothing. An operation whose workflow was reset to an earlier step must not go on as if the later steps had
 * not happened: after the flip the donors are no longer the truth.
 * @throws DomainError NotLockHolder, PointOfNoReturnPassed, OperationEnded
 */
export function confirmAnnounced(state: ClusterState, operationId: string): ClusterState {
  const lock = requireLock(state, operationId);
  if (lock.stage === 'announced') return state;
  if (lock.stage === 'flipped') throw pointOfNoReturnPassed(operationId);
  throw new DomainError('OperationEnded', `the change of operation ${operationId} is not in the map (${lock.stage})`);
}

/**
 * The flip: joining shards become owners, leaving ones leave the map, in one version. @throws DomainError
 * NotLockHolder, NotJoining, UnknownShard
 */
export function flip(state: ClusterState, operationId: string): ClusterState {
  const lock = requireLock(state, operationId);
  if (lock.stage === 'flipped') return state;
  confirmAnnounced(state, operationId);
  const map = isLeave(lock) ? remove(state.map, idsOf(lock)) : promote(state.map, idsOf(lock));
  return { ...state, map, lock: { ...lock, stage: 'flipped' } };
}

/**
 * The undo of `announce`. The lock stays until what was copied is cleaned up. @throws DomainError NotLockHolder,
 * PointOfNoReturnPassed
 */
export function withdraw(state: ClusterState, operationId: string): ClusterState {
  const lock = requireLock(state, operationId);
  if (lock.stage === 'flipped') throw pointOfNoReturnPassed(operationId);
  if (lock.stage !== 'announced') return { ...state, lock: { ...lock, stage: 'withdrawn' } };
  const map = isLeave(lock) ? removeLeaving(state.map, idsOf(lock)) : remove(state.map, idsOf(lock));
  return { ...state, map, lock: { ...lock, stage: 'withdrawn' } };
}

/** How an operation ends, for its record. `code`: why, when the coordinator refused or ended it. */
export interface OperationResult extends NoticesAtEnd {
  readonly operationId: string;
  readonly end: OperationEnd;
  readonly code: string | null;
  readonly pointsMoved: number;
  readonly message: string;
  /** Of a grow or a drain that is through. Operations of earlier releases do not say it. */
  readonly beginsCooldown?: boolean;
  /** Of such a drain: its shard holds nothing any more, and bears no mark. */
  readonly isEmptied?: boolean;
}

/**
 * Gives the lock back and records the end. A repeat changes nothing, nor does a call by an operation that never had the
 * lock.
 */
export function release(state: ClusterState, result: OperationResult & { nowMs: number }): ClusterState {
  if (state.lock?.operationId !== result.operationId) return state;
  const { lock } = state;
  const recorded = endRecord({ ...state, lock: null }, result);
  // A grow by policy has begun it already. A drain by policy that came to nothing must not begin again at once.
  const isCooling = lock.toStandby === true || (result.beginsCooldown === true && lock.standby === null);
  const cooled = isCooling ? beginCooldown(recorded, result.nowMs) : recorded;
  const released = keepLeaver(cooled, lock, result);
  if (lock.standby === null || lock.stage === 'flipped') return released;
  return giveStandbyBack(released, lock.standby, result);
}

/** The cluster is as large as somebody wanted it: the policy must not undo that at once. */
function beginCooldown(state: ClusterState, nowMs: number): ClusterState {
  return { ...state, autoscale: { ...state.autoscale, lastScaleAtMs: nowMs } };
}

function keepLeaver(
  state: ClusterState,
  lock: OperationLock,
  result: OperationResult & { nowMs: number },
): ClusterState {
  const [leaver] = lock.shards;
  const isKept = lock.toStandby === true && lock.stage === 'flipped' && result.isEmptied === true;
  if (!isKept || leaver === undefined) return state;
  return { ...state, autoscale: keepAsStandby(state.autoscale, leaver, result.nowMs) };
}

/** Findings of preflight about the shard that was to join, not about the cluster. */
const FAULTS_OF_A_JOINER: readonly string[] = [
  'JoinerUnreachable',
  'JoinerRefusedKey',
  'JoinerNotEmpty',
  'ShardOfAnotherCluster',
  'ShardClaimed',
  'IdentityRefused',
];

/**
 * INV-7. After a refusal the cooldown is as before, because nothing began. After an undo it goes on, so that a grow
 * that fails late does not begin again and again.
 */
function giveStandbyBack(
  state: ClusterState,
  taken: TakenStandby,
  { end, code, message, nowMs }: OperationResult & { nowMs: number },
): ClusterState {
  const isItsFault = end === 'failed' || (end === 'refused' && FAULTS_OF_A_JOINER.includes(code ?? ''));
  const autoscale = returnStandby(state.autoscale, taken.standby, isItsFault ? message : null, nowMs);
  const lastScaleAtMs = end === 'refused' ? taken.lastScaleBeforeMs : autoscale.lastScaleAtMs;
  return { ...state, autoscale: { ...autoscale, lastScaleAtMs } };
}

// ---- Recovery ----

/**
 * Hands the lock of an operation that was ended from outside, as it stands, to the one that recovers it.
 * @throws DomainError NotLockHolder when `from` does not hold it
 */
export function takeOver(
  state: ClusterState,
  { operationId, from, nowMs }: { operationId: string; from: string; nowMs: number },
): ClusterState {
  if (state.lock?.operationId === operationId) return state;
  refuseRepeat(state, operationId);
  const lock = requireLock(state, from);
  const message = `ended from outside; ${operationId} ${lock.stage === 'flipped' ? 'finishes' : 'undoes'} it`;
  const ended = endRecord(state, { operationId: from, end: 'failed', code: null, pointsMoved: 0, message, nowMs });
  const record = newRecord({ operationId, kind: 'recover', shards: lock.shards, nowMs });
  return withRecord({ ...ended, lock: { ...lock, operationId, takeovers: lock.takeovers + 1 } }, record);
}

/** The id of the operation that recovers this lock: always the same, however many callers find it abandoned. */
export function recoveryKey(lock: OperationLock): string {
  return `${lock.origin}.${lock.takeovers + 1}`;
}

// ---- Checks: they only read, so they need no lock, but a map that does not change ----

/** @throws DomainError OperationInProgress, JoinInProgress, LeaveInProgress, OperationEnded, IdentitiesRemoved */
export function beginCheck(
  state: ClusterState,
  request: { operationId: string; nowMs: number; asked?: string },
): ClusterState {
  const { operationId, nowMs, asked } = request;
  const known = state.operations.find((each) => each.operationId === operationId);
  // A running check must not mark shards again that have just been given away.
  refuseWithoutIdentities(state);
  if (known?.end === null) return state;
  refuseRepeat(state, operationId);
  refuseWhileLocked(state);
  refuseWhileMoving(state);
  return withRecord(
    { ...state, epoch: state.epoch + 1 },
    newRecord({ operationId, kind: 'check', shards: [], nowMs, asked }),
  );
}

export function endCheck(state: ClusterState, result: OperationResult & { nowMs: number }): ClusterState {
  return endRecord(state, result);
}

// ---- Leaves ----

function isLeave(lock: OperationLock): boolean {
  const isDrain: Record<LockingKind, boolean | null> = { grow: false, drain: true, repair: null };
  const answer = isDrain[lock.kind];
  if (answer === null) throw new DomainError('InvalidRequest', 'a repair does not change the map');
  return answer;
}

function idsOf(lock: OperationLock): readonly number[] {
  return lock.shards.map((shard) => shard.id);
}

function pointOfNoReturnPassed(operationId: string): DomainError {
  return new DomainError(
    'PointOfNoReturnPassed',
    `operation ${operationId} has flipped ownership: it only goes forward`,
  );
}

function refuseRepeat(state: ClusterState, operationId: string): void {
  if (!state.operations.some((each) => each.operationId === operationId)) return;
  throw new DomainError('OperationEnded', `operation ${operationId} has already ended: start another one`);
}

function newRecord(of: {
  operationId: string;
  kind: OperationKind;
  shards: readonly Shard[];
  nowMs: number;
  asked?: string | undefined;
}): OperationRecord {
  return {
    operationId: of.operationId,
    kind: of.kind,
    shardIds: of.shards.map((shard) => shard.id),
    startedAtMs: of.nowMs,
    endedAtMs: null,
    end: null,
    pointsMoved: 0,
    message: 'running',
    ...(of.asked === undefined ? {} : { asked: of.asked }),
  };
}

function withRecord(state: ClusterState, record: OperationRecord): ClusterState {
  const operations = [record, ...state.operations].slice(0, RECENT_OPERATIONS_MAX);
  return { ...state, operations: operations.map((each, age) => (age < RECORDS_IN_FULL_MAX ? each : shortened(each))) };
}

function shortened(record: OperationRecord): OperationRecord {
  const message = boundedText(record.message, SHORT_TEXT_CHARS_MAX);
  return message === record.message ? record : { ...record, message };
}

/** The record's end, with what that says about notices. Changes nothing when it has ended before. */
function endRecord(state: ClusterState, result: OperationResult & { nowMs: number }): ClusterState {
  const { operationId, end, code, pointsMoved, nowMs } = result;
  const message = boundedText(result.message);
  const running = state.operations.find((each) => each.operationId === operationId && each.end === null);
  if (running === undefined) return state;
  const ended: OperationRecord = { ...running, end, code, pointsMoved, message, endedAtMs: nowMs };
  const operations = state.operations.map((each) => (each === running ? ended : each));
  return noticesAtEnd({ ...state, operations }, result, { startedAtMs: running.startedAtMs, nowMs });
}
