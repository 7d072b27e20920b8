/** How a grow ends: with everything done, or with everything undone. */
import {
  ActivityFailure,
  allHandlersFinished,
  ApplicationFailure,
  condition,
  isCancellation,
} from '@temporalio/workflow';
import type { OperationEnd } from '../domain/cluster-state';
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
  const kept = state.kept === 0 ? '' : `; ${count(state.kept)} points were kept on their donors (INV-5), run a repair`;
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
  await steps.transition('give the lock back', {
    type: 'release',
    operationId,
    end,
    pointsMoved: outcome.pointsMoved,
    message: outcome.message,
  });
  run.state.progress.outcome = outcome;
  run.end(end);
}

/**
 * INV-7. Every part is tried, even when another one fails, each within the operation's patience. What could not be undone is
 * said in the outcome. Throws the failure that the workflow ends with.
 */
export async function undo(run: OperationRun, steps: GrowSteps, cause: unknown): Promise<never> {
  const { state } = run;
  const { progress } = state;
  const versionBefore = state.mapVersion;
  // Only a flip that was refused comes here from behind the point of no return: nothing has flipped then.
  progress.pointOfNoReturnPassed = false;
  run.endPhase('ended by a failure or a cancel');
  const left: string[] = [];
  const part = async (what: string, work: () => Promise<unknown>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      left.push(`${what}: ${messageOf(error)}`);
    }
  };
  const why = isCancellation(cause) ? (state.cancelReason ?? 'on request') : messageOf(cause);
  const { operationId } = progress;
  await run.phase('undo', 'give the lock back', async () => {
    if (state.shards.length > 0) {
      await part('taking the joiner out of the map', async () => {
        const { map } = await steps.transition('take the joiner out of the map', { type: 'withdrawJoin', operationId });
        state.mapVersion = map.version;
      });
    }
    // Not `announced`: an announcement whose answer was lost has reached the map all the same.
    if (state.mapVersion !== versionBefore) {
      await part('waiting for the routers', async () => {
        const lagging = await steps.routersBehind();
        if (lagging !== null) left.push(`these routers still hold an older map: ${lagging}`);
      });
      await run.waitUntil(
        nowMs() + run.timings.inFlightMs,
        'a write that a router began before may still be under way',
      );
    }
    await run.waitForLateWrites();
    for (const joiner of state.shards) await part(`cleaning shard ${joiner.id}`, () => clean(run, joiner));
    return left.length === 0 ? 'everything is as it was' : left.join('; ');
  });
  const end = endOf(cause, state.mapVersion !== versionBefore);
  const rest = left.length === 0 ? '' : `. Left to do by hand: ${left.join('; ')}`;
  const outcome: OperationOutcome = {
    message: `${end}: ${why}${rest}`,
    pointsMoved: 0,
    droppedByDonor: {},
    pointsKept: 0,
    durationMs: nowMs() - progress.startedAtMs,
  };
  // Also when the lock was never answered: giving back what one does not hold changes nothing.
  await part('giving the lock back', () => release(run, steps, end, outcome));
  progress.outcome = outcome;
  run.end(end);
  const type = isCancellation(cause) ? 'OperationCancelled' : failureType(cause);
  state.refusal = {
    type,
    message: isCancellation(cause) ? `operation ${operationId} was cancelled before the joiner was announced` : why,
  };
  await condition(allHandlersFinished);
  if (isCancellation(cause)) throw cancelled();
  throw ApplicationFailure.nonRetryable(outcome.message, type);
}

async function clean(run: OperationRun, joiner: Shard): Promise<void> {
  const { state } = run;
  const { move, preflight } = state;
  if (move === null || preflight === null) return;
  const index = state.shards.indexOf(joiner);
  const collectionsBefore = preflight.collectionsBefore[index] ?? [];
  const input = { ...move, joiner, collectionsBefore };
  await run.persist(`cleaning shard ${joiner.id}`, () =>
    run.activities.points(`remove from shard ${joiner.id} what this operation put there`).cleanJoiner(input),
  );
}

function endOf(cause: unknown, wasAnnounced: boolean): OperationEnd {
  if (isCancellation(cause)) return 'cancelled';
  return wasAnnounced ? 'failed' : 'refused';
}

/** What was thrown, without what Temporal wraps around it. */
function innermost(cause: unknown): unknown {
  return cause instanceof ActivityFailure && cause.cause !== undefined ? cause.cause : cause;
}

function failureType(cause: unknown): string {
  const inner = innermost(cause);
  return inner instanceof ApplicationFailure ? (inner.type ?? 'NeedsOperator') : 'NeedsOperator';
}

function messageOf(cause: unknown): string {
  const inner = innermost(cause);
  return inner instanceof Error ? inner.message : 'unknown failure';
}
