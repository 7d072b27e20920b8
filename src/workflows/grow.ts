/**
 * A grow: one or several empty shards join the cluster, online.
 *
 *  1. preflight            take the lock, look at everything, change nothing      crash: looked at again
 *  2. prepare              create the collections on the joiner                   crash: created again, which is harmless
 *  3. announce             the joiner enters the map; the REST call is answered   crash: the transition recognises its repeat
 *  4. await-routers        every router writes to the joiner too                  crash: asked again
 *  5. copy                 blind, page by page                                    crash: a page is copied again
 *  6. warm-up              searches of the joiner are answered at once            crash: asked again
 *  7. reconcile            until a pass wrote nothing (INV-4)                     crash: from the last cursor
 *  8. promote              --- the point of no return ---                         crash: the transition recognises its repeat
 *  9. await-routers-after  every router reads from the joiner                     crash: asked again
 *     await-index          searches of the joiner find what was moved             crash: asked again
 *     drop                 the donors let go of the slice (INV-5)                 crash: from the last cursor
 * 10. confirm              no donor holds a point of the slice                    crash: counted again
 *
 * Before step 8 every failure and every cancel is undone: the joiner leaves the map, routers are waited for, what was copied is
 * removed, the lock is given back (INV-7). From step 8 on there is only forward: what fails is tried until it succeeds.
 */
import type { OperationOutcome } from '../domain/progress';
import { GrowSteps } from './move/grow-steps';
import type { GrowInput } from '../contract/messages';
import { moveOperation } from './move/script';
import { copyPoints, reconcileUntilClean } from './move/copy';
import { beginRun } from './operation/run';

export async function grow(input: GrowInput): Promise<OperationOutcome> {
  const { run, forward } = beginRun('grow', input, grow);
  const steps = new GrowSteps(run, input);
  return moveOperation({ run, steps, forward, flip: 'promote' }, async () => {
    await run.phase('preflight', 'prepare collections on the joiner', () => steps.preflight(input));
    await run.phase('prepare', 'announce the joiner to the routers', () => steps.prepare());
    await run.phase('announce', 'wait until every router writes to the joiner too', () =>
      steps.announce(input.request),
    );
    await run.phase('await-routers', 'copy', () => steps.awaitRouters());
    await run.phase('copy', 'have the joiner build its indexes', () => copyPoints(run, steps.parties()));
    await run.phase('warm-up', 'compare donors and joiner until nothing differs', () => steps.warmUp());
    await run.phase('reconcile', 'promote the joiner', () =>
      reconcileUntilClean(run, steps.parties(), steps.passConditions()),
    );
    await run.phase('promote', 'wait until every router reads from the joiner', () => steps.flip(forward));
  });
}
