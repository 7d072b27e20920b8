import { RefusedError } from '../../../src/client/calls/errors';
import { answerOfRecord, beganNothing } from '../../../src/client/operations/repeated-key';
import type { OperationRecord } from '../../../src/domain/cluster-state';
import { requestDigest } from '../../../src/domain/request-digest';

const request = { shards: [{ primary_url: 'http://s1', replica_urls: [] }], allowNonempty: false };
const map = { version: 7, shards: [], joining: [], leaving: [] };
const record: OperationRecord = {
  operationId: 'grow-k',
  kind: 'grow',
  shardIds: [1],
  startedAtMs: 1,
  endedAtMs: 2,
  end: 'succeeded',
  pointsMoved: 3,
  message: 'shard 1 joined',
  asked: requestDigest(request),
  code: null,
};

function refusalOf(of: OperationRecord, asked: typeof request = request): unknown {
  try {
    return answerOfRecord(of, map, asked);
  } catch (error) {
    return error instanceof RefusedError ? error.refusal : error;
  }
}

describe('a repeated key whose workflow is gone', () => {
  it('gets the shards of the first answer, and the map of now, whatever order the fields have', () => {
    const { allowNonempty, shards } = request;
    expect(answerOfRecord(record, map, { allowNonempty, shards })).toEqual({ map, shardIds: [1], request });
  });

  it('is refused again in the words of the first refusal', () => {
    const refused = {
      ...record,
      end: 'refused',
      code: 'JoinerNotEmpty',
      message: 'refused: it holds 3 points',
    } as const;
    expect(refusalOf(refused)).toEqual({ type: 'JoinerNotEmpty', message: 'it holds 3 points' });
  });

  it('is refused for another request, as far as the record knows the first one', () => {
    const other = { ...request, allowNonempty: true };
    expect(refusalOf(record, other)).toMatchObject({ type: 'IdempotencyKeyReused' });
    const { asked: _, ...older } = record;
    expect(refusalOf(older, other)).toMatchObject({ shardIds: [1] });
  });
});

it('only a refusal that waits for something else to end has begun nothing', () => {
  const types = ['OperationInProgress', 'JoinInProgress', 'LeaveInProgress', 'JoinerNotEmpty', 'OperationEnded'];
  expect(types.map((type) => beganNothing({ type, message: '' }))).toEqual([true, true, true, false, false]);
  expect(beganNothing(null)).toBe(false);
});
