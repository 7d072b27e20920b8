/** How a move stands still before its flip, and goes on: with routers that are known to hold its map. */
import { awaitRouters } from '../operation/routers';
import type { OperationRun } from '../operation/run';
import type { MoveContext } from './context';

/** Something holds the operation, or did since routers were asked. */
export function mustStandStill({ holds, state }: OperationRun): boolean {
  return holds.isDue() || (state.isProofStale === true && state.routersAdoptedAtMs === 0);
}

export async function standStill(context: MoveContext): Promise<void> {
  const { run } = context;
  await run.holds.hold();
  // A router may have restarted meanwhile, and written by its seeds.
  if (run.state.routersAdoptedAtMs === 0) await awaitRouters(context);
}
