/**
 * One pass of the proof of a move, for one donor: what may differ is looked at by id on donor and owners, and mended.
 *
 * Which ids may differ:
 * - those that this operation has written, which the copy has spooled,
 * - those that clients have changed since the cut, as far as the tail tells,
 * - with `recut`, what a new scan of the donor shows: a router may have written to the donor alone,
 * - with `scanOwners`, what the owners hold of the slice: rows may lie there that nobody has spooled.
 *
 * Safe points: everything is looked at before anything is deleted, so a donor that has lost its data is found out first
 * (hasLostData). A pass that dies begins anew.
 */
import type { ScanReport } from '../../contract/move';
import type { PlacementSpec } from '../../domain/shard-map';
import { hasLostData } from '../../domain/row-decisions';
import { PacedDelete } from '../paced-delete';
import { isSettled, lookAgain, lookAt, putRows, type Candidate, type PairScope, type SeenPair } from '../pairs';
import { CollectionMissing, type Job } from '../ports';
import { NO_PROOF, rowBytes, rowDigest } from '../row';
import { reportOf, scanCut } from '../scan';
import type { DonorSession } from '../sessions';
import { Slice } from '../slice';
import { merge, type WithId } from '../spool/merge';
import { Spooling } from '../spool/spooling';
import type { Spool } from '../spool/spool';
import { Tail } from '../tail';
import type { MoveParts } from './move-parts';
import { receiversOf } from '../../domain/placement-plan';
import { scanReceivers } from './receivers';

export interface CompareJob {
  readonly operationId: string;
  readonly donorId: number;
  readonly placement: PlacementSpec;
  readonly collections: readonly string[];
  readonly settleMs: number;
  readonly recut: boolean;
  readonly scanOwners: boolean;
  readonly expected: number;
}

export interface CompareDone {
  /** Nothing was compared: this process knows nothing of the move, and a new cut was not asked for. */
  readonly needsCut: boolean;
  readonly scans: readonly ScanReport[];
  readonly compared: number;
  readonly bytes: number;
  readonly differences: number;
  readonly settled: number;
  readonly put: number;
  readonly deleted: number;
  /** Every change of the donor since the cut is known. */
  readonly isTailKept: boolean;
}

/** Differences that wait in memory to be looked at again. */
const DIFFERENCES_MAX = 1_000;

export class ShardLostRows extends Error {
  constructor(what: string, missing: number, expected: number) {
    super(
      `expected ${what} to hold most of ${expected} rows, it lacks ${missing} of them: it has lost data, so nothing is deleted because of it; bring its data back, or cancel this operation`,
    );
    this.name = 'ShardLostRows';
  }
}

const NOTHING = { compared: 0, bytes: 0, differences: 0, settled: 0, put: 0, deleted: 0 };

export async function compareDonor(job: Job, input: CompareJob, parts: MoveParts): Promise<CompareDone> {
  const { operationId, donorId } = input;
  const { sessions } = parts;
  await confirmParties(input, parts);
  const known = sessions.find(operationId, donorId);
  if (known === null && !input.recut) return { ...NOTHING, needsCut: true, scans: [], isTailKept: false };
  const session = sessions.open(operationId, donorId);
  const scans: ScanReport[] = [];
  if (input.recut) scans.push(await recut(job, input, { parts, session }));
  const ofOwners = new Map<string, Spool[]>();
  try {
    if (input.scanOwners) scans.push(...(await scanReceivers(job, input, { parts, found: ofOwners })));
    const counts = await new Pass(job, input, { parts, session, ofOwners }).run();
    return { ...counts, needsCut: false, scans, isTailKept: session.hasKeptTail };
  } finally {
    for (const runs of ofOwners.values()) for (const run of runs) run.close();
  }
}

/** INV-8: what the donor lacks is deleted, and what a receiver was given counts, only while each is the shard that it was. */
async function confirmParties({ donorId, placement }: CompareJob, { shards }: MoveParts): Promise<void> {
  for (const id of [donorId, ...receiversOf(placement)]) await shards(id).confirmIdentity();
}

