/** When searches find on the receivers what was moved there. */
import { samplesOf } from '../../domain/bounded-text';
import type { Shard } from '../../domain/shard-map';
import type { OperationRun } from '../operation/run';
import { nowMs } from '../clock';
import { idsOf, partiesOf } from './placement';
import type { MoveContext } from './context';

/** What is waited for, in progress.waiting. */
const INDEX = 'index';

/** Before the flip of a grow: searches of the joiner are answered at once after the flip. */
export async function buildIndexes(context: MoveContext): Promise<string> {
  if (context.run.timings.warmUpMs === 0) return 'left to the first searches';
  return warmUp(context, { mustFind: false });
}

/**
 * Before the flip of a drain: searches of the new owners find what was moved, because with the flip they lose sight of the leaver. An index
 * is brought up to date in the background, and until then only the leaver's answers make searches complete.
 */
export async function findOnNewOwners(context: MoveContext): Promise<string> {
  if (context.run.timings.warmUpMs === 0) return 'left to the first searches';
  return warmUp(context, { mustFind: true });
}

/** After the flip of a grow, before the donors drop the slice: until then only the donors' answers make searches complete. */
export async function findOnJoiner(context: MoveContext): Promise<string> {
  if (context.run.timings.warmUpMs === 0) return 'not waited for';
  return warmUp(context, { mustFind: true });
}

/** `mustFind`: searches find what was moved, and do not only get an answer. */
async function warmUp({ run, kind }: MoveContext, { mustFind }: { mustFind: boolean }): Promise<string> {
  const { state, timings } = run;
  const receivers = (): readonly Shard[] => partiesOf(kind, state).receivers;
  const collections = state.copy?.collections ?? [];
  showWait(run, mustFind);
  const doing = mustFind ? 'wait until searches find all on' : 'build the indexes of';
  try {
    const { notReady, notKnown = [] } = await run.persist('building indexes', () =>
      run.activities.patient(`${doing} shard ${idsOf(receivers())}`, timings.warmUpMs).warmUp({
        receivers: receivers(),
        ...{ collections, patienceMs: timings.warmUpMs, mustFind },
        ...(mustFind && state.move !== null ? { slice: state.move } : {}),
      }),
    );
    const unknown =
      notKnown.length === 0 ? '' : `; not known, the shard refuses to be searched: ${samplesOf(notKnown)}`;
    if (notReady.length > 0) return `not ready after ${timings.warmUpMs} ms: ${samplesOf(notReady)}${unknown}`;
    return `${mustFind ? 'searches find what was moved' : 'searches are answered at once'}${unknown}`;
  } finally {
    run.waits.end(INDEX);
  }
}

function showWait(run: OperationRun, mustFind: boolean): void {
  run.waits.begin(INDEX, {
    reason: mustFind
      ? 'searches of the new owners may not find all moved points yet, so the donors keep theirs'
      : 'the new owners build their indexes, so that no search has to wait for that after the flip',
    endsWhen: `${mustFind ? 'they are found' : 'they are built'}, or ${run.timings.warmUpMs} ms are over`,
    sinceMs: nowMs(),
  });
}
