/** The passes of a check (one) and of a repair (until one had nothing to repair), over all collections of all shards. */
import type { RepairState } from '../../contract/operation-state';
import { describePass, NOTHING_FOUND, NOTHING_MENDED } from '../../domain/findings';
import { REPAIR_PASSES_MAX } from '../../domain/limits';
import { endSlowed } from '../holds/slowed';
import { moveOf } from '../move/placement';
import { planScans } from '../move/rows/plan';
import { readersOfPass } from '../move/rows/readers';
import { routersHoldTheMap } from '../operation/routers';
import { awaitOwners, confirmMap, identify, partiesOf, type RepairContext } from './map';
import { passesNote, repairState, showFindings } from './report';

// ---- Collections ----

export async function inspect(context: RepairContext): Promise<string> {
  await identify(context);
  const plan = await planReading(context);
  const { collections, mended } = await beginPass(context, 1, NOTHING_MENDED);
  const wrong = collections.filter((each) => each.missingOn.length > 0 || each.notCompared !== null);
  const created = mended.collectionsCreated === 0 ? '' : `, ${mended.collectionsCreated} created`;
  return `${collections.length} collections, ${wrong.length} of them missing somewhere or not to be compared${created}; ${plan}`;
}

/** A check or a repair that would stop one for too long is not begun. */
function planReading({ run, settings, request }: RepairContext): Promise<string> {
  const readers = readersOfPass(run.state.move?.shards ?? []);
  return planScans(run, { settings, request }, { move: moveOf(run), readers });
}

async function beginPass(context: RepairContext, pass: number, mended: RepairState['mended']): Promise<RepairState> {
  const { run, isRepair, request } = context;
  const { settleMs, inFlightMs } = run.timings;
  const { collections, created } = run.waits.noted(
    await run.persist('looking at the collections', () =>
      run.activities.points(`pass ${pass}: which collections are where?`).inspectCollections({
        ...partiesOf(context),
        collections: request.collections,
        creates: isRepair,
        // A client drops a collection shard by shard. It must not be created again after that, so the drop gets the time of a write.
        settleMs: isRepair ? Math.max(settleMs, inFlightMs) : settleMs,
      }),
    ),
  );
  const before = run.state.repair;
  const repair: RepairState = {
    pass,
    collections,
    found: NOTHING_FOUND,
    left: NOTHING_FOUND,
    rowsRead: 0,
    rowsReadBefore: before === null ? 0 : before.rowsReadBefore + before.rowsRead,
    written: created,
    first: before?.first ?? null,
    mended: { ...mended, collectionsCreated: mended.collectionsCreated + created },
    removedByHolder: before?.removedByHolder ?? {},
  };
  run.state.repair = repair;
  showFindings(run);
  return repair;
}

// ---- Compare ----

export async function compare(context: RepairContext): Promise<string> {
  const { run, isRepair } = context;
  for (;;) {
    const repair = repairState(run);
    await readAll(context, repair);
    repair.first ??= repair.found;
    if (!isRepair) {
      await confirmMap(context);
      return describePass(repair.found);
    }
    if (repair.written === 0 || repair.pass >= REPAIR_PASSES_MAX) return passesNote(repair);
    await run.waits.forLateWrites();
    await confirmMap(context);
    if (!(await routersHoldTheMap(context))) await awaitOwners(context);
    await beginPass(context, repair.pass + 1, repair.mended);
    await run.checkpoint();
  }
}

/** Every shard is read once. */
async function readAll(context: RepairContext, repair: RepairState): Promise<void> {
  const { run, isRepair, request } = context;
  while (run.holds.isDue() || (isRepair && run.state.isProofStale === true)) {
    await run.holds.hold();
    // A router may have restarted meanwhile, and written by its seeds.
    if (isRepair) await awaitOwners(context);
    delete run.state.isProofStale;
  }
  if (isRepair) await confirmMap(context);
  const failedBefore = run.state.progress.failedAttempts;
  const input = {
    ...partiesOf(context),
    collections: repair.collections,
    mend: isRepair ? { settleMs: run.timings.settleMs, prefer: request.prefer } : null,
  };
  const compared = run.persist('comparing all shards', () =>
    run.activities.rows(`pass ${repair.pass}: compare all shards`, null).findMisplaced(input),
  );
  const result = run.waits.noted(await compared.finally(() => endSlowed(run.state, null)));
  repair.found = result.found;
  repair.left = result.left;
  repair.rowsRead = result.rowsRead;
  let removed = 0;
  for (const [holder, points] of Object.entries(result.removedByHolder)) {
    repair.removedByHolder = { ...repair.removedByHolder, [holder]: (repair.removedByHolder[holder] ?? 0) + points };
    removed += points;
  }
  const { moved } = result;
  repair.mended = { ...repair.mended, moved: repair.mended.moved + moved, removed: repair.mended.removed + removed };
  repair.written += moved + removed;
  // An attempt that failed may have repaired something before it did: unknown is not nothing.
  if (isRepair && (result.mayHaveWritten || run.state.progress.failedAttempts > failedBefore)) repair.written += 1;
  showFindings(run);
}
