import { DELETE_IDS_MAX, DIFFERENCES_MAX, SEGMENT_ROWS_MAX } from '../../domain/limits';
import { isNotFound, pointIfAny } from '../collections/presence';
import type { DropInput, DropResult, WalkCursor } from '../../contract/move';
import { countsForNewWalk, DropLedger, type DropCounts, NOTHING_DROPPED } from './drop-ledger';
import { findLeaders } from '../frame/leaders';
import { inParallel, LOOKS_IN_FLIGHT } from '../frame/in-parallel';
import { PacedDelete } from '../rows/paced-delete';
import type { ActivityScope } from '../frame/run-activity';
import { SliceMerge } from '../rows/slice-merge';
import type { Side, SliceStream } from '../rows/slice-stream';
import { StopWatch } from '../frame/stop-watch';

/** Ids held in memory between two deletes, over all shards. */
const HELD_ROWS_MAX = 2 * DELETE_IDS_MAX;
const GIVERS_AT_ONCE = 8;

/** A row of the slice on the shard that drops it, and the shard that must hold it. */
interface Row {
  readonly id: Buffer;
  readonly giverId: number;
  readonly keeperId: number;
}

/** What a heartbeat carries: everything of the slice before the cursor is dropped or kept. */
interface DropProgress {
  readonly cursor: WalkCursor | null;
  readonly restarted: boolean;
  readonly counts: DropCounts;
}
interface DropEnd extends DropProgress {
  readonly collectionGone: boolean;
}

/**
 * Drops one segment. One side, the givers, drops what the other side, the keepers, holds. After the flip the donors are
 * the givers and the owners the keepers. In the undo of a drain the receivers are the givers, and the keeper is the
 * donor, which is the owner again. So a keeper is always the owner.
 *
 * INV-5, for every row of the slice that a giver still holds:
 *  1. Its keeper holds it: the row is dropped.
 *  2. Its keeper lacked it at both looks: the row is dropped if that can only mean that a client deleted it
 *     (`absentIsDeleted`). It is kept when so many are missing that the keeper must have lost them (see DropLedger).
 *  3. Its keeper does not answer: the attempt fails. Unknown is not absent (INV-8).
 *
 * A giver that lacks the collection has nothing to drop, whatever the others have: no disagreement may keep this from
 * ending.
 */
export async function dropSegment(scope: ActivityScope, input: DropInput): Promise<DropResult> {
  const { attempt } = scope;
  const begin: DropProgress = { cursor: input.cursor, restarted: false, counts: NOTHING_DROPPED };
  await findLeaders(scope, input.shards);
  const end = await dropPart(scope, input, (attempt.reached as DropProgress | null) ?? begin);
  const { cursor, restarted, collectionGone, counts } = end;
  const { droppedByDonor, droppedAsDeleted, kept } = counts;
  const { lateWritesUntilMs } = attempt;
  return { cursor, restarted, collectionGone, droppedByDonor, droppedAsDeleted, kept, lateWritesUntilMs };
}

async function dropPart(scope: ActivityScope, input: DropInput, start: DropProgress): Promise<DropEnd> {
  const { attempt } = scope;
  const walk = { ...input, cursor: start.cursor, withPoints: false, absentIsEmpty: true };
  const { merge, restarted } = await SliceMerge.open(scope, walk);
  const giving = giversOf(input);
  const ledger = new DropLedger(restarted ? countsForNewWalk(start.counts) : start.counts);
  const drop = new SliceDrop(scope, input, merge, ledger);
  const watch = new StopWatch(attempt);
  const progress = (): DropProgress => ({
    cursor: merge.cursorAmongStaying(giving),
    restarted: restarted || start.restarted,
    counts: drop.ledger.counts(),
  });
  try {
    for (;;) {
      const hasEnded = await drop.collect(watch);
      await drop.flush();
      if (hasEnded) return { ...progress(), cursor: null, collectionGone: merge.isGoneFrom(giving) };
      attempt.reach(progress());
      if (attempt.isTimeToPause || merge.rowsReadFrom(giving) >= SEGMENT_ROWS_MAX) {
        return { ...progress(), collectionGone: false };
      }
      watch.reported();
    }
  } finally {
    await merge.suspend();
  }
}

function giversOf({ from }: DropInput): Side {
  return from === 'receivers' ? 'receiver' : 'donor';
}

class SliceDrop {
  readonly ledger: DropLedger;
  readonly #scope: ActivityScope;
  readonly #input: DropInput;
  readonly #merge: SliceMerge;
  readonly #giving: Side;
  /** Rows that giver and keeper both hold, by giver. */
  readonly #held = new Map<number, Buffer[]>();
  #heldRows = 0;
  #absent: Row[] = [];
  readonly #deletes = new Map<number, PacedDelete>();

  constructor(scope: ActivityScope, input: DropInput, merge: SliceMerge, ledger: DropLedger) {
    this.#scope = scope;
    this.#input = input;
    this.#merge = merge;
    this.#giving = giversOf(input);
    this.ledger = ledger;
  }

