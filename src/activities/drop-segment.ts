import { DELETE_IDS_MAX, DIFFERENCES_MAX, SEGMENT_ROWS_MAX } from '../domain/limits';
import { whileCollectionExists } from './collection-presence';
import type { DropInput, DropResult, WalkCursor } from './contract';
import { DropLedger, type DropCounts, NOTHING_DROPPED } from './drop-ledger';
import { inParallel } from './in-parallel';
import { LOOKS_IN_FLIGHT, type Difference } from './mend';
import { PacedDelete } from './paced-delete';
import type { ActivityScope } from './run-activity';
import { SliceMerge } from './slice-merge';
import type { SliceStream } from './slice-stream';
import { StopWatch } from './stop-watch';

/** Ids held in memory between two deletes, over all donors. */
const HELD_ROWS_MAX = 2 * DELETE_IDS_MAX;
const DONORS_AT_ONCE = 8;

/** What a heartbeat carries: everything of the slice before the cursor is dropped or kept. */
interface DropProgress {
  readonly cursor: WalkCursor | null;
  readonly restarted: boolean;
  readonly counts: DropCounts;
}

/**
 * Design step 9, one segment. INV-5, for every row of the slice that a donor still holds:
 *  1. its owner holds it: it is dropped;
 *  2. its owner lacks it, also when asked again after the settle time: it is dropped if that can only mean that a client has
 *     deleted it (`absentIsDeleted`), unless so many are missing that the owner must have lost them (see DropLedger);
 *  3. its owner cannot be asked: the attempt fails. Unknown is not absent (INV-8).
 */
export async function dropSegment(scope: ActivityScope, input: DropInput): Promise<DropResult> {
  const { attempt } = scope;
  const start = (attempt.resumedProgress as DropProgress | null) ?? {
    cursor: input.cursor,
    restarted: false,
    counts: NOTHING_DROPPED,
  };
  const end = await whileCollectionExists(scope, input, () => dropPart(scope, input, start));
  const collectionGone = end === 'gone';
  const { cursor, restarted, counts } = collectionGone ? { ...start, cursor: null } : end;
  const { droppedByDonor, droppedAsDeleted, kept } = counts;
  const { lateWritesUntilMs } = attempt;
  return { cursor, restarted, collectionGone, droppedByDonor, droppedAsDeleted, kept, lateWritesUntilMs };
}

async function dropPart(scope: ActivityScope, input: DropInput, start: DropProgress): Promise<DropProgress> {
  const { attempt } = scope;
  const { merge, restarted } = await SliceMerge.open(scope, { ...input, cursor: start.cursor, withPoints: false });
  const drop = new SliceDrop(scope, input, merge, new DropLedger(start.counts));
  const watch = new StopWatch(attempt);
  const progress = (): DropProgress => ({
    cursor: merge.cursorAmongStaying(),
    restarted: restarted || start.restarted,
    counts: drop.ledger.counts(),
  });
  try {
    for (;;) {
      const hasEnded = await drop.collect(watch);
      await drop.flush();
      if (hasEnded) return { ...progress(), cursor: null };
      attempt.reach(progress());
      if (attempt.isTimeToPause || merge.donorRowsRead >= SEGMENT_ROWS_MAX) return progress();
      watch.reported();
    }
  } finally {
    await merge.suspend();
  }
}

class SliceDrop {
  readonly ledger: DropLedger;
  readonly #scope: ActivityScope;
  readonly #input: DropInput;
  readonly #merge: SliceMerge;
  /** Rows that donor and owner both hold, by donor. */
  readonly #held = new Map<number, Buffer[]>();
  #heldRows = 0;
  #absent: Difference[] = [];
  readonly #deletes = new Map<number, PacedDelete>();

  constructor(scope: ActivityScope, input: DropInput, merge: SliceMerge, ledger: DropLedger) {
    this.#scope = scope;
    this.#input = input;
    this.#merge = merge;
    this.ledger = ledger;
  }

