/**
 * The copy of a move: each donor is read once, in one scan, donors side by side. It needs no care, because reconcile.ts
 * has the last word.
 *
 * The scan begins when every router writes to both sides and no write of before can be under way. So what it does not
 * show is on both sides.
 *
 * A pause cuts it off as a crash does, because a scan may take hours. A window that closes does not: it would never end.
 *
 * Crash: a copy begins anew. What an attempt in another process wrote is known to nobody then, so the first pass reads
 * the receivers too.
 */
import { pointsOf } from '../../../contract/move';
import type { Shard } from '../../../domain/shard-map';
import type { OperationRun } from '../../operation/run';
import { nowMs } from '../../clock';
import { count, counted } from '../../wording';
import { prepareCollections, prepareForDonor } from '../collections';
import type { MoveContext } from '../context';
import { mustStandStill, standStill } from '../standing';
import { partiesOf, type MoveParties } from '../placement';
import { donorInput, donorState, onItsWorker, sideBySide } from './donors';
import { noteScan } from './sources';
import { openWatch } from './watch';

export async function copyPoints(context: MoveContext): Promise<string> {
  const { run } = context;
  const { state } = run;
  const parties = partiesOf(context.kind, state);
  while (mustStandStill(run)) await standStill(context);
  if (state.watch === null) await openWatch(context);
  await run.waits.until(
    state.routersAdoptedAtMs + run.timings.inFlightMs,
    'a write that a router began with the map before may still be under way',
  );
  state.copy ??= await planCopy(run, parties);
  await run.checkpoint();
  await copyAll(context, parties);
  await run.checkpoint();
  const { pointsDone, bytesDone } = state.progress;
  return `${count(pointsDone)} points, ${count(bytesDone)} bytes, from ${counted(parties.donors.length, 'donor')}`;
}

async function copyAll(context: MoveContext, parties: MoveParties): Promise<void> {
  const { run } = context;
  for (;;) {
    const isWhole = await run.holds.untilPaused(() =>
      sideBySide(parties.donors, async (donor) => {
        if (!run.holds.isDue()) await copyDonor(run, parties, donor);
      }),
    );
    if (isWhole && parties.donors.every((donor) => donorState(run, donor).isCopied)) return;
    for (const donor of parties.donors) run.waits.end(copying(donor));
    while (mustStandStill(run)) await standStill(context);
    await run.waits.until(
      run.state.routersAdoptedAtMs + run.timings.inFlightMs,
      'a write that a router began with the map before may still be under way',
    );
  }
}

function copying(donor: Shard): string {
  return `copying from shard ${donor.id}`;
}

async function planCopy(run: OperationRun, parties: MoveParties): Promise<NonNullable<OperationRun['state']['copy']>> {
  const { collections } = await prepareCollections(run, parties);
  const rows = collections.reduce((sum, each) => sum + pointsOf(each), 0);
  const share = parties.canCreateCollections
    ? parties.receivers.length / (parties.donors.length + parties.receivers.length)
    : 1;
  run.state.progress.pointsExpected = Math.round(rows * share);
  return { collections: collections.map(({ name }) => name), rowsExpected: rows };
}

async function copyDonor(run: OperationRun, parties: MoveParties, donor: Shard): Promise<void> {
  const known = donorState(run, donor);
  if (known.isCopied) return;
  const { copy } = run.state;
  const collections = copy?.collections ?? [];
  const expected = Math.round((copy?.rowsExpected ?? 0) / parties.donors.length);
  const result = await run.persist(copying(donor), async () => {
    const isRepeat = known.tries > 0;
    known.tries += 1;
    // A client may have dropped and created collections meanwhile.
    if (isRepeat) await prepareForDonor(run, parties, donor);
    return onItsWorker(run, donor, (worker) =>
      run.activities
        .rows(`copy from shard ${donor.id}`, worker)
        .copyDonor({ ...donorInput(run, donor, expected), collections, isRepeat }),
    );
  });
  known.isCopied = true;
  run.state.copiedAtMs = nowMs();
  known.mustScanReceivers = !result.knowsAllWritten;
  known.isTailKept = true;
  known.pointsCopied = result.pointsCopied;
  known.bytesCopied = result.bytesCopied;
  noteScan(run, donor, result.scan);
  const donors = Object.values(run.state.donors);
  run.setPoints(
    donors.reduce((sum, each) => sum + (each?.pointsCopied ?? 0), 0),
    donors.reduce((sum, each) => sum + (each?.bytesCopied ?? 0), 0),
  );
  const { pointsDone, pointsExpected } = run.state.progress;
  run.pace(pointsDone, pointsExpected, pointsDone);
}
