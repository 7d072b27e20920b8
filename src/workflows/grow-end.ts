/** How a grow ends: with everything done, or with everything undone. */
import {
  ActivityFailure,
  allHandlersFinished,
  ApplicationFailure,
  condition,
  isCancellation,
} from '@temporalio/workflow';
import type { OperationEnd } from '../domain/cluster-state';
import { isDomainErrorCode, type DomainErrorCode } from '../domain/errors';
import type { OperationOutcome } from '../domain/progress';
import type { Shard } from '../domain/shard-map';
import { nowMs } from './clock';
import type { GrowSteps } from './grow-steps';
import { idsOf } from './move-points';
import { count } from './operation-details';
import { cancelled, type OperationRun } from './operation-run';

export async function succeed(run: OperationRun, steps: GrowSteps): Promise<OperationOutcome> {
  const { state } = run;
  const { progress } = state;
  // A delete of the sweep that is still under way must not outlive the lock: the next operation may move the points back.
  await run.waitForLateWrites();
  const kept =
    state.kept === 0
      ? ''
      : `; ${count(state.kept)} points were kept on their donors, because their owner neither holds them nor is known to have deleted them`;
  const outcome: OperationOutcome = {
    message: `shard ${idsOf(state.shards)} joined and took over ${count(progress.pointsDone)} points${kept}`,
    pointsMoved: progress.pointsDone,
    droppedByDonor: state.dropped,
    pointsKept: state.kept,
    durationMs: nowMs() - progress.startedAtMs,
  };
  await release(run, steps, 'succeeded', outcome);
  await condition(allHandlersFinished);
  return outcome;
}

async function release(
  run: OperationRun,
  steps: GrowSteps,
  end: OperationEnd,
  outcome: OperationOutcome,
): Promise<void> {
  const { operationId } = run.state.progress;
  const { pointsMoved, message } = outcome;
  await steps.transition('give the lock back', { type: 'release', operationId, end, pointsMoved, message }, 'forever');
  run.state.progress.outcome = outcome;
  run.end(end);
}

/**
 * INV-7. Every part is tried, even when another one fails; what depends on shards and routers within the operation's patience,
 * what only depends on the cluster workflow for as long as it takes. Two things are not done: a shard that could not be taken
 * out of the map is not cleaned, because it may be an owner by now; and its lock is kept. What could not be undone is said in
 * the outcome. Throws the failure that the workflow ends with.
 */
export async function undo(run: OperationRun, steps: GrowSteps, cause: unknown): Promise<never> {
  const { state } = run;
  const { progress } = state;
  const versionBefore = state.mapVersion;
  // Only a flip that was refused comes here from behind the point of no return: nothing has flipped then.
  progress.pointOfNoReturnPassed = false;
  run.endPhase('ended by a failure or a cancel');
  const left: string[] = [];
  const part = async (what: string, work: () => Promise<unknown>): Promise<boolean> => {
    try {
      await work();
      return true;
    } catch (error) {
      left.push(`${what}: ${messageOf(error)}`);
      return false;
    }
  };
  let isOut = true as boolean;
  await run.phase('undo', 'give the lock back', async () => {
    if (state.shards.length > 0) isOut = await part('taking the joiner out of the map', () => withdraw(run, steps));
    // Not `announced`: an announcement whose answer was lost has reached the map all the same.
    if (state.mapVersion !== versionBefore) {
      await part('waiting for the routers', async () => {
        const lagging = await steps.routersBehind();
        if (lagging !== null) left.push(`these routers do not hold the map without the joiner yet: ${lagging}`);
      });
      await run.waitUntil(
        nowMs() + run.timings.inFlightMs,
        'a write that a router began before may still be under way',
      );
    }
    await run.waitForLateWrites();
    if (!isOut) left.push('the joiner was not emptied, because it may be in the map');
    for (const joiner of isOut ? state.shards : []) {
      await part(`cleaning shard ${joiner.id}`, () => clean(run, joiner));
    }
    // A clean that was cut off may itself be late.
    await run.waitForLateWrites();
    return left.length === 0 ? 'everything is as it was' : left.join('; ');
  });
  const end = endOf(cause, state.mapVersion !== versionBefore);
  const why = isCancellation(cause) ? (state.cancelReason ?? 'on request') : messageOf(cause);
  const rest = left.length === 0 ? '' : `. Left to do by hand: ${left.join('; ')}`;
  const outcome: OperationOutcome = {
    message: `${end}: ${why}${rest}`,
    pointsMoved: 0,
    droppedByDonor: {},
    pointsKept: 0,
    durationMs: nowMs() - progress.startedAtMs,
  };
  // Also when the lock was never answered: giving back what one does not hold changes nothing.
  if (isOut) await part('giving the lock back', () => release(run, steps, end, outcome));
  progress.outcome = outcome;
  run.end(end);
  await answerRefused(run, cause, why);
  if (isCancellation(cause)) throw cancelled();
  throw ApplicationFailure.nonRetryable(outcome.message, failureType(cause));
}

async function withdraw(run: OperationRun, steps: GrowSteps): Promise<void> {
  const { operationId } = run.state.progress;
  const transition = { type: 'withdrawJoin', operationId } as const;
  const { map } = await steps.transition('take the joiner out of the map', transition, 'forever');
  run.state.mapVersion = map.version;
}

/** A caller who still waits to hear that the joiner was announced hears why it was not. */
async function answerRefused(run: OperationRun, cause: unknown, why: string): Promise<void> {
  const { operationId } = run.state.progress;
  run.state.refusal = isCancellation(cause)
    ? { type: 'OperationCancelled', message: `operation ${operationId} was cancelled before the joiner was announced` }
    : { type: failureType(cause), message: why };
  await condition(allHandlersFinished);
}

async function clean(run: OperationRun, joiner: Shard): Promise<void> {
  const { move, preflight, shards } = run.state;
  if (move === null || preflight === null) return;
  const index = shards.indexOf(joiner);
  const collectionsBefore = preflight.collectionsBefore[index] ?? [];
  const nonemptyBefore = preflight.nonemptyBefore[index] ?? [];
  const input = { ...move, joiner, collectionsBefore, nonemptyBefore };
  const what = `remove from shard ${joiner.id} what this operation put there`;
  for (let done = false; !done;) {
    const result = await run.persist(`cleaning shard ${joiner.id}`, () =>
      run.activities.points(what).cleanJoiner(input),
    );
    run.expectLateWrites(result.lateWritesUntilMs);
    done = result.done;
  }
}

function endOf(cause: unknown, wasAnnounced: boolean): OperationEnd {
  if (isCancellation(cause)) return 'cancelled';
  return wasAnnounced ? 'failed' : 'refused';
}

/** What was thrown, without what Temporal wraps around it. */
function innermost(cause: unknown): unknown {
  return cause instanceof ActivityFailure && cause.cause !== undefined ? cause.cause : cause;
}

/** A code that callers know. What a shard answered is no fault of theirs, so its class does not become their status. */
function failureType(cause: unknown): DomainErrorCode {
  const inner = innermost(cause);
  const type = inner instanceof ApplicationFailure ? (inner.type ?? '') : '';
  return isDomainErrorCode(type) ? type : 'NeedsOperator';
}

function messageOf(cause: unknown): string {
  const inner = innermost(cause);
  return inner instanceof Error ? inner.message : 'unknown failure';
}