  /** Until the end (true), or until there is enough to delete or to look at again (false). */
  collect(watch: StopWatch): Promise<boolean> {
    const merge = this.#merge;
    return merge.run(
      (source, target) => {
        if (source?.head == null) return true;
        this.ledger.seen(source.headOwner);
        if (target !== null) this.#hold(source.shardId, source.head.id);
        else this.#absent.push({ id: source.head.id, donorId: source.shardId, ownerId: source.headOwner });
        return this.#heldRows < HELD_ROWS_MAX && this.#absent.length < DIFFERENCES_MAX;
      },
      () => watch.isTimeToReport(this.#absent.length > 0) || merge.donorRowsRead >= SEGMENT_ROWS_MAX,
    );
  }

  /** Deletes what the owners hold, then decides on what they lack. */
  async flush(): Promise<void> {
    const held = [...this.#held];
    this.#held.clear();
    this.#heldRows = 0;
    await inParallel(held, DONORS_AT_ONCE, ([donorId, ids]) => this.#drop(donorId, ids));
    const absent = this.#absent;
    this.#absent = [];
    if (absent.length > 0) await this.#decideOnAbsent(absent);
  }

  #hold(donorId: number, id: Buffer): void {
    const ids = this.#held.get(donorId);
    if (ids === undefined) this.#held.set(donorId, [id]);
    else ids.push(id);
    this.#heldRows += 1;
  }

  async #drop(donorId: number, ids: readonly Buffer[]): Promise<void> {
    const stream = this.#donorStream(donorId);
    await this.#deletesOn(donorId).delete(ids, (points) => {
      this.ledger.dropped(donorId, points);
      stream.rowsRemoved(points);
    });
  }

  #deletesOn(donorId: number): PacedDelete {
    const known = this.#deletes.get(donorId);
    if (known !== undefined) return known;
    const { attempt, shards } = this.#scope;
    const deletes = new PacedDelete(attempt, shards.ofMove(this.#input, donorId), this.#input.collection);
    this.#deletes.set(donorId, deletes);
    return deletes;
  }

  async #decideOnAbsent(absent: readonly Difference[]): Promise<void> {
    await this.#scope.attempt.sleep(this.#input.settleMs);
    const { present, missing } = await this.#askOwners(absent);
    for (const [donorId, ids] of byDonor(present)) await this.#drop(donorId, ids);
    await this.#noteMissing(missing);
    const mayDrop = (row: Difference): boolean => this.#input.absentIsDeleted && !this.ledger.hasLost(row.ownerId);
    for (const [donorId, ids] of byDonor(missing.filter(mayDrop))) {
      await this.#drop(donorId, ids);
      this.ledger.droppedAsDeleted(ids.length);
    }
    for (const row of missing.filter((each) => !mayDrop(each))) {
      this.#donorStream(row.donorId).stays(row.id);
      this.ledger.kept();
    }
  }

  async #askOwners(absent: readonly Difference[]): Promise<{ present: Difference[]; missing: Difference[] }> {
    const { attempt, shards } = this.#scope;
    const present: Difference[] = [];
    const missing: Difference[] = [];
    await inParallel(absent, LOOKS_IN_FLIGHT, async (row) => {
      const owner = shards.ofMove(this.#input, row.ownerId);
      const point = await owner.getPoint(this.#input.collection, row.id, attempt.reading);
      (point === null ? missing : present).push(row);
    });
    return { present, missing };
  }

  async #noteMissing(missing: readonly Difference[]): Promise<void> {
    const { attempt, shards } = this.#scope;
    for (const row of missing) this.ledger.missing(row.ownerId);
    for (const ownerId of new Set(missing.map((row) => row.ownerId))) {
      const owner = shards.ofMove(this.#input, ownerId);
      const info = await owner.getCollection(this.#input.collection, attempt.reading);
      if (info === null || info.count === 0) this.ledger.lostEverything(ownerId);
    }
  }

  #donorStream(donorId: number): SliceStream {
    const stream = this.#merge.donors.find((each) => each.shardId === donorId);
    if (stream === undefined) throw new Error('a row came from a shard that is no donor');
    return stream;
  }
}

function byDonor(rows: readonly Difference[]): ReadonlyMap<number, Buffer[]> {
  const ids = new Map<number, Buffer[]>();
  for (const row of rows) {
    const ofDonor = ids.get(row.donorId);
    if (ofDonor === undefined) ids.set(row.donorId, [row.id]);
    else ofDonor.push(row.id);
  }
  return ids;
}
