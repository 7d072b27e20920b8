import { Client, WorkflowClient, WorkflowUpdateFailedError, type ConnectionLike } from '@temporalio/client';
import { ApplicationFailure, CancelledFailure, WorkflowNotFoundError } from '@temporalio/common';
import { pino } from 'pino';
import { createChangeCluster } from '../../../src/activities/cluster/change-cluster';
import { asApiError } from '../../../src/api/http/problem';
import { ClusterClient } from '../../../src/client/cluster-client';

const CLUSTER = 'c';
const TRANSITION = { type: 'confirmHeld', operationId: 'grow-a' } as const;
const ATTEMPT_MS = 10_000;

const connection = {
  withDeadline: <R>(_deadline: number, call: () => Promise<R>) => call(),
} as unknown as ConnectionLike;

type Handle = ReturnType<WorkflowClient['getHandle']>;
const never = () => new Promise<never>(() => undefined);

/** The cluster workflow, as far as a transition asks it. */
function stubWorkflow(executeUpdate: () => Promise<never>, describe: () => Promise<never> = never): void {
  jest.spyOn(WorkflowClient.prototype, 'getHandle').mockReturnValue({ executeUpdate, describe } as unknown as Handle);
}

const change = () =>
  createChangeCluster({ client: new Client({ connection }) })({ cluster: CLUSTER, transition: TRANSITION });

afterEach(() => {
  jest.useRealTimers();
  jest.restoreAllMocks();
});

describe('a transition that the cluster workflow took and did not answer', () => {
  const ended = ApplicationFailure.nonRetryable('the workflow ended', 'AcceptedUpdateCompletedWorkflow');
  it.each([
    ['it ended', 'OperationEnded', ended],
    ['it was cancelled', 'OperationCancelled', new CancelledFailure('cancelled')],
  ])('is unanswered and tried again when %s, and to REST it is %s', async (_when, restCode, cause) => {
    stubWorkflow(() => Promise.reject(new WorkflowUpdateFailedError('failed', cause)));
    const failure = await change().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ApplicationFailure);
    expect(failure).toMatchObject({ type: 'TransitionUnanswered' });
    expect((failure as ApplicationFailure).nonRetryable).not.toBe(true);

    const logger = pino({ level: 'silent' });
    const client = new ClusterClient({ connection, namespace: 'n', cluster: CLUSTER, recoverWith: null, logger });
    const error = await client.applyTransition(TRANSITION).catch((each: unknown) => each);
    expect(asApiError(error)?.code).toBe(restCode);
  });
});

it('ends within its attempt, also when the reason is not found out', async () => {
  jest.useFakeTimers();
  const notFoundLate = () =>
    new Promise<never>((_resolve, reject) => {
      setTimeout(() => reject(new WorkflowNotFoundError('none', CLUSTER, undefined)), 7_500);
    });
  stubWorkflow(notFoundLate, never);
  const startedMs = Date.now();
  let endedMs = Infinity;
  const failure = change().catch((error: unknown) => {
    endedMs = Date.now();
    return error;
  });
  await jest.advanceTimersByTimeAsync(20_000);
  expect(endedMs - startedMs).toBeLessThanOrEqual(ATTEMPT_MS - 2_000);
  expect(await failure).toMatchObject({ type: 'TemporalUnreachable' });
});
