import { ApplicationFailure } from '@temporalio/common';
import { clientFailure } from '../../../src/activities/frame/cluster-clients';
import { CLIENT_ERROR_CODES, ClientError, CutShortError, RefusedError } from '../../../src/client/calls/errors';

const GONE = ['ClusterMissing', 'ClusterClosed', 'ClusterLost'] as const;

describe('an error of the client, as an activity fails with it', () => {
  it('is final, with the code as its type, when the workflow refused', () => {
    const failure = clientFailure(new RefusedError({ type: 'LastShard', message: 'it is the last one' }), 'c', 'retry');
    expect(failure).toBeInstanceOf(ApplicationFailure);
    expect(failure).toMatchObject({ type: 'LastShard', message: 'it is the last one', nonRetryable: true });
  });

  it('is tried again when the workflow ended before its answer: OperationEnded is the word for an operation that is over', () => {
    const error = new CutShortError({ type: 'OperationEnded', message: 'over' }, 'TransitionUnanswered');
    const failure = clientFailure(error, 'c', 'retry') as ApplicationFailure;
    expect(failure).toBeInstanceOf(ApplicationFailure);
    expect(failure).toMatchObject({
      type: 'TransitionUnanswered',
      message: expect.stringContaining('workflow cluster/c ended'),
    });
    expect(failure.nonRetryable).not.toBe(true);
  });

  it.each(GONE)('is ClusterStateLost for %s: an operation waits for a restore, an evaluation ends', (code) => {
    const lost = {
      type: 'ClusterStateLost',
      message: expect.stringContaining('expected the running workflow cluster/c'),
    };
    expect(clientFailure(new ClientError(code, ''), 'c', 'retry')).toMatchObject({ ...lost, nonRetryable: false });
    expect(clientFailure(new ClientError(code, ''), 'c', 'fail')).toMatchObject({ ...lost, nonRetryable: true });
  });

  it.each(CLIENT_ERROR_CODES.filter((code) => ![...GONE, 'Refused'].includes(code)))(
    'is tried again for %s',
    (code) => {
      const failure = clientFailure(new ClientError(code, 'why'), 'c', 'fail') as ApplicationFailure;
      expect(failure).toBeInstanceOf(ApplicationFailure);
      expect(failure).toMatchObject({ type: code, message: 'why' });
      expect(failure.nonRetryable).not.toBe(true);
    },
  );

  it('is passed on as it is when it is not of the client', () => {
    const error = new TypeError('a defect');
    expect(clientFailure(error, 'c', 'fail')).toBe(error);
  });
});
