import { ApplicationFailure } from '@temporalio/activity';
import { activityFailure } from '../../../src/activities/frame/failures';
import { ShardError, type ShardErrorCode } from '../../../src/shards/errors';

const DETAILS = {
  lateWritesUntilMs: 7,
  told: { worker: 'w', atMs: 1, behindMs: 0, requestsForMs: 6, earlierUntilMs: 0 },
};

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
    expect(failureOf('Unauthorized', 600_000)).toMatchObject({ type: 'Unauthorized', nonRetryable: true });
  });
});
