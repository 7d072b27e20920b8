/**
 * A check reads every collection on every shard and reports what lies where the map does not have it; a repair mends it.
 *
 *  1. preflight      a repair takes the lock; a check begins, if nothing changes the map   crash: the transition recognises its repeat
 *  2. await-routers  of a repair: every router writes to the owners of this map            crash: asked again
 *  3. collections    which are missing or differ; a repair creates missing ones            crash: looked at again
 *  4. compare        one pass of a check; of a repair until a pass mended nothing          crash: from the last cursor
 *
 * Every step of a repair is whole by itself, so a failure or a cancel has nothing to undo: it waits until no write of an attempt can
 * arrive any more, and gives the lock back. A check holds no lock. What it found means nothing when the map has changed meanwhile, and then
 * it fails.
 */
import {
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  ContinueAsNew,
  isCancellation,
} from '@temporalio/workflow';
import type { OperationOutcome } from '../domain/progress';
import type { RepairInput } from '../contract/messages';
import { answerRefused, end, endOf, failureType, messageOf } from './operation/ending';
import { beginRun, cancelled, type OperationRun } from './operation/run';
import { RepairSteps } from './repair/passes';

export async function check(input: RepairInput): Promise<OperationOutcome> {
  const { run, forward } = beginRun('check', input, check);
  return conduct(run, forward, new RepairSteps(run, input, { mends: false }));
}

export async function repair(input: RepairInput): Promise<OperationOutcome> {
  const { run, forward } = beginRun('repair', input, repair);
  return conduct(run, forward, new RepairSteps(run, input, { mends: true }));
}

async function conduct(run: OperationRun, forward: CancellationScope, steps: RepairSteps): Promise<OperationOutcome> {
  try {
    await forward.run(async () => {
      await run.phase('preflight', 'look at the collections', () => steps.preflight());
      if (steps.mends) await run.phase('await-routers', 'look at the collections', () => steps.awaitRouters());
      await run.phase('collections', 'compare all shards', () => steps.inspect());
      await run.phase('compare', 'report', () => steps.compare());
    });
  } catch (error) {
    if (error instanceof ContinueAsNew) throw error;
    return CancellationScope.nonCancellable(() => giveUp(run, steps, error));
  }
  return CancellationScope.nonCancellable(() => succeed(run, steps));
}

async function succeed(run: OperationRun, steps: RepairSteps): Promise<OperationOutcome> {
  // A delete that is still under way must not outlive the lock: the next operation may move the points back.
  await run.waitForLateWrites();
  const outcome = steps.outcome(steps.summary());
  await end(run, steps, { end: 'succeeded', code: null, outcome });
  await condition(allHandlersFinished);
  return outcome;
}

async function giveUp(run: OperationRun, steps: RepairSteps, cause: unknown): Promise<never> {
  const { state } = run;
  run.endPhase('ended by a failure or a cancel');
  await run.waitForLateWrites();
  const why = isCancellation(cause) ? (state.cancelReason ?? 'on request') : messageOf(cause);
  const code = isCancellation(cause) ? 'OperationCancelled' : failureType(cause);
  const endAs = endOf(cause, state.announced !== null);
  const outcome = steps.outcome(`${endAs}: ${why}${steps.doneSoFar()}`);
  // Also when the lock was never answered: giving back what one does not hold changes nothing.
  await end(run, steps, { end: endAs, code, outcome });
  await answerRefused(run, cause, why);
  if (isCancellation(cause)) throw cancelled();
  throw ApplicationFailure.nonRetryable(outcome.message, failureType(cause));
}
