/** What every operation answers while it runs and after its end. Set before its first await. */
import { ApplicationFailure, CancellationScope, condition, setHandler } from '@temporalio/workflow';
import type { OperationProgress } from '../../domain/progress';
import {
  announcedQuery,
  announcedUpdate,
  cancelUpdate,
  operationStateQuery,
  progressQuery,
} from '../../contract/messages';
import type { AnnouncedAnswer } from '../../contract/requests';
import type { OperationState } from '../../contract/operation-state';

/** The reason of a cancel stays in the history and in the outcome. */
const CANCEL_REASON_CHARS_MAX = 200;

/** `forward` is what a cancel stops. Null: this operation cannot be cancelled. */
export function handleMessages(state: OperationState, forward: CancellationScope | null): void {
  const { progress } = state;
  setHandler(progressQuery, () => state.progress);
  setHandler(operationStateQuery, () => state);
  setHandler(announcedQuery, () => ({ answer: state.announced, refusal: state.refusal }));
  setHandler(announcedUpdate, async (): Promise<AnnouncedAnswer> => {
    // A cancel of the whole workflow is answered by the undo, with the reason.
    await CancellationScope.nonCancellable(() => condition(() => state.announced !== null || state.refusal !== null));
    if (state.announced !== null) return state.announced;
    throw ApplicationFailure.nonRetryable(state.refusal?.message ?? '', state.refusal?.type ?? 'InvalidRequest');
  });
  setHandler(
    cancelUpdate,
    ({ reason }: { reason: string }): OperationProgress => {
      progress.cancelRequested = true;
      progress.next = 'undo everything';
      state.cancelReason ??= reason;
      forward?.cancel();
      return progress;
    },
    { validator: ({ reason }: { reason: string }): void => refuseCancel(state, forward !== null, reason) },
  );
}

function refuseCancel({ progress }: OperationState, canBeCancelled: boolean, reason: string): void {
  if (reason.length > CANCEL_REASON_CHARS_MAX) {
    throw ApplicationFailure.nonRetryable(
      `a reason has at most ${CANCEL_REASON_CHARS_MAX} characters`,
      'InvalidRequest',
    );
  }
  if (progress.status !== 'running') {
    throw ApplicationFailure.nonRetryable(
      `operation ${progress.operationId} has ended: ${progress.status}`,
      'OperationEnded',
    );
  }
  if (!canBeCancelled) {
    throw ApplicationFailure.nonRetryable(
      `operation ${progress.operationId} clears up after one that was ended from outside and only goes forward: wait for its end`,
      'PointOfNoReturnPassed',
    );
  }
  if (progress.pointOfNoReturnPassed) {
    throw ApplicationFailure.nonRetryable(
      `operation ${progress.operationId} has flipped ownership and only goes forward: wait for its end`,
      'PointOfNoReturnPassed',
    );
  }
}
