/**
 * The drop after the flip, for one donor: one more scan says what it still holds of the slice.
 *
 * 1. A row that has not changed since the clean pass may go (INV-5): its owner held it then, and only clients of the
 *    owner have changed it since. A sample of the owners is asked all the same, because a shard may lose its data.
 * 2. Any other row is looked at on both sides, and judgeLeft decides.
 * 3. Rows of the proof that the donor lacks were deleted. judgeGone says whether by an old map.
 * 4. Everything is decided before anything is deleted, so a shard that has lost data is found out first.
 *
 * Without a proof in this process every row is looked at. The job may run again: what is gone is not found again.
 */
import type { ScanReport } from '../../contract/move';
import type { Job, Row } from '../ports';
import { NO_PROOF, rowDigest } from '../row';
import { reportOf, scanCut } from '../scan';
import type { DonorSession, SortedRows } from '../sessions';
import { Slice } from '../slice';
import { merge, type Merged } from '../spool/merge';
import type { SpooledRow } from '../spool/spool';
import { Spooling } from '../spool/spooling';
import { Tail } from '../tail';
import type { MoveParts } from './move-parts';
import { receiversOf } from '../../domain/placement-plan';
import type { DropJob } from './drop-look';
import { DropPlan, type DropCounts } from './drop-plan';

export interface ReadDone {
  readonly scan: ScanReport;
  readonly isTailKept: boolean;
}

export interface DropDone extends DropCounts {
  /** What was read is lost, or an attempt before has used it, or a router was not watched to the end. */
  readonly needsRead: boolean;
  /** Every change of the donor since this scan is known. */
  readonly isTailKept: boolean;
}

/**
 * The scan alone. What it shows waits in the session until dropFromDonor acts on it: whether every router was watched is
 * known only for what was read before the question.
 */
export async function readForDrop(job: Job, input: DropJob, parts: MoveParts): Promise<ReadDone> {
  const { operationId, donorId, placement } = input;
  const session = parts.sessions.open(operationId, donorId);
  const donor = parts.shards(donorId);
  await donor.confirmIdentity();
  const slice = new Slice(placement, donorId);
  const sorting = new Sorting({ input, slice, session, folder: parts.spoolFolder });
  try {
    const source = await donor.source();
    if (input.isTailLate && session.tail?.isFresh === true) noteLate(session);
    const cut = await scanCut(source, job, (collection, rows) => {
      sorting.take(collection, rows);
    });
    try {
      // INV-8: what it showed may be of another volume, that came while it was read.
      await donor.confirmIdentity();
    } catch (error) {
      cut.end();
      throw error;
    }
    sorting.endCollection();
    if (input.isTailLate && session.tail?.isFresh === true) noteLate(session);
    await session.follow(new Tail(cut.tail, slice, { end: cut.end, of: source }));
    session.readForDrop = { sorted: sorting.finish(), rowsBy: sorting.rowsBy };
    return { scan: reportOf(source, cut), isTailKept: session.hasKeptTail };
  } catch (error) {
    sorting.discard();
    throw error;
  }
}

const NOTHING_DONE: DropCounts = { dropped: 0, droppedAsDeleted: 0, carried: 0, kept: 0, collectionsDropped: 0 };

function noteLate(session: DonorSession): void {
  for (const [collection, ids] of session.tail?.take() ?? []) {
    for (const id of ids) session.noteCame(collection, id, 'late');
  }
}

/** Acts on what was read. The caller has asked since then whether every router was watched. */
export async function dropFromDonor(job: Job, input: DropJob, parts: MoveParts): Promise<DropDone> {
  const { operationId, donorId, placement } = input;
  const session = parts.sessions.open(operationId, donorId);
  // Before what was read is used up: a party that is away must not make the donor be read again.
  for (const id of [donorId, ...receiversOf(placement)]) await parts.shards(id).confirmIdentity();
  if (session.readForDrop === null) return { ...NOTHING_DONE, needsRead: true, isTailKept: session.hasKeptTail };
  const slice = new Slice(placement, donorId);
  const { isCut, ...counts } = await new DropPlan(job, input, {
    parts,
    session,
    slice,
    ...session.takeForDrop(),
  }).carryOut();
  return { ...counts, needsRead: isCut, isTailKept: session.hasKeptTail };
}

/** Compares the rows of a scan with the proof, side by side in order of the id. */
class Sorting {
  /** All rows of the donor, by collection. */
  readonly rowsBy = new Map<string, number>();
  readonly #input: DropJob;
  readonly #slice: Slice;
  readonly #session: DonorSession;
  readonly #sure: Spooling;
  readonly #doubtful: Spooling;
  readonly #gone: Spooling;
  readonly #strays: Spooling;
  #collection: string | null = null;
  #proof: Iterator<Merged<SpooledRow>> | null = null;
  #head: SpooledRow | null = null;
  readonly #seen = new Set<string>();

  constructor({
    input,
    slice,
    session,
    folder,
  }: {
    input: DropJob;
    slice: Slice;
    session: DonorSession;
    folder: string;
  }) {
    this.#input = input;
    this.#slice = slice;
    this.#session = session;
    this.#sure = new Spooling(folder);
    this.#doubtful = new Spooling(folder);
    this.#gone = new Spooling(folder);
    this.#strays = new Spooling(folder);
  }

  take(collection: string, rows: readonly Row[]): void {
    if (collection !== this.#collection) this.#beginCollection(collection);
    this.rowsBy.set(collection, (this.rowsBy.get(collection) ?? 0) + rows.length);
    for (const row of rows) this.#sort(collection, row);
  }

  endCollection(): void {
    if (this.#collection === null) return;
    while (this.#head !== null) this.#passGone(this.#collection);
    this.#collection = null;
  }

  finish(): SortedRows {
    // A collection that is gone from the donor was dropped there: its rows are nobody's.
    return {
      sure: this.#sure.finish(),
      doubtful: this.#doubtful.finish(),
      gone: this.#gone.finish(),
      strays: this.#strays.finish(),
    };
  }

  discard(): void {
    for (const spooling of [this.#sure, this.#doubtful, this.#gone, this.#strays]) spooling.discard();
  }

  #beginCollection(collection: string): void {
    this.endCollection();
    if (this.#seen.has(collection)) throw new Error('a scan brought a collection twice');
    this.#seen.add(collection);
    this.#collection = collection;
    const runs = this.#session.isProof ? (this.#session.spools.get(collection) ?? []) : [];
    this.#proof = merge(runs.map((run) => run.read()));
    this.#advance();
  }

  #sort(collection: string, row: Row): void {
    if (this.#slice.ownerOf(row.id) === null) {
      if (this.#input.isLeaver) this.#strays.add(collection, row.id, NO_PROOF);
      return;
    }
    while (this.#head !== null && this.#head.id.compare(row.id) < 0) this.#passGone(collection);
    if (this.#head?.id.equals(row.id) !== true) {
      this.#doubtful.add(collection, row.id, NO_PROOF);
      return;
    }
    const { digest } = this.#head;
    const isUnchanged = digest.equals(rowDigest(row));
    (isUnchanged ? this.#sure : this.#doubtful).add(collection, row.id, digest);
    this.#advance();
  }

  #passGone(collection: string): void {
    const head = this.#head;
    if (head !== null) this.#gone.add(collection, head.id, head.digest);
    this.#advance();
  }

  #advance(): void {
    const next = this.#proof?.next();
    const merged = next === undefined || next.done === true ? null : next.value;
    this.#head = merged?.rows.find((row) => row !== null) ?? null;
  }
}
