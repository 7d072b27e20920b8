/** The failures that the server makes, as the real classes. */
import { ActivityFailure, ApplicationFailure, CancelledFailure, RetryState, TimeoutFailure } from '@temporalio/common';

export { ApplicationFailure, CancelledFailure, TimeoutFailure };
export type Failure = Error;

export function activityFailure(type: string, id: string, cause: Error): ActivityFailure {
  return new ActivityFailure('Activity task failed', type, id, RetryState.MAXIMUM_ATTEMPTS_REACHED, 'worker', cause);
}

/** What an attempt threw, as it reaches the server. */
export function asFailure(error: unknown): Error {
  if (error instanceof ApplicationFailure || error instanceof CancelledFailure) return error;
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return ApplicationFailure.create({ message, type: error instanceof Error ? error.name : 'Error' });
}
