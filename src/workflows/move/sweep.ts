/**
 * The end of a move, after the flip: donors let go of what their owners hold, or are known to have deleted (INV-5), and what is
 * left on them is counted.
 *
 * Crash: every step is an activity that may run again from its last cursor, which is in the operation's state.
 */
import type { DropInput, DropResult, WalkCursor } from '../../contract/move';
import { idsOf, moveOf, noteLateWrites, sum, type MoveParties } from './copy';
import { count } from '../web-ui-details';
import type { OperationRun } from '../operation/run';
import type { SweepState } from '../../contract/operation-state';

/** Rounds of drop and confirm after which what is left on the donors is reported instead of chased. */
const SWEEP_ROUNDS_MAX = 5;

/** After the flip. Returns when the donors hold nothing of the slice, or only what INV-5 says must be kept. */
export async function sweepDonors(run: OperationRun, parties: MoveParties, step: SweepState['step']): Promise<string> {
  const { state } = run;
  for (;;) {
    if (state.sweep === null) {
      await run.waitUntil(
        state.routersAdoptedAtMs + run.timings.inFlightMs,
        'a write that a router began before the flip may still be under way',
      );
      state.sweep = await beginSweep(run, parties, step);
    }
    const sweep = state.sweep;
    await (sweep.step === 'drop' ? walkDrop(run, sweep) : walkConfirm(run, sweep));
    const done =
      sweep.step === step && (step === 'drop' || sweep.left <= state.kept || sweep.round >= SWEEP_ROUNDS_MAX);
    if (done) {
      state.sweep = null;
      return sweepNote(run, sweep);
    }
    // Something arrived on a donor after the drop: drop again, then count again.
    const again = sweep.step === 'confirm' ? 'drop' : 'confirm';
    if (again === 'drop') state.kept = 0;
    state.sweep = {
      ...sweep,
      step: again,
      index: 0,
      cursor: null,
      current: 0,
      currentHeld: 0,
      left: 0,
      held: 0,
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
  return { collections: names, step, index: 0, cursor: null, current: 0, currentHeld: 0, left: 0, held: 0, round: 0 };
}

/**
 * The undo of a drain: the leaver is the owner again, and the other shards let go of the copies, by the same rule (INV-5). All of what the
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
      const result: DropResult = noteLateWrites(
        run,
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
  const dropped = count(sum(Object.values(state.dropped)));
  if (sweep.step === 'drop') return `${dropped} points dropped, ${count(state.kept)} kept`;
  const held = `their owners hold ${count(sweep.held)}`;
  if (sweep.left === 0) return `no donor holds a point of the slice, ${held}`;
  state.kept = Math.max(state.kept, sweep.left);
  return `${count(sweep.left)} points are still on their donors, ${held}`;
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
      absentIsDeleted: state.proven.includes(collection),
      settleMs: run.timings.settleMs,
    };
    const result = noteLateWrites(
      run,
      await run.persist(`dropping ${collection} from the donors`, () =>
        run.activities.points(`drop the moved part of ${collection} from its donors`).dropSegment(input),
      ),
    );
    for (const [donor, points] of Object.entries(result.droppedByDonor)) {
      state.dropped[donor] = (state.dropped[donor] ?? 0) + points;
    }
    sweep.current = (result.restarted ? 0 : sweep.current) + result.kept;
    const dropped = sum(Object.values(state.dropped));
    run.pace(dropped, state.progress.pointsDone, dropped);
    sweep.cursor = result.cursor;
    if (result.cursor === null) {
      state.kept += sweep.current;
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
    if (result.restarted) sweep.held -= sweep.currentHeld;
    sweep.currentHeld = (result.restarted ? 0 : sweep.currentHeld) + result.heldByOwners;
    sweep.held += result.heldByOwners;
    sweep.current = (result.restarted ? 0 : sweep.current) + result.leftOnDonors;
    sweep.cursor = result.cursor;
    if (result.cursor === null) {
      sweep.left += sweep.current;
      endCollection(sweep);
    }
    await run.checkpoint();
  }
}
