import { ApplicationFailure } from '@temporalio/activity';
import { clientFailure } from '../../../src/activities/frame/cluster-clients';
import { activityFailure } from '../../../src/activities/frame/failures';
import { RefusedError } from '../../../src/client/calls/errors';
import { DomainError } from '../../../src/domain/errors';
import { TEXT_CHARS_MAX } from '../../../src/domain/limits';
import { ShardError, type ShardErrorCode } from '../../../src/shards/errors';
import { MalformedBodyError } from '../../../src/shards/rows/point-stream';

const DETAILS = {
  lateWritesUntilMs: 7,
  told: { worker: 'w', atMs: 1, behindMs: 0, requestsForMs: 6, earlierUntilMs: 0 },
};
const LONG = 'x'.repeat(100_000);
const failure = (error: unknown): unknown => activityFailure(error, DETAILS);

it.each<[string, unknown]>([
  ['a refusal', failure(new DomainError('JoinerNotEmpty', LONG))],
  [
    'a call to a shard',
    failure(
      new ShardError({
        code: 'BadRequest',
        method: 'GET',
        shardUrl: 'http://s:1',
        path: '/',
        status: 400,
        reason: LONG,
      }),
    ),
  ],
  ['rows that cannot be read', failure(new MalformedBodyError(LONG))],
  ['a failure of the activity itself', failure(ApplicationFailure.retryable(LONG, 'CollectionInFlux'))],
  ['an answer of the cluster', clientFailure(new RefusedError({ type: 'LastShard', message: LONG }), 'c', 'retry')],
])('the message of a failed activity fits a history: %s', (_, failed) => {
  const { message } = failed as Error;
  expect(message.length).toBeLessThanOrEqual(TEXT_CHARS_MAX);
  expect(message).toContain('characters left out');
});

function failureOf(code: ShardErrorCode, retryAfterMs: number | null): ApplicationFailure {
  const path = { method: 'POST', shardUrl: 'http://shard-0:6333', path: '/v1/collections' };
  const error = new ShardError({ ...path, code, status: 429, reason: 'Too Many Requests', retryAfterMs });
  const failure = activityFailure(error, DETAILS);
  if (failure instanceof ApplicationFailure) return failure;
  throw failure;
}

describe('the failure of a shard that asks for a pause', () => {
  it('is left to the retries of Temporal when the pause is no longer than a blip', () => {
    const failure = failureOf('Overloaded', 1_000);
    expect(failure).toMatchObject({ type: 'Overloaded', nonRetryable: false, nextRetryDelay: 1_000 });
    expect(failure.details).toEqual([DETAILS]);
  });

  it('goes to the workflow with shard and pause when the pause is longer, and is never retried later than in 60 s', () => {
    const failure = failureOf('Overloaded', 600_000);
    expect(failure).toMatchObject({ type: 'AskedToWait', nonRetryable: false, nextRetryDelay: 60_000 });
    const askedToWait = { shardUrl: 'http://shard-0:6333', forMs: 600_000 };
    expect(failure.details).toEqual([{ ...DETAILS, askedToWait }]);
  });

  it('stays final where waiting does not help', () => {
    expect(failureOf('BadRequest', 600_000)).toMatchObject({ type: 'BadRequest', nonRetryable: true });
  });
});
