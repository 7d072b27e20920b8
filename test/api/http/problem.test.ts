import { asApiError, toProblem, type ApiError } from '../../../src/api/http/problem';
import { CLIENT_ERROR_CODES, ClientError, RefusedError, type ClientErrorCode } from '../../../src/client/calls/errors';
import { DomainError } from '../../../src/domain/errors';

const translated = (error: Error): ApiError => asApiError(error)!;

describe('an error of the client, as REST answers it', () => {
  it.each<[ClientErrorCode, string, number, string]>([
    ['Busy', 'Busy', 503, 'seen'],
    ['TemporalUnreachable', 'TemporalUnreachable', 503, 'seen'],
    ['QueryUnknown', 'TemporalUnreachable', 503, 'seen'],
    ['UnknownOperation', 'UnknownOperation', 404, 'seen'],
    ['EndedUnannounced', 'OperationEnded', 409, 'seen: start another one with a fresh Idempotency-Key'],
    [
      'LockRecovering',
      'OperationInProgress',
      409,
      'seen: wait for its end (GET /cluster/operations/grow-k), then repeat this call',
    ],
    ['EvaluationFailed', 'EvaluationFailed', 503, 'seen'],
    [
      'TransitionUnanswered',
      'OutcomeUnknown',
      503,
      'seen; the change may or may not have been made: look at GET /cluster/map',
    ],
    [
      'StartUnanswered',
      'OutcomeUnknown',
      503,
      'seen; operation grow-k may have started and may still run: repeat the call with Idempotency-Key: k, which finds it, or look at GET /cluster/operations/grow-k',
    ],
    [
      'CancelUnanswered',
      'OutcomeUnknown',
      503,
      'seen; the cancel may or may not have been taken: look at the operation, and repeat the call',
    ],
    [
      'AdjustUnanswered',
      'OutcomeUnknown',
      503,
      'seen; the call may or may not have been taken: look at GET /cluster/operations/grow-k, and repeat the call',
    ],
    [
      'EvaluationUnanswered',
      'OutcomeUnknown',
      503,
      'seen; evaluation grow-k may still run: look at GET /cluster/autoscale, which shows what came of it',
    ],
    [
      'RestoreUnanswered',
      'OutcomeUnknown',
      503,
      'seen; the cluster may or may not have been begun again: look at GET /readyz',
    ],
    [
      'ClusterMissing',
      'ClusterMissing',
      503,
      'seen: start the API with QUIVER_CLUSTER_SHARDS or QUIVER_COORDINATOR_STATE, or point TEMPORAL_* at the Temporal that has it',
    ],
    [
      'ClusterClosed',
      'ClusterClosed',
      503,
      'seen (terminated or failed) and is not replaced by itself: POST /cluster/restore {"last_known":true} begins it again with its last state, one version above',
    ],
    [
      'ClusterLost',
      'ClusterLost',
      503,
      'seen. Go back to the Temporal that has it (TEMPORAL_*, COORDINATOR_CLUSTER, COORDINATOR_DATA_DIR), or begin again one version above with POST /cluster/restore {"last_known":true} or {"state":{"next_id":…,"map":…}}',
    ],
    [
      'ClusterRuns',
      'ClusterExists',
      409,
      'seen: look at GET /cluster/map. To replace its state by another one, terminate it first',
    ],
    ['WitnessUnread', 'TemporalUnreachable', 503, 'seen: run a worker of this cluster, then repeat this call'],
    [
      'EndedStateUnread',
      'TemporalUnreachable',
      503,
      'seen: run a worker of this cluster and repeat this call, or give {"state":{"next_id":…,"map":…}}',
    ],
    ['NothingKnown', 'NoKnownState', 409, 'seen. Give {"state":{"next_id":…,"map":…}}'],
  ])('is for %s the code %s, the status %s and what to do next', (code, problemCode, status, detail) => {
    const error = translated(new ClientError(code, 'seen', { about: 'grow-k' }));
    expect(toProblem(error)).toMatchObject({ code: problemCode, status, detail });
    expect(error.headers['Retry-After']).toBe(status === 503 ? '2' : undefined);
  });

  it('is never without a translation', () => {
    for (const code of CLIENT_ERROR_CODES) {
      if (code !== 'Refused') expect(asApiError(new ClientError(code, 'seen'))).not.toBeNull();
    }
  });

  it('is the refusal of the workflow in its own words, or a defect of ours when its code is unknown', () => {
    expect(toProblem(translated(new RefusedError({ type: 'LastShard', message: 'why' })))).toMatchObject({
      code: 'LastShard',
      status: 400,
      detail: 'why',
    });
    expect(toProblem(translated(new RefusedError({ type: 'FromTheFuture', message: 'why' })))).toMatchObject({
      code: 'Internal',
      status: 500,
      detail: 'the workflow refused for a reason (FromTheFuture) that this version does not know: why',
    });
  });
});

it('translates an error of the domain with its code, and leaves an unforeseen one alone', () => {
  expect(translated(new DomainError('InvalidShardUrl', 'no URL')).code).toBe('InvalidShardUrl');
  expect(asApiError(new TypeError('inner workings'))).toBeNull();
});
