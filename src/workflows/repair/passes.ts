/** The passes of a check (one) and of a repair (until one had nothing to repair), over all collections of all shards. */
import type { RepairState } from '../../contract/operation-state';
import type { CompareResult, InspectedCollection } from '../../contract/repair';
import {
  addByHolder,
  describePass,
  isClean,
  NOTHING_FOUND,
  NOTHING_MENDED,
  withCollection,
} from '../../domain/findings';
import { FINDING_SAMPLES_MAX, REPAIR_PASSES_MAX } from '../../domain/limits';
import { routersHoldTheMap } from '../operation/routers';
import { awaitOwners, confirmMap, identify, partiesOf, type RepairContext } from './map';
import { foundNow, passesNote, repairState, showFindings } from './report';

const NOTHING_SEEN: RepairState['current'] = {
  seen: { points: 0, byHolder: {} },
  mended: {},
  samples: [],
  rowsRead: 0,
};

// ---- Collections ----

export async function inspect(context: RepairContext): Promise<string> {
  await identify(context);
  const { collections, mended } = await beginPass(context, 1, NOTHING_MENDED);
  const wrong = collections.filter((each) => each.missingOn.length > 0 || each.notCompared !== null);
  const created = mended.collectionsCreated === 0 ? '' : `, ${mended.collectionsCreated} created`;
  return `${collections.length} collections, ${wrong.length} of them missing somewhere or not to be compared${created}`;
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
    index: 0,
    cursor: null,
    current: NOTHING_SEEN,
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
    await walkPass(context, repair);
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

async function walkPass(context: RepairContext, repair: RepairState): Promise<void> {
  const { run } = context;
  for (;;) {
    const collection = repair.collections[repair.index];
    if (collection === undefined) return;
    if (collection.notCompared === null) await walkSegment(context, repair, collection);
    if (repair.cursor === null) endCollection(repair, collection);
    showFindings(run);
    await run.checkpoint();
  }
}

async function walkSegment(
  context: RepairContext,
  repair: RepairState,
  { collection }: InspectedCollection,
): Promise<void> {
  const { run, isRepair, request } = context;
  if (isRepair) await confirmMap(context);
  const failedBefore = run.state.progress.failedAttempts;
  const { settleMs } = run.timings;
  const input = {
    ...partiesOf(context),
    collection,
    cursor: repair.cursor,
    mend: isRepair ? { settleMs, prefer: request.prefer } : null,
  };
  const result = run.waits.noted(
    await run.persist(`comparing ${collection}`, () =>
      run.activities.points(`pass ${repair.pass}: compare ${collection}`).compareSegment(input),
    ),
  );
  addSeen(repair, result);
  addRepaired(repair, result);
  // An attempt that failed may have repaired something before it did: unknown is not nothing.
  if (isRepair && (result.mayHaveWritten || run.state.progress.failedAttempts > failedBefore)) repair.written += 1;
}

function addSeen(repair: RepairState, result: CompareResult): void {
  const { seen, mended, samples, rowsRead } = result.restarted
    ? { ...NOTHING_SEEN, mended: repair.current.mended }
    : repair.current;
  repair.current = {
    seen: {
      points: seen.points + result.seen.points,
      byHolder: addByHolder(seen.byHolder, result.seen.byHolder),
    },
    mended: addByHolder(mended, result.mended.byHolder),
    samples: [...samples, ...result.samples].slice(0, FINDING_SAMPLES_MAX),
    rowsRead: rowsRead + result.rowsRead,
  };
  repair.cursor = result.cursor;
}

function addRepaired(repair: RepairState, { mended: { moved, removedByHolder } }: CompareResult): void {
  let removed = 0;
  for (const [holder, points] of Object.entries(removedByHolder)) {
    repair.removedByHolder = { ...repair.removedByHolder, [holder]: (repair.removedByHolder[holder] ?? 0) + points };
    removed += points;
  }
  repair.mended = { ...repair.mended, moved: repair.mended.moved + moved, removed: repair.mended.removed + removed };
  repair.written += moved + removed;
}

function endCollection(repair: RepairState, inspected: InspectedCollection): void {
  const { samples } = repair.current;
  repair.found = withCollection(repair.found, foundNow(repair, inspected), samples);
  const { points, byHolder } = repair.current.seen;
  const left = { ...foundNow(repair, inspected), points, byHolder };
  const isWrong = !isClean(withCollection(NOTHING_FOUND, left, []));
  if (isWrong) repair.left = withCollection(repair.left, left, samples);
  repair.rowsRead += repair.current.rowsRead;
  repair.current = NOTHING_SEEN;
  repair.index += 1;
}
