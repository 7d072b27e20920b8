import { ApplicationFailure } from '@temporalio/activity';
import { clientFailure } from '../../../src/activities/frame/cluster-clients';
import { activityFailure } from '../../../src/activities/frame/failures';
import { RefusedError } from '../../../src/client/errors';
import { DomainError } from '../../../src/domain/errors';
import { TEXT_CHARS_MAX } from '../../../src/domain/limits';
import { ShardError } from '../../../src/shards/errors';
import { MalformedBodyError } from '../../../src/shards/rows/point-stream';

const LONG = 'x'.repeat(100_000);
const failure = (error: unknown): unknown => activityFailure(error, { lateWritesUntilMs: 0 });

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
