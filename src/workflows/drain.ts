/**
 * A drain: one shard leaves the cluster, online. It is the mirror of a grow: the leaver is the donor and the truth for its slice, every
 * other shard is a possible owner, and the flip is the removal of the leaver from the map.
 *
 * A drain creates and removes no collection on the other shards: they are owners, and what they have or lack is their clients'
 * doing. Where shards disagree about a collection, it waits. Crashes and the undo are as in a grow.
 *
 * After the flip the points are on their new owners whatever becomes of the leaver. A leaver that does not answer is abandoned after the
 * operation's patience, so that a machine that was switched off early does not hold the lock for ever.
 */
import type { DrainInput } from '../contract/messages';
import type { OperationOutcome } from '../domain/progress';
import { emptyAndReleaseLeaver } from './identity/release';
import { copyPoints } from './move/rows/copy';
import { findOnNewOwners } from './move/indexes';
import { preflightDrain, removeCopies } from './move/leaver';
import { announce, flip, withdraw } from './move/map-changes';
import { reconcileUntilClean } from './move/rows/reconcile';
import type { MoveScript } from './move/context';
import { runMove } from './move/run-move';
import { awaitRoutersAndFollow, confirmDrop, dropSlice } from './move/rows/sweep';
import { awaitRouters } from './operation/routers';

export const DRAIN: MoveScript = [
  { phase: 'preflight', does: 'take the lock and look at everything, changing nothing', step: preflightDrain },
  {
    phase: 'announce',
    does: 'mark the shard as leaving',
    step: announce,
    undo: [
      {
        does: 'taking the change out of the map',
        run: withdraw,
        othersNeedIt: 'the shards were not cleaned, because the change may be in the map',
      },
      // Only once the leaver is an owner again: until then routers write to both sides.
      { does: 'removing the copies from the other shards', run: removeCopies },
    ],
  },
  { phase: 'await-routers', does: 'wait until every router writes to the new owners too', step: awaitRouters },
  { phase: 'copy', does: 'copy', step: copyPoints },
  {
    phase: 'warm-up',
    does: 'wait until searches find what was moved',
    step: findOnNewOwners,
    optional: 'left to the first searches',
  },
  {
    phase: 'reconcile',
    does: 'compare the leaver and the new owners until nothing differs',
    step: reconcileUntilClean,
  },
  { phase: 'remove', does: 'take the leaver out of the map', step: flip, isFlip: true },
  // ---- The point of no return ----
  {
    phase: 'await-routers-after',
    does: 'wait until no router uses the leaver',
    step: awaitRoutersAndFollow,
    goesOn: true,
  },
  { phase: 'drop', does: 'empty the leaver', step: dropSlice, canAbandonLeaver: true },
  { phase: 'confirm', does: 'count what is left', step: confirmDrop, canAbandonLeaver: true },
  { phase: 'empty', does: 'remove what it holds of others', step: emptyAndReleaseLeaver, canAbandonLeaver: true },
];

export function drain(input: DrainInput): Promise<OperationOutcome> {
  return runMove('drain', DRAIN, input, drain);
}
