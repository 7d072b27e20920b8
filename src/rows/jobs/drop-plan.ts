/** What becomes of the rows that a scan after the flip has found on a donor: see drop.ts. */
import { receiversOf } from '../../domain/placement-plan';
import { DELETED_SHARE_MAX, hasLostData, judgeGone, type LeftDecision } from '../../domain/row-decisions';
import { ALL, DELETE_IDS_MAX, PacedDelete, type Still } from '../paced-delete';
import { IDS_PER_LOOK } from '../pairs';
import { CollectionMissing, type Job } from '../ports';
import { NO_PROOF, rowDigest } from '../row';
import { DropLook, Grounds, WatchLost, type DropJob, type Question } from './drop-look';
import type { DonorSession, SortedRows } from '../sessions';
import type { Slice } from '../slice';
import { Spooling } from '../spool/spooling';
import type { Spool, SpooledRow } from '../spool/spool';
import type { MoveParts } from './move-parts';

export interface DropCounts {
  readonly dropped: number;
  /** Of these, rows that the owner is known to have deleted. */
  readonly droppedAsDeleted: number;
  /** Rows, and deletes, that came by an old map and went on to the owner. */
  readonly carried: number;
  /** Rows that stay on the donor, because nobody can tell. */
  readonly kept: number;
  readonly collectionsDropped: number;
}

/** Of the rows that need no question, every so many-th is asked for. */
const SAMPLE_EVERY = 50;
const SAMPLE_LEAST = 100;
/** In a sample, more than this share missing means that the owner must be asked for every row. */
const SAMPLE_MISSING_MAX = 0.02;

/** A row that may not simply go. */
interface Unclear extends Question {
  readonly decision: LeftDecision;
  readonly of: 'slice' | 'stray';
  /** Of the donor's row when it was decided about. */
  readonly digest: Buffer;
}

export class DropPlan {
  readonly #job: Job;
  readonly #input: DropJob;
  readonly #parts: MoveParts;
  readonly #session: DonorSession;
  readonly #at: DropLook;
  readonly #grounds: Grounds;
  readonly #sorted: SortedRows;
  readonly #rowsBy: ReadonlyMap<string, number>;
  readonly #keptIn = new Map<string, number>();
  /** Ids that this job has deleted from a leaver one by one, by collection: its tail tells of them too. */
  readonly #removedIn = new Map<string, Set<string>>();
  /** Rows that were asked for, and how many of them their owner lacks, by owner. */
  readonly #missing = new Map<number, number>();
  readonly #expected = new Map<number, number>();
  /** By collection: what was asked for and may go, and what needs no question. */
  readonly #mayGo = new Map<string, Spool[]>();
  readonly #sureIn = new Map<string, Spool>();
  /** An earlier drop of this operation has deleted rows, or may have. */
  readonly #isRepeat: boolean;
  #dropped = 0;
  #droppedAsDeleted = 0;
  #carried = 0;
  #kept = 0;
  #collectionsDropped = 0;
  readonly #deletes: PacedDelete;

  constructor(
    job: Job,
    input: DropJob,
    of: {
      parts: MoveParts;
      session: DonorSession;
      slice: Slice;
      sorted: SortedRows;
      rowsBy: ReadonlyMap<string, number>;
    },
  ) {
    this.#job = job;
    this.#input = input;
    this.#parts = of.parts;
    this.#session = of.session;
    this.#at = new DropLook(input, of);
    this.#grounds = new Grounds(job, input, of);
    this.#deletes = new PacedDelete(job, of.parts.shards(input.donorId));
    this.#sorted = of.sorted;
    this.#rowsBy = of.rowsBy;
    this.#isRepeat = of.session.hasDropped;
  }