/** A new cut of the donor. What was spooled before stays: the operation may have written it. */
async function recut(
  job: Job,
  input: CompareJob,
  { parts, session }: { parts: MoveParts; session: DonorSession },
): Promise<ScanReport> {
  const slice = new Slice(input.placement, input.donorId);
  const spooling = new Spooling(parts.spoolFolder);
  let isWhole = false;
  try {
    const source = await parts.shards(input.donorId).source();
    const cut = await scanCut(source, job, (collection, rows) => {
      for (const row of rows) if (slice.ownerOf(row.id) !== null) spooling.add(collection, row.id, rowDigest(row));
    });
    await session.tail?.close();
    session.tail = new Tail(cut.tail, slice, { end: cut.end, of: source });
    isWhole = true;
    return reportOf(source, cut);
  } finally {
    if (isWhole) for (const [collection, spool] of spooling.finish()) session.add(collection, spool);
    else spooling.discard();
  }
}

type Counts = { -readonly [K in keyof typeof NOTHING]: number };

interface Proof {
  readonly equal: Spooling;
  readonly mended: Spooling;
}

class Pass {
  readonly #job: Job;
  readonly #input: CompareJob;
  readonly #parts: MoveParts;
  readonly #session: DonorSession;
  readonly #ofOwners: ReadonlyMap<string, Spool[]>;
  readonly #slice: Slice;
  readonly #counts: Counts = { ...NOTHING };
  /** Rows that an owner holds and the donor lacks, at two looks. */
  readonly #toDelete = new Map<string, Candidate[]>();
  readonly #deletes = new Map<number, PacedDelete>();

  constructor(
    job: Job,
    input: CompareJob,
    { parts, session, ofOwners }: { parts: MoveParts; session: DonorSession; ofOwners: ReadonlyMap<string, Spool[]> },
  ) {
    this.#job = job;
    this.#input = input;
    this.#parts = parts;
    this.#session = session;
    this.#ofOwners = ofOwners;
    this.#slice = new Slice(input.placement, input.donorId);
  }

