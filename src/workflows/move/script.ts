/** How a grow and a drain run: their script until the flip with its undo, then the rest of it, whatever happens. */
import {
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  ContinueAsNew,
  isCancellation,
} from '@temporalio/workflow';
import type { OperationInput } from '../../contract/messages';
import type { OperationRequest } from '../../contract/requests';
import type { OperationOutcome } from '../../domain/progress';
import { nowMs } from '../clock';
import { answerRefused, end, endOf, failureType, messageOf } from '../operation/ending';
import { beginRun, type OperationRun } from '../operation/run';
import { rowsUntilFlip, runAfterFlip, runUntilFlip, undoRows, type Script } from '../operation/script';
import { cancelled } from '../operation/step-failure';
import { count } from '../wording';
import type { MoveKind } from './placement';
import { summaryOf } from './summary';

/** What every step of a move works on. */
export interface MoveContext {
  readonly run: OperationRun;
  readonly kind: MoveKind;
  readonly routerUrls: readonly string[];
  readonly request: OperationRequest;
  /** What a cancel stops. Null in a recovery, which nobody cancels. */
  readonly forward: CancellationScope | null;
}

export type MoveScript = Script<MoveContext>;

/**
 * Runs `script` until its flip, with the undo for every failure and cancel before it; then only forward, whoever cancels.
 * A run that continues as new after the flip does not enter the first part again.
 */
export async function runMove<Request extends OperationRequest>(
  kind: MoveKind,
  script: MoveScript,
  input: OperationInput<Request>,
  self: (input: OperationInput<Request>) => Promise<unknown>,
): Promise<OperationOutcome> {
  const { run, forward } = beginRun(kind, input, self);
  const { routerUrls, request } = input;
  const context: MoveContext = { run, kind, routerUrls, request, forward };
  if (!hasFlipped(run, script)) {
    try {
      await forward.run(() => runUntilFlip(script, context));
    } catch (error) {
      if (error instanceof ContinueAsNew) throw error;
      return CancellationScope.nonCancellable(() => undo(script, context, error));
    }
  }
  return CancellationScope.nonCancellable(() => finish(script, context));
}

function hasFlipped({ state }: OperationRun, script: MoveScript): boolean {
  const flip = rowsUntilFlip(script).at(-1);
  return flip !== undefined && state.completed.includes(flip.phase);
}

/** All rows after the flip, and the end. `prefix` says whose work is finished, when it is another operation's. */
export async function finish(script: MoveScript, context: MoveContext, prefix = ''): Promise<OperationOutcome> {
  await runAfterFlip(script, context);
  const { run } = context;
  const { state } = run;
  // A delete of the sweep that is still under way must not outlive the lock: the next operation may move the points back.
  await run.waits.forLateWrites();
  const kept =
    state.pointsKept === 0
      ? ''
      : `; ${count(state.pointsKept)} points were kept where they were, because their owner neither holds them nor is known to have deleted them`;
  const outcome: OperationOutcome = {
    message: `${prefix}${summaryOf(context.kind, state)}${kept}`,
    pointsMoved: state.progress.pointsDone,
    droppedByDonor: state.droppedByDonor,
    pointsKept: state.pointsKept,
    durationMs: nowMs() - state.progress.startedAtMs,
  };
  await end(run, { end: 'succeeded', code: null, outcome });
  await condition(allHandlersFinished);
  return outcome;
}

/** Undoes what `cause` ended. Throws the failure that the workflow ends with. */
async function undo(script: MoveScript, context: MoveContext, cause: unknown): Promise<never> {
  const { run } = context;
  const { state } = run;
  const { isUndone, left } = await undoPhase(script, context);
  const code = isCancellation(cause) ? 'OperationCancelled' : failureType(cause);
  const endAs = endOf(cause, state.wasAnnounced);
  const why = isCancellation(cause) ? (state.cancelReason ?? 'on request') : messageOf(cause);
  const outcome = undoneOutcome(run, `${endAs}: ${why}${toDoByHand(left)}`);
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
  const { isUndone, left } = await undoPhase(script, context);
  const outcome = undoneOutcome(run, `undid ${of}, which was ended from outside${toDoByHand(left)}`);
  if (!isUndone) throw ApplicationFailure.nonRetryable(outcome.message, 'NeedsOperator');
  await end(run, { end: 'succeeded', code: null, outcome });
  await condition(allHandlersFinished);
  return outcome;
}

/**
 * What depends on shards and routers is tried within the operation's patience, what depends on the cluster workflow alone for as long as it
 * takes. What could not be undone is said in the outcome.
 */
async function undoPhase(script: MoveScript, context: MoveContext): Promise<{ isUndone: boolean; left: string[] }> {
  const { run } = context;
  // Only a flip that was refused comes here from after the point of no return: nothing has flipped then.
  run.state.progress.pointOfNoReturnPassed = false;
  run.endPhase('ended by a failure or a cancel');
  let undone: { isUndone: boolean; left: string[] } = { isUndone: true, left: [] };
  await run.phase('undo', 'give the lock back', async () => {
    undone = await undoRows(script, context);
    return undone.left.length === 0 ? 'everything is as it was' : undone.left.join('; ');
  });
  return undone;
}

function undoneOutcome({ state }: OperationRun, message: string): OperationOutcome {
  return {
    message,
    pointsMoved: 0,
    droppedByDonor: {},
    pointsKept: 0,
    durationMs: nowMs() - state.progress.startedAtMs,
  };
}

function toDoByHand(left: readonly string[]): string {
  return left.length === 0 ? '' : `. Left to do by hand: ${left.join('; ')}`;
}
