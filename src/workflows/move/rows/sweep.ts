/**
 * The end of a move, after the flip: donors drop what their owners hold, or are known to have deleted (INV-5). The undo
 * of a move removes copies from its receivers by the same rule.
 *
 * Crash: every step is an activity that may run again: what is gone is not found again.
 */
import type { DropDonorResult } from '../../../contract/move';
import type { Shard } from '../../../domain/shard-map';
import { awaitRoutersForever } from '../../operation/routers';
import type { OperationRun } from '../../operation/run';
import { count, counted } from '../../wording';
import type { MoveContext } from '../context';
import { moveOf, partiesOf, type MoveParties } from '../placement';
import { donorInput, donorState, onItsWorker, sideBySide } from './donors';
import { noteScan } from './sources';
import { isWatchUnbroken } from './watch';

/**
 * After the flip. While a write by the map before may be under way, what arrives on the donors is looked at as it comes:
 * nobody could tell later whether its owner never had it, or has deleted it.
 */
export async function awaitRoutersAndFollow(context: MoveContext): Promise<string> {
  const { run, kind } = context;
  const note = await awaitRoutersForever(context);
  const { donors } = partiesOf(kind, run.state);
  const carried = await follow(run, donors, { forMs: run.timings.inFlightMs, isDropped: false });
  return carried === 0 ? note : `${note}; ${count(carried)} points that came by an old map went on to their owners`;
}

async function follow(
  run: OperationRun,
  donors: readonly Shard[],
  { forMs, isDropped }: { forMs: number; isDropped: boolean },
): Promise<number> {
  let carried = 0;
  await sideBySide(donors, async (donor) => {
    const known = donorState(run, donor);
    const collections = run.state.provenCollections;
    const result = await run.persist(`watching shard ${donor.id}`, () =>
      onItsWorker(run, known, (worker) =>
        run.activities
          .rows(`look at what still arrives on shard ${donor.id}`, worker)
          .followDonor({ ...donorInput(run, donor, 0), collections, forMs, isDropped }),
      ),
    );
    known.isFollowed = result.isTailKept;
    known.isTailKept = result.isTailKept;
    carried += result.carried;
  });
  return carried;
}

export async function dropSlice(context: MoveContext): Promise<string> {
  const { run, kind } = context;
  const { state } = run;
  const parties = partiesOf(kind, state);
  const isUnbroken = await isWatchUnbroken(context);
  let carried = 0;
  await sideBySide(parties.donors, async (donor) => {
    const result = await dropFromDonor(run, { donor, isLeaver: kind === 'drain', isWatchUnbroken: isUnbroken });
    carried += result.carried;
    const dropped = droppedBy(state.droppedByDonor);
    run.pace(dropped, state.progress.pointsDone, dropped);
  });
  state.pointsKept = keptBy(run, parties);
  const notes = [`${count(droppedBy(state.droppedByDonor))} points dropped, ${count(state.pointsKept)} kept`];
  if (carried > 0) notes.push(`${count(carried)} that came by an old map went on to their owners`);
  return notes.join(', ');
}

/** One more scan of a donor, and what follows from it. */
export async function dropFromDonor(
  run: OperationRun,
  { donor, isLeaver, isWatchUnbroken }: { donor: Shard; isLeaver: boolean; isWatchUnbroken: boolean },
): Promise<DropDonorResult> {
  const { state, timings } = run;
  const known = donorState(run, donor);
  const result = await run.persist(`dropping from shard ${donor.id}`, () =>
    onItsWorker(run, known, (worker) =>
      run.activities.rows(`drop the moved points from shard ${donor.id}`, worker).dropFromDonor({
        ...donorInput(run, donor, known.pointsCompared),
        settleMs: timings.settleMs,
        isWatchUnbroken,
        provenCollections: state.provenCollections,
        isLeaver,
        isTailLate: known.isFollowed,
      }),
    ),
  );
  noteScan(run, donor, result.scan);
  state.droppedByDonor[donor.id] = (state.droppedByDonor[donor.id] ?? 0) + result.dropped;
  known.pointsKept = result.kept;
  known.isTailKept = result.isTailKept;
  return result;
}

/** Looks once more at what has arrived on the donors since they were read for the drop. */
export async function confirmDrop({ run, kind }: MoveContext): Promise<string> {
  const parties = partiesOf(kind, run.state);
  const carried = await follow(run, parties.donors, { forMs: run.timings.settleMs, isDropped: true });
  const unseen = parties.donors.filter((donor) => !donorState(run, donor).isTailKept);
  const notes = [
    run.state.pointsKept === 0
      ? 'no donor holds a point of the slice'
      : `${count(run.state.pointsKept)} points are still on their donors`,
  ];
  if (carried > 0) notes.push(`${count(carried)} that came by an old map went on to their owners`);
  if (unseen.length > 0) notes.push(`what came to ${counted(unseen.length, 'donor')} since the drop was not seen`);
  return notes.join('; ');
}

/**
 * The undo of a drain: the leaver is the owner again, and the other shards drop the copies, by the same rule (INV-5). All of what the
 * leaver lacks was deleted by clients, as long as it has not lost its data. Also that of a grow of which nothing is known but the lock: then what
 * its donors lack may be the last of it, so nothing counts as deleted. Returns how many copies had to be kept.
 */
export async function sweepReceivers(
  run: OperationRun,
  parties: MoveParties,
  { absentIsDeleted }: { absentIsDeleted: boolean },
): Promise<number> {
  let kept = 0;
  for (const receiver of parties.receivers) {
    const input = { ...moveOf(run), receiverId: receiver.id, absentIsDeleted, settleMs: run.timings.settleMs };
    const what = `removing the copies from shard ${receiver.id}`;
    const result = run.waits.noted(
      await run.persist(what, () =>
        run.activities.rows(`remove the copies from shard ${receiver.id}`, null).removeCopies(input),
      ),
    );
    kept += result.kept;
  }
  return kept;
}

export function keptBy(run: OperationRun, parties: MoveParties): number {
  return parties.donors.reduce((sum, donor) => sum + donorState(run, donor).pointsKept, 0);
}

function droppedBy(byDonor: Readonly<Record<string, number>>): number {
  return Object.values(byDonor).reduce((total, points) => total + points, 0);
}