  async run(): Promise<Counts> {
    const expected = this.#session.rows;
    const changed = this.#session.tail?.take() ?? new Map<string, Buffer[]>();
    const { spoolFolder } = this.#parts;
    // What differed comes after what was equal, so it has a run of its own.
    const proof = { equal: new Spooling(spoolFolder), mended: new Spooling(spoolFolder) };
    const deleted = new Spooling(spoolFolder);
    try {
      for (const collection of this.#input.collections) {
        await this.#compare(collection, changed.get(collection) ?? [], proof);
      }
      await this.#delete(expected, deleted);
      // One that came back with another volume meanwhile has proven nothing.
      await confirmParties(this.#input, this.#parts);
    } catch (error) {
      // What the tail told was taken from it and compared by nobody: only a new cut shows it again.
      if (changed.size > 0) await this.#session.tail?.close();
      proof.equal.discard();
      proof.mended.discard();
      deleted.discard();
      throw error;
    }
    this.#session.replace([proof.equal.finish(), proof.mended.finish(), deleted.finish()]);
    return this.#counts;
  }

  async #compare(collection: string, changed: readonly Buffer[], proof: Proof): Promise<void> {
    const scope = this.#scope(collection);
    let differing: Candidate[] = [];
    try {
      for (const some of this.#batches(collection, changed)) {
        const seen = await lookAt(some, scope);
        prove(
          proof.equal,
          collection,
          seen.filter(({ decision }) => decision === 'same'),
        );
        differing.push(...seen.filter((pair) => !isSettled(pair)).map(slim));
        this.#count(seen);
        if (differing.length < DIFFERENCES_MAX) continue;
        prove(proof.mended, collection, await this.#mend(differing, scope));
        differing = [];
      }
      prove(proof.mended, collection, await this.#mend(differing, scope));
    } catch (error) {
      // A client has dropped the collection on the donor: its rows are nobody's any more. The next pass drops it on the owners.
      if (!(error instanceof CollectionMissing) || error.shardId !== this.#input.donorId) throw error;
    }
  }

  #scope(collection: string): PairScope {
    const { shards } = this.#parts;
    return {
      job: this.#job,
      donor: shards(this.#input.donorId),
      shards,
      collection,
      settleMs: this.#input.settleMs,
    };
  }

  *#batches(collection: string, changed: readonly Buffer[]): Generator<Candidate[]> {
    const runs: Iterable<WithId>[] = [
      ...(this.#session.spools.get(collection) ?? []).map((spool) => spool.read()),
      ...(this.#ofOwners.get(collection) ?? []).map((spool) => spool.read()),
      changed.map((id) => ({ id })),
    ];
    let batch: Candidate[] = [];
    for (const { id } of merge(runs)) {
      const ownerId = this.#slice.ownerOf(id);
      if (ownerId === null) continue;
      batch.push({ id, ownerId });
      if (batch.length < 100) continue;
      yield batch;
      batch = [];
    }
    if (batch.length > 0) yield batch;
  }

  #count(seen: readonly SeenPair[]): void {
    const counts = this.#counts;
    for (const { onDonor } of seen) {
      if (onDonor === null) continue;
      counts.compared += 1;
      counts.bytes += rowBytes(onDonor);
    }
    const { compared: points, bytes } = counts;
    this.#job.report({ rowsRead: points, points, bytes, expected: this.#input.expected });
  }

  /** Returns the pairs as they are now, in their order. Deletes wait until everything was looked at. */
  async #mend(differing: readonly Candidate[], scope: PairScope): Promise<readonly SeenPair[]> {
    if (differing.length === 0) return [];
    const counts = this.#counts;
    counts.differences += differing.length;
    const looked = await lookAgain(differing, scope);
    counts.settled += looked.settled.length;
    const toPut = looked.differing.filter(({ decision }) => decision === 'put');
    const toDelete = looked.differing.filter(({ decision }) => decision === 'delete');
    counts.put += await putRows(toPut, scope);
    this.#toDelete.set(scope.collection, [...(this.#toDelete.get(scope.collection) ?? []), ...toDelete.map(slim)]);
    return [...looked.settled, ...looked.differing].sort((a, b) => a.id.compare(b.id));
  }

  /**
   * What it deletes may have been the first half of a dual write, so the next pass looks at it again: `deleted` keeps the
   * ids, behind no proof.
   */
  async #delete(expected: number, deleted: Spooling): Promise<void> {
    let missing = 0;
    for (const candidates of this.#toDelete.values()) missing += candidates.length;
    if (hasLostData(missing, expected)) {
      throw new ShardLostRows(`shard ${this.#input.donorId}`, missing, expected);
    }
    for (const [collection, candidates] of this.#toDelete) {
      // A client may have written it since: then the donor holds it again.
      const now = await lookAt(candidates, this.#scope(collection));
      const ids = now.filter(({ decision }) => decision === 'delete');
      // What it lacks may be gone with its volume, since this pass began.
      if (ids.length > 0) await this.#parts.shards(this.#input.donorId).confirmIdentity();
      for (const ownerId of new Set(ids.map((each) => each.ownerId))) {
        const ofOwner = ids.filter((each) => each.ownerId === ownerId).map(({ id }) => id);
        await this.#deletesOf(ownerId).delete(collection, ofOwner);
        this.#counts.deleted += ofOwner.length;
      }
      for (const { id } of ids.sort((a, b) => a.id.compare(b.id))) deleted.add(collection, id, NO_PROOF);
    }
  }

  /** Keeps what it has learned of its shard. */
  #deletesOf(ownerId: number): PacedDelete {
    const deletes = this.#deletes.get(ownerId) ?? new PacedDelete(this.#job, this.#parts.shards(ownerId));
    this.#deletes.set(ownerId, deletes);
    return deletes;
  }
}

/** Without its rows: their bytes must not wait in memory. */
function slim({ id, ownerId }: Candidate): Candidate {
  return { id: Buffer.from(id), ownerId };
}

function prove(proof: Spooling, collection: string, pairs: readonly SeenPair[]): void {
  for (const { id, onDonor } of pairs) if (onDonor !== null) proof.add(collection, id, rowDigest(onDonor));
}
