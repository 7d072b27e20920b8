/** What every operation answers while it runs and after its end. Set before its first await. */
import { ApplicationFailure, CancellationScope, condition, setHandler } from '@temporalio/workflow';
import { refuseCancel } from '../../domain/cancel';
import type { OperationProgress } from '../../domain/progress';
import {
  announcedQuery,
  announcedUpdate,
  cancelUpdate,
  operationStateQuery,
  progressQuery,
  stepProgressSignal,
} from '../../contract/messages';
import type { AnnouncedAnswer } from '../../contract/requests';
import type { OperationState } from '../../contract/operation-state';
import type { StepProgress } from '../../domain/progress';
import { nowMs } from '../clock';
import { showSlowed } from '../holds/slowed';
import { answering } from './domain-failures';

/** The reason of a cancel stays in the history and in the outcome. */
const CANCEL_REASON_CHARS_MAX = 200;

/** `forward` is what a cancel stops. Null: this operation cannot be cancelled. */
export function handleMessages(state: OperationState, forward: CancellationScope | null): void {
  const { progress } = state;
  setHandler(progressQuery, () => state.progress);
  setHandler(operationStateQuery, () => state);
  setHandler(stepProgressSignal, (step) => showStep(state, step));
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
      // Its undo is not held up.
      delete progress.pause;
      progress.next = 'undo everything';
      state.cancelReason ??= reason;
      forward?.cancel();
      return progress;
    },
    { validator: ({ reason }: { reason: string }): void => refuse(state, forward !== null, reason) },
  );
}

/** Rate and ETA while a step runs; its result counts when it has ended. */
function showStep(state: OperationState, step: StepProgress): void {
  const { progress } = state;
  if (progress.status !== 'running') return;
  state.steps = { ...state.steps, [String(step.shardId)]: step };
  showSlowed(state);
  progress.updatedAtMs = nowMs();
  if (hasDoneNothing(step)) return;
  const steps = Object.values(state.steps);
  const sum = (what: 'points' | 'bytes' | 'rowsRead' | 'expected'): number =>
    steps.reduce((total, each) => total + each[what], 0);
  const isReading = progress.phase === 'compare';
  const [done, expected] = [isReading ? sum('rowsRead') : sum('points'), sum('expected')];
  if (progress.phase === 'copy' || isReading) progress.pointsDone = Math.max(done, progress.pointsDone);
  if (progress.phase === 'copy') progress.bytesDone = Math.max(sum('bytes'), progress.bytesDone);
  const seconds = Math.max(nowMs() - (progress.phases.at(-1)?.startedAtMs ?? nowMs()), 1) / 1000;
  progress.ratePerSecond = Math.round(done / seconds);
  progress.etaSeconds = done > 0 ? Math.ceil((seconds / done) * Math.max(expected - done, 0)) : null;
}

/** It tells only what slows it down. */
function hasDoneNothing({ points, rowsRead, expected }: StepProgress): boolean {
  return points === 0 && rowsRead === 0 && expected === 0;
}

function refuse({ progress }: OperationState, canBeCancelled: boolean, reason: string): void {
  if (reason.length > CANCEL_REASON_CHARS_MAX) {
    throw ApplicationFailure.nonRetryable(
      `a reason has at most ${CANCEL_REASON_CHARS_MAX} characters`,
      'InvalidRequest',
    );
  }
  answering(() => refuseCancel(progress, canBeCancelled));
}
