/**
 * What a failure or a cancel before the flip does: everything that a move has begun is taken back (INV-7).
 *
 * Crash: the undo is one phase, and each of its steps is harmless to repeat. A long undo continues as new between its
 * steps, and between the shards that one of them cleans.
 */
import { allHandlersFinished, ApplicationFailure, condition, isCancellation } from '@temporalio/workflow';
import type { UndoState } from '../../contract/operation-state';
import { boundedText } from '../../domain/bounded-text';
import { TEXT_CHARS_MAX } from '../../domain/limits';
import type { OperationOutcome } from '../../domain/progress';
import { answerRefused, end, endOf, failureType, messageOf, outcomeOf } from '../operation/ending';
import { rowsUntilFlip } from '../operation/script';
import { cancelled } from '../operation/step-failure';
import type { MoveContext, MoveScript } from './context';
import { forgetSessions } from './rows/donors';

/** Undoes what `cause` ended. Throws the failure that the workflow ends with. */
export async function undo(script: MoveScript, context: MoveContext, cause: unknown): Promise<never> {
  const { run } = context;
  const { state } = run;
  const { isUndone, left } = await undoPhase(script, context, cause);
  const code = isCancellation(cause) ? 'OperationCancelled' : failureType(cause);
  const endAs = endOf(cause, state.wasAnnounced);
  const why = isCancellation(cause) ? (state.cancelReason ?? 'on request') : messageOf(cause);
  const outcome = outcomeOf(run, withToDo(`${endAs}: ${why}`, left));
  // Also when the lock was never answered: giving back what one does not hold changes nothing.
  if (isUndone) await run.part(left, 'giving the lock back', () => end(run, { end: endAs, code, outcome }));
  state.progress.outcome = outcome;
  run.end(endAs);
  await answerRefused(run, cause, why);
  if (isCancellation(cause)) throw cancelled();
  throw ApplicationFailure.nonRetryable(outcome.message, failureType(cause));
}

/** The same for an operation that was ended from outside: what is undone is another one's work, and so this one succeeds. */
export async function undoForAnother(script: MoveScript, context: MoveContext, of: string): Promise<OperationOutcome> {
  const { run } = context;
  const { isUndone, left } = await undoPhase(script, context, null);
  const outcome = outcomeOf(run, withToDo(`undid ${of}, which was ended from outside`, left));
  if (!isUndone) throw ApplicationFailure.nonRetryable(outcome.message, 'NeedsOperator');
  const told = await end(run, { end: 'succeeded', code: null, outcome });
  await condition(allHandlersFinished);
  return told;
}

/**
 * What depends on shards and routers is tried within the operation's patience, what depends on the cluster workflow alone for as long as it
 * takes. What could not be undone is said in the outcome.
 */
async function undoPhase(script: MoveScript, context: MoveContext, cause: unknown): Promise<UndoState> {
  const { run } = context;
  const { state } = run;
  if (state.undoing === null) {
    // Only a flip that was refused comes here from after the point of no return: nothing has flipped then.
    state.progress.pointOfNoReturnPassed = false;
    run.holds.end();
    run.endPhase('ended by a failure or a cancel');
  }
  const undoing = (state.undoing ??= beginningWith(cause));
  await run.phase('undo', 'give the lock back', async () => {
    await undoRows(script, context, undoing);
    return undoing.left.length === 0 ? 'everything is as it was' : undoing.left.join('; ');
  });
  return undoing;
}

/** `cause`: what ended the operation. Null in a recovery, which ends well. */
function beginningWith(cause: unknown): UndoState {
  return {
    isCancelled: isCancellation(cause),
    type: failureType(cause),
    message: boundedText(messageOf(cause)),
    tried: [],
    cleaned: [],
    pointsKept: 0,
    left: [],
    isUndone: true,
  };
}

/** What a later run ends with is what the first one would have ended with. */
export function causeOf({ isCancelled, type, message }: UndoState): unknown {
  return isCancelled ? cancelled() : ApplicationFailure.nonRetryable(message, type);
}

/** Neither may cost the other its beginning: why it ended, and what a person must do. */
function withToDo(why: string, left: readonly string[]): string {
  if (left.length === 0) return why;
  const half = TEXT_CHARS_MAX / 2;
  return boundedText(why, half) + boundedText(`. Left to do by hand: ${left.join('; ')}`, half);
}

/**
 * INV-7. Runs the undos of all rows before the flip, backwards, whether a row has begun or not: a lost answer leaves a row half-done, and each
 * undo looks at the state for itself. Every one is tried, even when another one fails, unless it was needed (`othersNeedIt`).
 * `isUndone: false`: the lock must be kept. `left` says what a person has to do.
 */
async function undoRows(script: MoveScript, context: MoveContext, undoing: UndoState): Promise<void> {
  const { run } = context;
  for (const row of rowsUntilFlip(script).toReversed()) {
    for (const undo of row.undo ?? []) {
      if (undoing.tried.includes(undo.does)) continue;
      const { left } = undoing;
      const isDone = await run.part(left, undo.does, () => undo.run(context, left));
      // An undo that was cut off may itself write late.
      await run.waits.forLateWrites();
      undoing.tried.push(undo.does);
      Object.assign(undoing, { cleaned: [], pointsKept: 0 });
      undoing.left = left.map((each) => boundedText(each));
      if (!isDone && undo.othersNeedIt !== undefined) {
        undoing.left.push(undo.othersNeedIt);
        undoing.isUndone = false;
        return;
      }
      await run.checkpointOnceAnnounced();
    }
  }
  await forgetSessions(run);
}
