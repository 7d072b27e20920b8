/**
 * A check reads every collection on every shard and reports points that do not lie where the map has them. A repair moves them there.
 *
 * Every step of a repair is whole by itself, so a failure or a cancel has nothing to undo: it waits until no write of an attempt can
 * arrive, and gives the lock back. After a crash a step is asked again, or goes on from its last cursor.
 *
 * A check holds no lock. What it found means nothing when the map has changed meanwhile, and then it fails.
 */
import {
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  ContinueAsNew,
  isCancellation,
} from '@temporalio/workflow';
import type { RepairInput } from '../contract/messages';
import type { OperationOutcome } from '../domain/progress';
import { answerRefused, end, endOf, failureType, messageOf } from './operation/ending';
import { beginRun } from './operation/run';
import { runUntilFlip, type Script } from './operation/script';
import { cancelled } from './operation/step-failure';
import { awaitOwners, preflight, type RepairContext } from './repair/map';
import { compare, inspect } from './repair/passes';
import { doneSoFar, giveBack, outcomeOf, summaryOf } from './repair/report';

type RepairScript = Script<RepairContext>;

const INSPECT: RepairScript[number] = { phase: 'collections', does: 'look at the collections', step: inspect };
const COMPARE: RepairScript[number] = { phase: 'compare', does: 'compare all shards', step: compare };

/** One pass. Looks at the map before it and after it, in place of a lock. */
export const CHECK: RepairScript = [
  { phase: 'preflight', does: 'ask whether anything changes the map', step: preflight },
  INSPECT,
  COMPARE,
];

/** Passes, until one repaired nothing. */
export const REPAIR: RepairScript = [
  { phase: 'preflight', does: 'take the lock', step: preflight },
  { phase: 'await-routers', does: 'wait until every router writes to the owners', step: awaitOwners },
  INSPECT,
  COMPARE,
];

export function check(input: RepairInput): Promise<OperationOutcome> {
  return conduct('check', CHECK, input, check);
}

export function repair(input: RepairInput): Promise<OperationOutcome> {
  return conduct('repair', REPAIR, input, repair);
}

async function conduct(
  kind: 'check' | 'repair',
  script: RepairScript,
  input: RepairInput,
  self: (input: RepairInput) => Promise<unknown>,
): Promise<OperationOutcome> {
  const { run, forward } = beginRun(kind, input, self);
  const { routerUrls, request } = input;
  const context: RepairContext = { run, isRepair: kind === 'repair', routerUrls, settings: input, request };
  try {
    await forward.run(() => runUntilFlip(script, context));
  } catch (error) {
    if (error instanceof ContinueAsNew) throw error;
    return CancellationScope.nonCancellable(() => giveUp(context, error));
  }
  return CancellationScope.nonCancellable(() => succeed(context));
}

async function succeed(context: RepairContext): Promise<OperationOutcome> {
  const { run } = context;
  // A delete that is still under way must not outlive the lock: the next operation may move the points back.
  await run.waits.forLateWrites();
  const outcome = outcomeOf(context, summaryOf(context));
  const told = await end(run, { end: 'succeeded', code: null, outcome }, giveBack(context));
  await condition(allHandlersFinished);
  return told;
}

async function giveUp(context: RepairContext, cause: unknown): Promise<never> {
  const { run } = context;
  const { state } = run;
  run.holds.end();
  run.endPhase('ended by a failure or a cancel');
  await run.waits.forLateWrites();
  const why = isCancellation(cause) ? (state.cancelReason ?? 'on request') : messageOf(cause);
  const code = isCancellation(cause) ? 'OperationCancelled' : failureType(cause);
  const endAs = endOf(cause, state.announced !== null);
  const outcome = outcomeOf(context, `${endAs}: ${why}${doneSoFar(context)}`);
  // Also when the lock was never answered: giving back what one does not hold changes nothing.
  await end(run, { end: endAs, code, outcome }, giveBack(context));
  await answerRefused(run, cause, why);
  if (isCancellation(cause)) throw cancelled();
  throw ApplicationFailure.nonRetryable(outcome.message, failureType(cause));
}
