/**
 * A drain: one shard leaves the cluster, online. The mirror of a grow: the leaver is the donor and the truth for its slice, every other
 * shard is a possible owner, and the flip is its removal.
 *
 *  1. preflight            take the lock, look at everything, change nothing      crash: looked at again
 *  2. announce             the leaver owns nothing more; the call is answered     crash: the transition recognises its repeat
 *  3. await-routers        every router writes to the new owners too              crash: asked again
 *  4. copy                 blind, page by page                                    crash: a page is copied again
 *  5. warm-up              searches of the new owners find what was moved         crash: asked again
 *  6. reconcile            until a pass wrote nothing (INV-4)                     crash: from the last cursor
 *  7. remove               --- the point of no return ---                         crash: the transition recognises its repeat
 *  8. await-routers-after  no router reads from or writes to the leaver           crash: asked again
 *  9. drop                 the leaver lets go of its slice (INV-5)                crash: from the last cursor
 * 10. confirm              it holds no point of it                                crash: counted again
 * 11. empty                nothing stays that a re-added shard could bring back   crash: what is gone is not found again
 *
 * A drain creates and removes no collection on the other shards: they are owners, and what they have or lack is their clients'
 * doing. Where shards disagree about a collection, it waits.
 */
import type { OperationOutcome } from '../domain/progress';
import { DrainSteps } from './move/drain-steps';
import type { DrainInput } from '../contract/messages';
import { moveOperation } from './move/script';
import { copyPoints, reconcileUntilClean } from './move/copy';
import { beginRun } from './operation/run';

export async function drain(input: DrainInput): Promise<OperationOutcome> {
  const { run, forward } = beginRun('drain', input, drain);
  const steps = new DrainSteps(run, input);
  return moveOperation({ run, steps, forward, flip: 'remove' }, async () => {
    await run.phase('preflight', 'mark the shard as leaving', () => steps.preflight(input));
    await run.phase('announce', 'wait until every router writes to the new owners too', () =>
      steps.announce(input.request),
    );
    await run.phase('await-routers', 'copy', () => steps.awaitRouters());
    await run.phase('copy', 'wait until searches find what was moved', () => copyPoints(run, steps.parties()));
    await run.phase('warm-up', 'compare the leaver and the new owners until nothing differs', () => steps.warmUp());
    await run.phase('reconcile', 'take the leaver out of the map', () =>
      reconcileUntilClean(run, steps.parties(), steps.passConditions()),
    );
    await run.phase('remove', 'wait until no router uses the leaver', () => steps.flip(forward));
  });
}
