/** What a caller hears who repeats an `Idempotency-Key`. */
import type { OperationRecord } from '../../domain/cluster-state';
import { requestDigest } from '../../domain/request-digest';
import type { ShardMap } from '../../domain/shard-map';
import type { AnnouncedAnswer, OperationRequest, Refusal } from '../../contract/requests';
import { RefusedError } from '../calls/errors';

/** Refusals that wait for something else to end. Nothing has begun, so the same key may begin it later. */
const WAIT_FOR_ANOTHER: readonly string[] = ['OperationInProgress', 'JoinInProgress', 'LeaveInProgress'];

export function beganNothing(refusal: Refusal | null): boolean {
  return refusal !== null && WAIT_FOR_ANOTHER.includes(refusal.type);
}

/**
 * The first answer of an operation whose workflow is gone, from the record of the cluster. The map is the one of now: no
 * state could keep 100 maps.
 * @throws RefusedError as the first call was refused; IdempotencyKeyReused when that was another request
 */
export function answerOfRecord(record: OperationRecord, map: ShardMap, request: OperationRequest): AnnouncedAnswer {
  const { operationId, asked, end, code, message, shardIds } = record;
  if (asked !== undefined && asked !== requestDigest(request)) {
    const reused = `this Idempotency-Key belongs to operation ${operationId}, which was asked for something else: take a fresh one`;
    throw new RefusedError({ type: 'IdempotencyKeyReused', message: reused });
  }
  if (end === 'refused') {
    throw new RefusedError({ type: code ?? 'OperationEnded', message: message.replace(/^refused: /, '') });
  }
  return { map, shardIds, request };
}
