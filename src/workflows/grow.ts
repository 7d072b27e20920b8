/**
 * A grow: one or several empty shards join the cluster, online.
 *
 * Every step may run twice: after a crash it is asked again, created again, copied again, or goes on from its last cursor. A change of
 * the map recognises its repeat. What a step did not answer for is known from the operation's state, which survives the crash.
 *
 * Before the flip every failure and every cancel is undone, from the last row upwards (INV-7). From the flip on there is only
 * forward: what fails is tried until it succeeds.
 */
import type { GrowInput } from '../contract/messages';
import type { OperationOutcome } from '../domain/progress';
import { releaseJoiners } from './identity/release';
import { copyPoints } from './move/rows/copy';
import { buildIndexes, findOnJoiner } from './move/indexes';
import { cleanJoiners, preflightGrow, prepareJoiners } from './move/joiners';
import { announce, flip, withdraw } from './move/map-changes';
import { reconcileUntilClean } from './move/rows/reconcile';
import type { MoveScript } from './move/context';
import { runMove } from './move/run-move';
import { awaitRoutersAndFollow, confirmDrop, dropSlice } from './move/rows/sweep';
import { awaitRouters } from './operation/routers';

export const GROW: MoveScript = [
  {
    phase: 'preflight',
    does: 'take the lock, claim the joiner and look at everything',
    step: preflightGrow,
    undo: [{ does: 'taking the claim off the joiner', run: releaseJoiners }],
  },
  {
    phase: 'prepare',
    does: 'prepare collections on the joiner',
    step: prepareJoiners,
    undo: [{ does: 'cleaning the joiner', run: cleanJoiners }],
  },
  {
    phase: 'announce',
    does: 'announce the joiner to the routers',
    step: announce,
    undo: [
      {
        does: 'taking the change out of the map',
        run: withdraw,
        othersNeedIt: 'the shards were not cleaned, because the change may be in the map',
      },
    ],
  },
  { phase: 'await-routers', does: 'wait until every router writes to the joiner too', step: awaitRouters },
  { phase: 'copy', does: 'copy', step: copyPoints },
  {
    phase: 'warm-up',
    does: 'have the joiner build its indexes',
    step: buildIndexes,
    optional: 'left to the first searches',
  },
  {
    phase: 'reconcile',
    does: 'compare donors and joiner until nothing differs',
    step: reconcileUntilClean,
  },
  { phase: 'promote', does: 'promote the joiner', step: flip, isFlip: true },
  // ---- The point of no return ----
  {
    phase: 'await-routers-after',
    does: 'wait until every router reads from the joiner',
    step: awaitRoutersAndFollow,
    goesOn: true,
  },
  { phase: 'await-index', does: 'wait until searches find what was moved', step: findOnJoiner },
  { phase: 'drop', does: 'drop the slice from the donors', step: dropSlice },
  { phase: 'confirm', does: 'count what is left', step: confirmDrop },
];

export function grow(input: GrowInput): Promise<OperationOutcome> {
  return runMove('grow', GROW, input, grow);
}