  /** Until the end (true), or until there is enough to delete or to look at again (false). */
  collect(watch: StopWatch): Promise<boolean> {
    const merge = this.#merge;
    const giving = this.#giving;
    return merge.walk(
      (source, target) => {
        const [giver, keeper] = giving === 'donor' ? [source, target] : [target, source];
        if (giver?.head == null) return true;
        const row = rowOf(giver, giver.head.id);
        this.ledger.seen(row.keeperId);
        if (keeper !== null) this.#hold(row);
        else this.#absent.push(row);
        return this.#heldRows < HELD_ROWS_MAX && this.#absent.length < DIFFERENCES_MAX;
      },
      () => watch.isTimeToReport(this.#absent.length > 0) || merge.rowsReadFrom(giving) >= SEGMENT_ROWS_MAX,
    );
  }

  /** Deletes what the keepers hold, then decides on what they lack. */
  async flush(): Promise<void> {
    const held = [...this.#held];
    this.#held.clear();
    this.#heldRows = 0;
    await inParallel(held, GIVERS_AT_ONCE, ([giverId, ids]) => this.#drop(giverId, ids));
    const absent = this.#absent;
    this.#absent = [];
    if (absent.length > 0) await this.#decideOnAbsent(absent);
  }

  #hold({ giverId, id }: Row): void {
    const ids = this.#held.get(giverId);
    if (ids === undefined) this.#held.set(giverId, [id]);
    else ids.push(id);
    this.#heldRows += 1;
  }

  async #drop(giverId: number, ids: readonly Buffer[]): Promise<void> {
    const stream = this.#giver(giverId);
    try {
      await this.#deletesOn(giverId).delete(ids, (points) => {
        this.ledger.dropped(giverId, points);
        stream.rowsRemoved(points);
      });
    } catch (error) {
      // A client dropped it meanwhile: nothing is left of it.
      if (!isNotFound(error)) throw error;
    }
  }

  #deletesOn(giverId: number): PacedDelete {
    const known = this.#deletes.get(giverId);
    if (known !== undefined) return known;
    const { attempt, shards } = this.#scope;
    const deletes = new PacedDelete(attempt, shards.ofMove(this.#input, giverId), this.#input.collection);
    this.#deletes.set(giverId, deletes);
    return deletes;
  }

  async #decideOnAbsent(absent: readonly Row[]): Promise<void> {
    await this.#scope.attempt.sleep(this.#input.settleMs);
    const { present, missing } = await this.#askKeepers(absent);
    for (const [giverId, ids] of byGiver(present)) await this.#drop(giverId, ids);
    await this.#noteMissing(missing);
    const mayDrop = (row: Row): boolean => this.#input.absentIsDeleted && !this.ledger.hasLost(row.keeperId);
    for (const [giverId, ids] of byGiver(missing.filter(mayDrop))) {
      await this.#drop(giverId, ids);
      this.ledger.droppedAsDeleted(ids.length);
    }
    for (const row of missing.filter((each) => !mayDrop(each))) {
      this.#giver(row.giverId).stays(row.id);
      this.ledger.kept();
    }
  }

  async #askKeepers(absent: readonly Row[]): Promise<{ present: Row[]; missing: Row[] }> {
    const { attempt, shards } = this.#scope;
    const present: Row[] = [];
    const missing: Row[] = [];
    await inParallel(absent, LOOKS_IN_FLIGHT, async (row) => {
      const keeper = shards.ofMove(this.#input, row.keeperId);
      const point = await pointIfAny(keeper, this.#input.collection, row.id, attempt.reading);
      (point === null ? missing : present).push(row);
    });
    return { present, missing };
  }

  async #noteMissing(missing: readonly Row[]): Promise<void> {
    const { attempt, shards } = this.#scope;
    for (const row of missing) this.ledger.missing(row.keeperId);
    for (const keeperId of new Set(missing.map((row) => row.keeperId))) {
      const keeper = shards.ofMove(this.#input, keeperId);
      const info = await keeper.getCollection(this.#input.collection, attempt.reading);
      if (info === null || info.count === 0) this.ledger.lostEverything(keeperId);
    }
  }

  #giver(giverId: number): SliceStream {
    const stream = this.#merge.streamsOf(this.#giving).find((each) => each.shardId === giverId);
    if (stream === undefined) throw new Error('a row came from a shard that has nothing to drop');
    return stream;
  }
}

function rowOf(giver: SliceStream, id: Buffer): Row {
  const keeperId = giver.side === 'donor' ? giver.headOwner : giver.headDonor;
  return { id, giverId: giver.shardId, keeperId };
}

function byGiver(rows: readonly Row[]): ReadonlyMap<number, Buffer[]> {
  const ids = new Map<number, Buffer[]>();
  for (const row of rows) {
    const ofGiver = ids.get(row.giverId);
    if (ofGiver === undefined) ids.set(row.giverId, [row.id]);
    else ofGiver.push(row.id);
  }
  return ids;
}
