/**
 * A grow: one or several empty shards join the cluster, online.
 *
 *  1. preflight            take the lock, look at everything, change nothing      crash: looked at again
 *  2. prepare              create the collections on the joiner                   crash: created again, which is harmless
 *  3. announce             the joiner enters the map; the REST call is answered   crash: the transition recognises its repeat
 *  4. await-routers        every router writes to the joiner too                  crash: asked again
 *  5. copy                 blind, page by page                                    crash: a page is copied again
 *  6. warm-up              searches of the joiner are answered at once            crash: asked again
 *  7. reconcile            until a pass wrote nothing (INV-4)                     crash: from the last cursor
 *  8. promote              --- the point of no return ---                         crash: the transition recognises its repeat
 *  9. await-routers-after  every router reads from the joiner                     crash: asked again
 *     await-index          searches of the joiner find what was moved             crash: asked again
 *     drop                 the donors let go of the slice (INV-5)                 crash: from the last cursor
 * 10. confirm              no donor holds a point of the slice                    crash: counted again
 *
 * Before step 8 every failure and every cancel is undone: the joiner leaves the map, routers are waited for, what was copied is
 * removed, the lock is given back (INV-7). From step 8 on there is only forward: what fails is tried until it succeeds.
 */
import {
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  ContinueAsNew,
  continueAsNew,
  setHandler,
} from '@temporalio/workflow';
import type { OperationOutcome, OperationProgress } from '../domain/progress';
import { nowMs } from './clock';
import { succeed, undo } from './grow-end';
import { GrowSteps } from './grow-steps';
import {
  announcedQuery,
  announcedUpdate,
  cancelUpdate,
  growOperationId,
  progressQuery,
  type AnnouncedAnswer,
  type GrowInput,
} from './messages';
import { copyPoints, reconcileUntilClean } from './move-points';
import { OperationRun } from './operation-run';
import { newOperationState, type OperationState } from './operation-state';
import { sweepDonors } from './sweep-donors';

/** The reason of a cancel stays in the history and in the outcome. */
const CANCEL_REASON_CHARS_MAX = 200;

export async function grow(input: GrowInput): Promise<OperationOutcome> {
  const state = input.carried ?? newOperationState('grow', growOperationId(input.key), nowMs());
  const forward = new CancellationScope({ cancellable: true });
  handleMessages(state, forward);
  if (state.progress.cancelRequested) forward.cancel();
  const run = new OperationRun({
    ...input,
    state,
    continueAsNew: async () => {
      await condition(allHandlersFinished);
      return continueAsNew<typeof grow>({ ...input, carried: state });
    },
  });
  const steps = new GrowSteps(run, input);

  if (!state.completed.includes('promote')) {
    try {
      await forward.run(async () => {
        await run.phase('preflight', 'prepare collections on the joiner', () => steps.preflight());
        await run.phase('prepare', 'announce the joiner to the routers', () => steps.prepare());
        await run.phase('announce', 'wait until every router writes to the joiner too', () => steps.announce());
        await run.phase('await-routers', 'copy', () => steps.awaitRouters());
        await run.phase('copy', 'have the joiner build its indexes', () => copyPoints(run, steps.parties()));
        await run.phase('warm-up', 'compare donors and joiner until nothing differs', () => steps.warmUp());
        await run.phase('reconcile', 'promote the joiner', () =>
          reconcileUntilClean(run, steps.parties(), steps.passConditions()),
        );
        await run.phase('promote', 'wait until every router reads from the joiner', () => steps.promote(forward));
      });
    } catch (error) {
      if (error instanceof ContinueAsNew) throw error;
      return CancellationScope.nonCancellable(() => undo(run, steps, error));
    }
  }
  return CancellationScope.nonCancellable(async () => {
    await run.phase('await-routers-after', 'wait until searches find what was moved', () => steps.awaitRoutersAfter());
    await run.phase('await-index', 'drop the slice from the donors', () => steps.awaitIndex());
    await run.phase('drop', 'count what is left', () => sweepDonors(run, steps.parties(), 'drop'));
    await run.phase('confirm', 'give the lock back', () => sweepDonors(run, steps.parties(), 'confirm'));
    return succeed(run, steps);
  });
}

function handleMessages(state: OperationState, forward: CancellationScope): void {
  const { progress } = state;
  setHandler(progressQuery, () => state.progress);
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
      forward.cancel();
      return progress;
    },
    {
      validator: ({ reason }: { reason: string }): void => {
        if (reason.length > CANCEL_REASON_CHARS_MAX) {
          throw ApplicationFailure.nonRetryable(
            `a reason has at most ${CANCEL_REASON_CHARS_MAX} characters`,
            'InvalidRequest',
          );
        }
        if (progress.pointOfNoReturnPassed) {
          throw ApplicationFailure.nonRetryable(
            `operation ${progress.operationId} has flipped ownership and only goes forward: wait for its end`,
            'PointOfNoReturnPassed',
          );
        }
        if (progress.status !== 'running') {
          throw ApplicationFailure.nonRetryable(
            `operation ${progress.operationId} has ended: ${progress.status}`,
            'OperationEnded',
          );
        }
      },
    },
  );
}