  /** `isCut`: what is left must be read and decided about anew. */
  async carryOut(): Promise<DropCounts & { isCut: boolean }> {
    let isCut = false;
    try {
      await this.#grounds.confirmOwners();
      const unclear = new Map<string, Unclear[]>();
      for (const collection of this.#rowsBy.keys()) unclear.set(collection, await this.#decide(collection));
      // What an owner lacks may be gone with its volume, since it was asked.
      await this.#grounds.confirmOwners();
      for (const [collection, rows] of unclear) await this.#act(collection, rows);
      for (const collection of this.#sorted.gone.keys()) await this.#followDeletes(collection);
      if (this.#input.isLeaver) await this.#dropCollections();
      // A shard that came back with another volume meanwhile has not done what it was asked for.
      await this.#parts.shards(this.#input.donorId).confirmIdentity();
      await this.#grounds.confirmOwners();
    } catch (error) {
      if (!(error instanceof WatchLost)) throw error;
      isCut = true;
    } finally {
      const { sure, doubtful, gone, strays } = this.#sorted;
      for (const spools of [sure, doubtful, gone, strays]) for (const spool of spools.values()) spool.close();
      for (const runs of this.#mayGo.values()) for (const spool of runs) spool.close();
    }
    return {
      isCut,
      dropped: this.#dropped,
      droppedAsDeleted: this.#droppedAsDeleted,
      carried: this.#carried,
      kept: this.#kept,
      collectionsDropped: this.#collectionsDropped,
    };
  }

  // ---- Decide ----

  /**
   * Asks for doubtful rows, for strays, and for all rows where a sample says that an owner lost some. What may go is
   * spooled; the rest is returned.
   */
  async #decide(collection: string): Promise<Unclear[]> {
    const { sure, doubtful, strays } = this.#sorted;
    const unclear = await this.#ask(collection, doubtful.get(collection), 'slice');
    unclear.push(...(await this.#ask(collection, strays.get(collection), 'stray')));
    const spool = sure.get(collection);
    if (spool === undefined) return unclear;
    if (await this.#hasOwnerLostRows(collection, spool)) unclear.push(...(await this.#ask(collection, spool, 'slice')));
    else this.#sureIn.set(collection, spool);
    return unclear;
  }

  async #hasOwnerLostRows(collection: string, spool: Spool): Promise<boolean> {
    const every = Math.max(1, Math.min(SAMPLE_EVERY, Math.floor(spool.count / SAMPLE_LEAST)));
    let row = 0;
    const sample: Question[] = [];
    for (const { id, digest } of spool.read()) {
      if (row++ % every === 0) sample.push(this.#at.question(id, digest));
    }
    let missing = 0;
    for (let start = 0; start < sample.length; start += IDS_PER_LOOK) {
      const some = sample.slice(start, start + IDS_PER_LOOK);
      const rows = await this.#at.onOwners(collection, some);
      for (const each of some) if (rows.get(each) == null) missing += 1;
    }
    return missing > Math.max(1, sample.length * SAMPLE_MISSING_MAX);
  }

  /** What is not to be dropped at once is looked at again after the settle time. */
  async #ask(collection: string, spool: Spool | undefined, of: 'slice' | 'stray'): Promise<Unclear[]> {
    if (spool === undefined) return [];
    const unclear: Unclear[] = [];
    const mayGo = new Spooling(this.#parts.spoolFolder);
    try {
      for (const batch of this.#batches(spool)) {
        const first = await this.#at.look(collection, batch, of);
        if (first.some(({ decision }) => decision !== 'drop')) await this.#job.sleep(this.#input.settleMs);
        const again = first.filter(({ decision }) => decision !== 'drop');
        const now = new Map((await this.#at.look(collection, again, of)).map((each) => [keyOf(each.id), each]));
        for (const each of first.map((answer) => now.get(keyOf(answer.id)) ?? answer)) {
          if (each.onDonor === null) continue;
          add(this.#expected, each.ownerId, 1);
          if (each.onOwner === null) add(this.#missing, each.ownerId, 1);
          const { id, ownerId, proof, decision } = each;
          if (decision === 'drop') mayGo.add(collection, id, rowDigest(each.onDonor));
          else unclear.push({ id, ownerId, proof, decision, of, digest: rowDigest(each.onDonor) });
        }
      }
    } finally {
      for (const run of mayGo.finish().values()) {
        this.#mayGo.set(collection, [...(this.#mayGo.get(collection) ?? []), run]);
      }
    }
    return unclear;
  }

  *#batches(spool: Spool): Generator<Question[]> {
    let batch: Question[] = [];
    for (const { id, digest } of spool.read()) {
      batch.push(this.#at.question(Buffer.from(id), Buffer.from(digest)));
      if (batch.length < IDS_PER_LOOK) continue;
      yield batch;
      batch = [];
    }
    if (batch.length > 0) yield batch;
  }

  // ---- Act ----

  async #act(collection: string, unclear: readonly Unclear[]): Promise<void> {
    /** Of the donor's rows as they were decided about. */
    const decided = new Map<string, Buffer>();
    const toDelete: Buffer[] = [];
    const remove = (id: Buffer, digest: Buffer): void => {
      toDelete.push(id);
      decided.set(keyOf(id), digest);
    };
    for (const row of unclear) {
      const { id, ownerId, decision } = row;
      if (decision === 'drop-as-deleted' && !this.#hasLost(ownerId)) {
        remove(id, row.digest);
        this.#droppedAsDeleted += 1;
        continue;
      }
      const carried = decision === 'carry' ? await this.#carry(collection, row) : null;
      if (carried === null) this.#keep(collection);
      else remove(id, carried);
    }
    this.#removedIn.set(collection, new Set(toDelete.map(keyOf)));
    await this.#delete(collection, toDelete, (ids) => this.#asDecided(collection, ids, decided));
    if (this.#mayDropWhole(collection)) return;
    for (const spool of this.#whatMayGo(collection)) {
      let batch: SpooledRow[] = [];
      for (const row of spool.read()) {
        batch.push(row);
        if (batch.length < DELETE_IDS_MAX) continue;
        await this.#deleteUnchanged(collection, batch);
        batch = [];
      }
      await this.#deleteUnchanged(collection, batch);
    }
  }

  #whatMayGo(collection: string): Spool[] {
    const sure = this.#sureIn.get(collection);
    return [...(this.#mayGo.get(collection) ?? []), ...(sure === undefined ? [] : [sure])];
  }

  #hasLost(ownerId: number): boolean {
    let sure = 0;
    for (const spool of this.#sureIn.values()) sure += spool.count;
    const shareMax = this.#parts.shards(ownerId).isIdentified ? DELETED_SHARE_MAX : undefined;
    return hasLostData(this.#missing.get(ownerId) ?? 0, (this.#expected.get(ownerId) ?? 0) + sure, shareMax);
  }

  #keep(collection: string): void {
    this.#kept += 1;
    this.#keptIn.set(collection, (this.#keptIn.get(collection) ?? 0) + 1);
  }

  /** The owner is asked once more right before it is written. Returns the digest of what it holds now; null: the row is kept. */
  async #carry(collection: string, { id, proof, ownerId }: Question): Promise<Buffer | null> {
    await this.#grounds.renew([ownerId]);
    const [now] = await this.#at.look(collection, [{ id, proof, ownerId }], 'slice');
    if (now?.onDonor == null) return null;
    if (now.decision === 'drop') return rowDigest(now.onDonor);
    if (now.decision !== 'carry') return null;
    // What it showed may be an old volume.
    await this.#parts.shards(this.#input.donorId).confirmIdentity();
    await this.#parts.shards(ownerId).upsert(collection, [now.onDonor]);
    this.#carried += 1;
    return rowDigest(now.onDonor);
  }

  async #deleteUnchanged(collection: string, rows: readonly SpooledRow[]): Promise<void> {
    const digests = new Map(rows.map(({ id, digest }) => [keyOf(id), digest]));
    await this.#delete(
      collection,
      rows.map(({ id }) => id),
      (ids) => this.#unchanged(collection, ids, digests),
    );
  }

  /** Deletes may be slowed down to hours. A row that was written since it was decided about is kept. */
  async #asDecided(
    collection: string,
    ids: readonly Buffer[],
    decided: ReadonlyMap<string, Buffer>,
  ): Promise<readonly Buffer[]> {
    const questions = ids.map((id) => this.#at.question(id, decided.get(keyOf(id)) ?? NO_PROOF));
    const rows = await this.#at.onDonor(collection, questions);
    return ids.filter((id, index) => {
      const row = rows[index] ?? null;
      if (row === null || decided.get(keyOf(id))?.equals(rowDigest(row)) === true) return true;
      this.#keep(collection);
      this.#removedIn.get(collection)?.delete(keyOf(id));
      return false;
    });
  }

  /** A row that was written since the scan must be looked at, not dropped. Where the tail is lost, the donor is asked again. */
  async #unchanged(
    collection: string,
    ids: readonly Buffer[],
    digests: ReadonlyMap<string, Buffer>,
  ): Promise<readonly Buffer[]> {
    const { tail } = this.#session;
    if (tail?.isKept === true) return ids.filter((id) => !tail.has(collection, id));
    const digestOf = (id: Buffer): Buffer => digests.get(keyOf(id)) ?? NO_PROOF;
    const questions = ids.map((id) => this.#at.question(id, digestOf(id)));
    const now = await this.#at.onDonor(collection, questions);
    return ids.filter((id, index) => {
      const row = now[index] ?? null;
      return row !== null && rowDigest(row).equals(digestOf(id));
    });
  }

  async #delete(collection: string, ids: readonly Buffer[], still: Still = ALL): Promise<void> {
    if (ids.length === 0) return;
    const before = this.#deletes.deleted;
    try {
      await this.#deletes.delete(collection, ids, async (some) => {
        await this.#grounds.renew(some.map((id) => this.#at.question(id, NO_PROOF).ownerId));
        const now = await still(some);
        if (now.length > 0) this.#session.hasDropped = true;
        this.#session.tail?.expectDeletes(collection, now);
        return now;
      });
    } catch (error) {
      if (!(error instanceof CollectionMissing)) throw error;
    } finally {
      this.#dropped += this.#deletes.deleted - before;
    }
    const points = this.#dropped;
    this.#job.report({ rowsRead: points, points, bytes: 0, expected: this.#input.expected });
  }

  /** INV-3: a delete that a router sent to the donor alone goes on to the owner, unless the donor has lost its data. */
  async #followDeletes(collection: string): Promise<void> {
    const spool = this.#sorted.gone.get(collection);
    // What an earlier drop has deleted here was deleted by no client.
    if (spool === undefined || this.#input.isWatchUnbroken || this.#isRepeat) return;
    if (hasLostData(spool.count, spool.count + (this.#rowsBy.get(collection) ?? 0))) return;
    for (const { id, digest } of spool.read()) {
      const question = this.#at.question(Buffer.from(id), digest);
      const [seen] = await this.#at.look(collection, [question], 'slice');
      if (seen?.onDonor !== null || seen.onOwner === null) continue;
      const ownerHoldsProof = rowDigest(seen.onOwner).equals(digest);
      const { isWatchUnbroken } = this.#input;
      if (judgeGone({ ownerHoldsProof, isWatchUnbroken }) === 'leave') continue;
      await this.#parts.shards(question.ownerId).delete(collection, [question.id]);
      this.#carried += 1;
    }
  }

  // ---- The end of a leaver ----

  /** Nothing of the collection must stay, so it may go in one call instead of row by row. */
  #mayDropWhole(collection: string): boolean {
    return this.#input.isLeaver && (this.#keptIn.get(collection) ?? 0) === 0;
  }

  #hasChanged(collection: string): boolean {
    const removed = this.#removedIn.get(collection);
    return (this.#session.tail?.ids(collection) ?? []).some((id) => removed?.has(keyOf(id)) !== true);
  }

  async #dropCollections(): Promise<void> {
    const leaver = this.#parts.shards(this.#input.donorId);
    for (const [collection, left] of await leaver.counts()) {
      if (!this.#mayDropWhole(collection)) continue;
      await this.#grounds.renew(receiversOf(this.#input.placement));
      const mayGo = this.#whatMayGo(collection).reduce((sum, { count }) => sum + count, 0);
      // More than what may go: something has come since the scan. Until another look has decided about it, it is kept.
      if (left > mayGo || this.#hasChanged(collection)) {
        this.#kept += left;
        continue;
      }
      if (await leaver.dropCollection(collection)) this.#collectionsDropped += 1;
      this.#dropped += left;
    }
  }
}

function keyOf(id: Buffer): string {
  return id.toString('latin1');
}

function add(counts: Map<number, number>, key: number, more: number): void {
  counts.set(key, (counts.get(key) ?? 0) + more);
}
