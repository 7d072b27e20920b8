/**
 * The end of a move, after the flip: donors drop what their owners hold, or are known to have deleted (INV-5). What is left on the donors is
 * counted. The undo of a move sweeps its receivers by the same rule.
 *
 * Crash: every step is an activity that may run again from its last cursor, which is in the operation's state.
 */
import type { DropInput, DropResult, WalkCursor } from '../../contract/move';
import type { SweepState } from '../../contract/operation-state';
import type { OperationRun } from '../operation/run';
import { count } from '../wording';
import { idsOf, moveOf, partiesOf, type MoveParties } from './placement';
import type { MoveContext } from './context';

/** Rounds of drop and confirm after which what is left on the donors is reported instead of chased. */
const SWEEP_ROUNDS_MAX = 5;

export function dropSlice(context: MoveContext): Promise<string> {
  return sweepDonors(context, 'drop');
}

/** Counts what is left on the donors, and drops again what arrived there meanwhile. */
export function confirmDrop(context: MoveContext): Promise<string> {
  return sweepDonors(context, 'confirm');
}

/** Returns when the donors hold nothing of the slice, or only what INV-5 says must be kept. */
async function sweepDonors({ run, kind }: MoveContext, step: SweepState['step']): Promise<string> {
  const { state } = run;
  const parties = partiesOf(kind, state);
  for (;;) {
    if (state.sweep === null) {
      await run.waits.until(
        state.routersAdoptedAtMs + run.timings.inFlightMs,
        'a write that a router began before the flip may still be under way',
      );
      state.sweep = await beginSweep(run, parties, step);
    }
    const sweep = state.sweep;
    await (sweep.step === 'drop' ? walkDrop(run, sweep) : walkConfirm(run, sweep));
    const done =
      sweep.step === step &&
      (step === 'drop' || sweep.leftOnDonors <= state.pointsKept || sweep.round >= SWEEP_ROUNDS_MAX);
    if (done) {
      state.sweep = null;
      return sweepNote(run, sweep);
    }
    // Something arrived on a donor after the drop: drop again, then count again.
    const again = sweep.step === 'confirm' ? 'drop' : 'confirm';
    if (again === 'drop') state.pointsKept = 0;
    state.sweep = {
      ...sweep,
      step: again,
      index: 0,
      cursor: null,
      current: 0,
      currentHeld: 0,
      leftOnDonors: 0,
      heldByOwners: 0,
      round: sweep.round + 1,
    };
    await run.checkpoint();
  }
}

async function beginSweep(run: OperationRun, parties: MoveParties, step: SweepState['step']): Promise<SweepState> {
  // Also collections that only some donors have, or that came after the clean pass: what lies there must go as well.
  const { collections } = await run.persist('listing collections', () =>
    run.activities.points('list the collections of the donors').listCollections({ shards: parties.donors }),
  );
  const names = collections.map((each) => each.name);
  return {
    collections: names,
    step,
    index: 0,
    cursor: null,
    current: 0,
    currentHeld: 0,
    leftOnDonors: 0,
    heldByOwners: 0,
    round: 0,
  };
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
  const { collections } = await run.persist('listing collections', () =>
    run.activities.points('list the collections of the receivers').listCollections({ shards: parties.receivers }),
  );
  let kept = 0;
  for (const { name: collection } of collections) {
    let [cursor, current]: [WalkCursor | null, number] = [null, 0];
    do {
      const { settleMs } = run.timings;
      const input: DropInput = {
        ...moveOf(run),
        collection,
        cursor,
        absentIsDeleted,
        from: 'receivers',
        settleMs,
      };
      const result: DropResult = run.waits.noted(
        await run.persist(`removing the copies of ${collection}`, () =>
          run.activities
            .points(`remove the copies of ${collection} from shard ${idsOf(parties.receivers)}`)
            .dropSegment(input),
        ),
      );
      current = (result.restarted ? 0 : current) + result.kept;
      cursor = result.cursor;
    } while (cursor !== null);
    kept += current;
  }
  return kept;
}

function sweepNote(run: OperationRun, sweep: SweepState): string {
  const { state } = run;
  const dropped = count(droppedBy(state.droppedByDonor));
  if (sweep.step === 'drop') return `${dropped} points dropped, ${count(state.pointsKept)} kept`;
  const held = `their owners hold ${count(sweep.heldByOwners)}`;
  if (sweep.leftOnDonors === 0) return `no donor holds a point of the slice, ${held}`;
  state.pointsKept = Math.max(state.pointsKept, sweep.leftOnDonors);
  return `${count(sweep.leftOnDonors)} points are still on their donors, ${held}`;
}

async function walkDrop(run: OperationRun, sweep: SweepState): Promise<void> {
  const { state } = run;
  for (;;) {
    const collection = sweep.collections[sweep.index];
    if (collection === undefined) return;
    const input = {
      ...moveOf(run),
      collection,
      cursor: sweep.cursor,
      absentIsDeleted: state.provenCollections.includes(collection),
      settleMs: run.timings.settleMs,
    };
    const result = run.waits.noted(
      await run.persist(`dropping ${collection} from the donors`, () =>
        run.activities.points(`drop the moved part of ${collection} from its donors`).dropSegment(input),
      ),
    );
    for (const [donor, points] of Object.entries(result.droppedByDonor)) {
      state.droppedByDonor[donor] = (state.droppedByDonor[donor] ?? 0) + points;
    }
    sweep.current = (result.restarted ? 0 : sweep.current) + result.kept;
    const dropped = droppedBy(state.droppedByDonor);
    run.pace(dropped, state.progress.pointsDone, dropped);
    sweep.cursor = result.cursor;
    if (result.cursor === null) {
      state.pointsKept += sweep.current;
      endCollection(sweep);
    }
    await run.checkpoint();
  }
}

function endCollection(sweep: SweepState): void {
  sweep.index += 1;
  sweep.current = 0;
  sweep.currentHeld = 0;
}

async function walkConfirm(run: OperationRun, sweep: SweepState): Promise<void> {
  for (;;) {
    const collection = sweep.collections[sweep.index];
    if (collection === undefined) return;
    const input = { ...moveOf(run), collection, cursor: sweep.cursor };
    const result = await run.persist(`counting ${collection}`, () =>
      run.activities.points(`confirm that no donor holds moved points of ${collection}`).confirmSegment(input),
    );
    if (result.restarted) sweep.heldByOwners -= sweep.currentHeld;
    sweep.currentHeld = (result.restarted ? 0 : sweep.currentHeld) + result.heldByOwners;
    sweep.heldByOwners += result.heldByOwners;
    sweep.current = (result.restarted ? 0 : sweep.current) + result.leftOnDonors;
    sweep.cursor = result.cursor;
    if (result.cursor === null) {
      sweep.leftOnDonors += sweep.current;
      endCollection(sweep);
    }
    await run.checkpoint();
  }
}

function droppedBy(byDonor: Readonly<Record<string, number>>): number {
  return Object.values(byDonor).reduce((total, points) => total + points, 0);
}
