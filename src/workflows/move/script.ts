import { CancellationScope, ContinueAsNew } from '@temporalio/workflow';
import type { OperationOutcome, Phase } from '../../domain/progress';
import type { MoveSteps } from './steps';
import { succeed, undo } from '../operation/ending';
import type { OperationRun } from '../operation/run';

/**
 * Runs an operation that moves points: `untilFlip`, whose last phase is `flip`, with the undo for whatever ends it before; then only
 * forward, whoever cancels. A run that continues as new behind the flip does not enter the first part again.
 */
export async function moveOperation(
  { run, steps, forward, flip }: { run: OperationRun; steps: MoveSteps; forward: CancellationScope; flip: Phase },
  untilFlip: () => Promise<void>,
): Promise<OperationOutcome> {
  if (!run.state.completed.includes(flip)) {
    try {
      await forward.run(untilFlip);
    } catch (error) {
      if (error instanceof ContinueAsNew) throw error;
      return CancellationScope.nonCancellable(() => undo(run, steps, error));
    }
  }
  return CancellationScope.nonCancellable(async () => {
    await steps.finish();
    return succeed(run, steps);
  });
}
