/** How a grow and a drain run: their script until the flip, with the undo for what ends it before, then the rest of it, whatever happens. */
import { allHandlersFinished, CancellationScope, condition, ContinueAsNew } from '@temporalio/workflow';
import type { OperationInput } from '../../contract/messages';
import type { OperationState } from '../../contract/operation-state';
import type { OperationRequest } from '../../contract/requests';
import type { OperationOutcome } from '../../domain/progress';
import { end, outcomeOf } from '../operation/ending';
import { beginRun, type OperationRun } from '../operation/run';
import { rowsUntilFlip, runAfterFlip, runUntilFlip } from '../operation/script';
import { count } from '../wording';
import type { MoveContext, MoveScript } from './context';
import { idsOf, type MoveKind } from './placement';
import { forgetSessions } from './rows/donors';
import { causeOf, undo } from './undo';

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
  const context: MoveContext = { run, kind, routerUrls, settings: input, request, forward };
  const { undoing } = run.state;
  if (undoing !== null) return CancellationScope.nonCancellable(() => undo(script, context, causeOf(undoing)));
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
  await forgetSessions(run);
  const kept =
    state.pointsKept === 0
      ? ''
      : `; ${count(state.pointsKept)} points were kept where they were, because their owner neither holds them nor is known to have deleted them`;
  const { droppedByDonor, pointsKept } = state;
  const outcome = outcomeOf(run, `${prefix}${summaryOf(context.kind, state)}${kept}`, {
    pointsMoved: state.progress.pointsDone,
    droppedByDonor,
    pointsKept,
  });
  const told = await end(run, { end: 'succeeded', code: null, outcome });
  await condition(allHandlersFinished);
  return told;
}

/** What came of a move, for people, when everything succeeded. */
function summaryOf(kind: MoveKind, state: OperationState): string {
  const shards = idsOf(state.shards);
  const points = count(state.progress.pointsDone);
  if (kind === 'grow') return `shard ${shards} joined and took over ${points} points`;
  const notEmptied =
    state.notEmptied === null
      ? ''
      : `; it could not be emptied (${state.notEmptied}), so empty it before it is ever used again`;
  return `shard ${shards} left and gave away ${points} points${notEmptied}`;
}
