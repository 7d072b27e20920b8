import { DELETE_IDS_MAX, DIFFERENCES_MAX, SEGMENT_ROWS_MAX } from '../domain/limits';
import type { CallContext, ShardClient } from '../shards/shard-client';
import { isNotFound } from './collection-presence';
import type { DropInput, DropResult, WalkCursor } from './contract';
import { countsForNewWalk, DropLedger, type DropCounts, NOTHING_DROPPED } from './drop-ledger';
import { findLeaders } from './find-leaders';
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
interface DropEnd extends DropProgress {
  readonly collectionGone: boolean;
}

/**
 * Design step 9, one segment. INV-5, for every row of the slice that a donor still holds:
 *  1. its owner holds it: it is dropped;
 *  2. its owner lacks it, also when asked again after the settle time: it is dropped if that can only mean that a client has
 *     deleted it (`absentIsDeleted`), unless so many are missing that the owner must have lost them (see DropLedger);
 *  3. its owner cannot be asked: the attempt fails. Unknown is not absent (INV-8).
 *
 * A donor that lacks the collection has nothing to drop, whatever the others have: no disagreement may keep this from ending.
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
  const ledger = new DropLedger(restarted ? countsForNewWalk(start.counts) : start.counts);
  const drop = new SliceDrop(scope, input, merge, ledger);
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
      if (hasEnded) return { ...progress(), cursor: null, collectionGone: merge.isGone };
      attempt.reach(progress());
      if (attempt.isTimeToPause || merge.donorRowsRead >= SEGMENT_ROWS_MAX) {
        return { ...progress(), collectionGone: false };
      }
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
    try {
      await this.#deletesOn(donorId).delete(ids, (points) => {
        this.ledger.dropped(donorId, points);
        stream.rowsRemoved(points);
      });
    } catch (error) {
      // Dropped by a client meanwhile: nothing is left of it.
      if (!isNotFound(error)) throw error;
    }
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
      const point = await pointOf(owner, this.#input.collection, row.id, attempt.reading);
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

/** Null also when the shard lacks the whole collection; then `noteMissing` finds out that it lost everything. */
async function pointOf(owner: ShardClient, collection: string, id: Buffer, ctx: CallContext): Promise<Buffer | null> {
  try {
    return await owner.getPoint(collection, id, ctx);
  } catch (error) {
    if (isNotFound(error)) return null;
    throw error;
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
