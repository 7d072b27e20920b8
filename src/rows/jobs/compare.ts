/**
 * One pass of the proof of a move, for one donor: what may differ is looked at by id on donor and owners, and mended.
 *
 * Which ids may differ:
 * - those that this operation has written, which the copy has spooled,
 * - those that clients have changed since the cut, as far as the tail tells,
 * - with `recut`, what a new scan of the donor shows: a router may have written to the donor alone,
 * - with `scanOwners`, what the owners hold of the slice: rows may lie there that nobody has spooled.
 *
 * Where the tail is kept, the donor is not asked for a row that it names no change of: the digest is in the spool. A
 * barrier says that everything before the pass was told. Owners are always asked.
 *
 * Safe points: everything is looked at before anything is deleted, so a donor that has lost its data is found out first
 * (hasLostData). A pass that dies begins anew.
 */
import type { ScanReport } from '../../contract/move';
import type { PlacementSpec } from '../../domain/shard-map';
import { hasLostData } from '../../domain/row-decisions';
import { PacedDelete } from '../paced-delete';
import {
  IDS_PER_LOOK,
  isSettled,
  lookAgain,
  lookAt,
  putRows,
  rowsOnOwners,
  type Candidate,
  type PairScope,
  type SeenPair,
} from '../pairs';
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
    session.comparedAtMs = job.nowMs();
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
  let tail: Tail | null = null;
  try {
    const source = await parts.shards(input.donorId).source();
    const cut = await scanCut(source, job, (collection, rows) => {
      for (const row of rows) if (slice.ownerOf(row.id) !== null) spooling.add(collection, row.id, rowDigest(row));
    });
    tail = new Tail(cut.tail, slice, { end: cut.end, of: source });
    await session.follow(tail);
    return reportOf(source, cut);
  } finally {
    if (tail === null) spooling.discard();
    else for (const [name, spool] of spooling.finish()) session.add(name, spool, { of: tail });
  }
}

type Counts = { -readonly [K in keyof typeof NOTHING]: number };

/** With the digest of the row that the donor is known to hold; null: it has to be asked. */
interface Question extends Candidate {
  readonly known: Buffer | null;
}

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
  /** The tail names every row of the donor that is not as its run says. */
  #isDonorKnown = false;
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
    const { tail } = this.#session;
    const { shards, spoolFolder } = this.#parts;
    const told = await tail?.toldSoFar(this.#job, shards(this.#input.donorId));
    this.#isDonorKnown = told === 'all';
    // It tells too late, or no more, so it must not pass for kept: only a new cut shows what it has left out.
    if (told === 'not-all') await tail?.close();
    const changed = tail?.take() ?? new Map<string, Buffer[]>();
    const wasDropped = this.#input.collections.filter((collection) => tail?.wasDropped(collection));
    // What differed comes after what was equal, so it has a run of its own.
    const proof = { equal: new Spooling(spoolFolder), mended: new Spooling(spoolFolder) };
    const deleted = new Spooling(spoolFolder);
    try {
      for (const collection of this.#input.collections) {
        await this.#compare(collection, changed.get(collection) ?? [], proof);
      }
      await this.#delete(expected, deleted);
      if (tail !== null) await this.#refuseDropped(tail, wasDropped);
      // One that came back with another volume meanwhile has proven nothing.
      await confirmParties(this.#input, this.#parts);
    } catch (error) {
      // What the tail told was taken from it and compared by nobody: only a new cut shows it again.
      if (changed.size > 0) await tail?.close();
      proof.equal.discard();
      proof.mended.discard();
      deleted.discard();
      throw error;
    }
    this.#session.replace([proof.equal.finish(), proof.mended.finish(), deleted.finish()], { of: tail });
    return this.#counts;
  }

  async #compare(collection: string, changed: readonly Buffer[], proof: Proof): Promise<void> {
    const scope = this.#scope(collection);
    let differing: Candidate[] = [];
    try {
      for (const batch of this.#batches(collection, changed)) {
        const { equal, differs } = await this.#look(batch, scope);
        for (const { id } of batch) {
          const digest = equal.get(id);
          if (digest !== undefined) proof.equal.add(collection, id, digest);
        }
        differing.push(...differs.map(slim));
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

  /** A collection that goes while a pass runs takes its rows with it, and nobody has asked the donor for them. */
  async #refuseDropped(tail: Tail, before: readonly string[]): Promise<void> {
    if (!this.#isDonorKnown) return;
    const { donorId, collections } = this.#input;
    if ((await tail.toldSoFar(this.#job, this.#parts.shards(donorId))) === 'not-all') await tail.close();
    const gone = collections.find((collection) => tail.wasDropped(collection) && !before.includes(collection));
    if (gone !== undefined) throw new CollectionMissing(gone, donorId);
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

  *#batches(collection: string, changed: readonly Buffer[]): Generator<Question[]> {
    const ofSession = this.#session.spools.get(collection) ?? [];
    const runs: Iterable<WithId & { readonly digest?: Buffer }>[] = [
      ...ofSession.map((spool) => spool.read()),
      ...(this.#ofOwners.get(collection) ?? []).map((spool) => spool.read()),
      changed.map((id) => ({ id })),
    ];
    let batch: Question[] = [];
    for (const { id, rows } of merge(runs)) {
      const ownerId = this.#slice.ownerOf(id);
      if (ownerId === null) continue;
      // What a later run or the tail tells of an id is newer than what earlier runs say.
      const last = rows.findLastIndex((row) => row !== null);
      batch.push({ id, ownerId, known: this.#known(collection, ofSession[last], rows[last]?.digest) });
      if (batch.length < IDS_PER_LOOK) continue;
      yield batch;
      batch = [];
    }
    if (batch.length > 0) yield batch;
  }

  #known(collection: string, run: Spool | undefined, digest: Buffer | undefined): Buffer | null {
    if (!this.#isDonorKnown || run === undefined || digest === undefined) return null;
    const { tail } = this.#session;
    if (tail?.wasDropped(collection) !== false || !this.#session.isAsDonor(run)) return null;
    return digest.equals(NO_PROOF) ? null : digest;
  }

  /** Where the donor's row is known, its owner alone is asked, unless that holds another one. */
  async #look(
    batch: readonly Question[],
    scope: PairScope,
  ): Promise<{ equal: ReadonlyMap<Buffer, Buffer>; differs: readonly SeenPair[] }> {
    const ofBoth = batch.filter(({ known }) => known === null);
    const ofOwners = batch.filter(({ known }) => known !== null);
    const [seen, owners] = await Promise.all([lookAt(ofBoth, scope), rowsOnOwners(ofOwners, scope)]);
    const equal = new Map<Buffer, Buffer>();
    const pairs = [...seen];
    const unlike: Question[] = [];
    for (const each of ofOwners) {
      const row = owners.get(each) ?? null;
      if (row === null || each.known?.equals(rowDigest(row)) !== true) unlike.push(each);
      else {
        equal.set(each.id, each.known);
        this.#counts.compared += 1;
        this.#counts.bytes += rowBytes(row);
      }
    }
    pairs.push(...(await lookAt(unlike, scope)));
    for (const { id, decision, onDonor } of pairs) {
      if (decision === 'same' && onDonor !== null) equal.set(id, rowDigest(onDonor));
    }
    this.#count(pairs);
    return { equal, differs: pairs.filter((pair) => !isSettled(pair)) };
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
