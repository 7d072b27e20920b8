/** How an operation that moves points ends: with everything done, or with everything undone. */
import {
  ActivityFailure,
  allHandlersFinished,
  ApplicationFailure,
  condition,
  isCancellation,
} from '@temporalio/workflow';
import type { OperationEnd } from '../../domain/cluster-state';
import { isDomainErrorCode, type DomainErrorCode } from '../../domain/errors';
import type { OperationOutcome } from '../../domain/progress';
import { nowMs } from '../clock';
import type { MoveSteps } from '../move/steps';
import { count } from '../web-ui-details';
import { cancelled, type OperationRun } from './run';

/** `prefix` says whose work was finished, when it was another operation's. */
export async function succeed(run: OperationRun, steps: MoveSteps, prefix = ''): Promise<OperationOutcome> {
  const { state } = run;
  const { progress } = state;
  // A delete of the sweep that is still under way must not outlive the lock: the next operation may move the points back.
  await run.waitForLateWrites();
  const kept =
    state.kept === 0
      ? ''
      : `; ${count(state.kept)} points were kept where they were, because their owner neither holds them nor is known to have deleted them`;
  const outcome: OperationOutcome = {
    message: `${prefix}${steps.summary()}${kept}`,
    pointsMoved: progress.pointsDone,
    droppedByDonor: state.dropped,
    pointsKept: state.kept,
    durationMs: nowMs() - progress.startedAtMs,
  };
  await end(run, steps, { end: 'succeeded', code: null, outcome });
  await condition(allHandlersFinished);
  return outcome;
}

/** Gives the lock back, where one is held, and ends the operation: in this order, so that a lock is never held by one that has ended. */
export async function end(
  run: OperationRun,
  steps: Pick<MoveSteps, 'release'>,
  result: { end: OperationEnd; code: string | null; outcome: OperationOutcome },
): Promise<void> {
  const { pointsMoved, message } = result.outcome;
  await steps.release({ end: result.end, code: result.code, pointsMoved, message });
  run.state.progress.outcome = result.outcome;
  run.end(result.end);
}

/** Undoes what `cause` ended. Throws the failure that the workflow ends with. */
export async function undo(run: OperationRun, steps: MoveSteps, cause: unknown): Promise<never> {
  const { state } = run;
  const { progress } = state;
  const { isOut, left } = await undoAll(run, steps);
  const code = isCancellation(cause) ? 'OperationCancelled' : failureType(cause);
  const endAs = endOf(cause, state.wasAnnounced);
  const why = isCancellation(cause) ? (state.cancelReason ?? 'on request') : messageOf(cause);
  const outcome = undoneOutcome(run, `${endAs}: ${why}${toDoByHand(left)}`);
  // Also when the lock was never answered: giving back what one does not hold changes nothing.
  if (isOut) await run.part(left, 'giving the lock back', () => end(run, steps, { end: endAs, code, outcome }));
  progress.outcome = outcome;
  run.end(endAs);
  await answerRefused(run, cause, why);
  if (isCancellation(cause)) throw cancelled();
  throw ApplicationFailure.nonRetryable(outcome.message, failureType(cause));
}

/** The same for an operation that was ended from outside: what is undone is another one's work, and so this one succeeds. */
export async function undoForAnother(run: OperationRun, steps: MoveSteps, of: string): Promise<OperationOutcome> {
  const { isOut, left } = await undoAll(run, steps);
  const outcome = undoneOutcome(run, `undid ${of}, which was ended from outside${toDoByHand(left)}`);
  if (!isOut) throw ApplicationFailure.nonRetryable(outcome.message, 'NeedsOperator');
  await end(run, steps, { end: 'succeeded', code: null, outcome });
  await condition(allHandlersFinished);
  return outcome;
}

/**
 * INV-7. Every part is tried, even when another one fails; what depends on shards and routers within the operation's patience,
 * what only depends on the cluster workflow for as long as it takes. Two things are not done: when the change could not be
 * taken out of the map, nothing is cleaned, because the shard may be an owner by now; and the lock is kept. What could not be
 * undone is said in the outcome.
 */
async function undoAll(run: OperationRun, steps: MoveSteps): Promise<{ isOut: boolean; left: string[] }> {
  const { state } = run;
  const versionBefore = state.mapVersion;
  // Only a flip that was refused comes here from behind the point of no return: nothing has flipped then.
  state.progress.pointOfNoReturnPassed = false;
  run.endPhase('ended by a failure or a cancel');
  const left: string[] = [];
  let isOut = true as boolean;
  await run.phase('undo', 'give the lock back', async () => {
    if (state.shards.length > 0) {
      isOut = await run.part(left, 'taking the change out of the map', () => steps.withdraw());
    }
    // Not only by the version: a recovery may find the change taken out already.
    if (state.mapVersion !== versionBefore || state.wasAnnounced) {
      await run.part(left, 'waiting for the routers', async () => {
        const lagging = await steps.routersBehind();
        if (lagging !== null) left.push(`these routers do not hold the map without the change yet: ${lagging}`);
      });
      await run.waitUntil(
        nowMs() + run.timings.inFlightMs,
        'a write that a router began before may still be under way',
      );
    }
    await run.waitForLateWrites();
    if (isOut) left.push(...(await steps.clean()));
    else left.push('the shards were not cleaned, because the change may be in the map');
    // A clean that was cut off may itself be late.
    await run.waitForLateWrites();
    return left.length === 0 ? 'everything is as it was' : left.join('; ');
  });
  return { isOut, left };
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

/** A caller who still waits to hear that the change was announced hears why it was not. */
export async function answerRefused(run: OperationRun, cause: unknown, why: string): Promise<void> {
  const { operationId } = run.state.progress;
  run.state.refusal = isCancellation(cause)
    ? { type: 'OperationCancelled', message: `operation ${operationId} was cancelled before it was announced` }
    : { type: failureType(cause), message: why };
  await condition(allHandlersFinished);
}

export function endOf(cause: unknown, wasAnnounced: boolean): OperationEnd {
  if (isCancellation(cause)) return 'cancelled';
  return wasAnnounced ? 'failed' : 'refused';
}

/** What was thrown, without what Temporal wraps around it. */
function innermost(cause: unknown): unknown {
  return cause instanceof ActivityFailure && cause.cause !== undefined ? cause.cause : cause;
}

/** A code that callers know. What a shard answered is no fault of theirs, so its class does not become their status. */
export function failureType(cause: unknown): DomainErrorCode {
  const inner = innermost(cause);
  const type = inner instanceof ApplicationFailure ? (inner.type ?? '') : '';
  return isDomainErrorCode(type) ? type : 'NeedsOperator';
}

export function messageOf(cause: unknown): string {
  const inner = innermost(cause);
  return inner instanceof Error ? inner.message : 'unknown failure';
}
