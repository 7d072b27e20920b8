/** Rows after the flip, as their donor and their owner answer just now, and what follows for each. */
import { receiversOf } from '../../domain/placement-plan';
import { READING_LIFE_MS } from '../../domain/router-watch';
import { judgeLeft, type LeftDecision } from '../../domain/row-decisions';
import type { PlacementSpec } from '../../domain/shard-map';
import { rowsOnOwners } from '../pairs';
import { CollectionMissing, type Job, type Row } from '../ports';
import { isSameRow, NO_PROOF, rowDigest } from '../row';
import type { DonorSession } from '../sessions';
import type { Slice } from '../slice';
import type { MoveParts } from './move-parts';

export interface DropJob {
  readonly operationId: string;
  readonly donorId: number;
  readonly placement: PlacementSpec;
  readonly settleMs: number;
  readonly isWatchUnbroken: boolean;
  /** Until then a delete may rely on it; null: always. */
  readonly watchedUntilMs: number | null;
  /** Collections that the clean pass compared: only in these can a row be known to be deleted. */
  readonly provenCollections: readonly string[];
  /** The donor leaves: what it holds of others goes too, and then its collections. */
  readonly isLeaver: boolean;
  /** What the tail of the scan before tells, and followDonor has not seen, came when no router wrote here any more. */
  readonly isTailLate: boolean;
  readonly expected: number;
}

export interface Question {
  readonly id: Buffer;
  readonly ownerId: number;
  /** NO_PROOF where no pass has seen it. */
  readonly proof: Buffer;
}

export interface Answer extends Question {
  readonly onDonor: Row | null;
  readonly onOwner: Row | null;
  readonly decision: LeftDecision;
}

export class DropLook {
  readonly #input: DropJob;
  readonly #parts: MoveParts;
  readonly #session: DonorSession;
  readonly #slice: Slice;

  constructor(input: DropJob, of: { parts: MoveParts; session: DonorSession; slice: Slice }) {
    this.#input = input;
    this.#parts = of.parts;
    this.#session = of.session;
    this.#slice = of.slice;
  }

  question(id: Buffer, proof: Buffer): Question {
    return { id, proof, ownerId: this.#slice.finalOwnerOf(id) };
  }

  async look(collection: string, questions: readonly Question[], of: 'slice' | 'stray'): Promise<Answer[]> {
    if (questions.length === 0) return [];
    const [onDonor, onOwner] = await Promise.all([
      this.onDonor(collection, questions),
      this.onOwners(collection, questions),
    ]);
    return questions.map((question, index) => {
      const [donor, owner] = [onDonor[index] ?? null, onOwner.get(question) ?? null];
      const decision = of === 'stray' ? judgeStray(owner) : this.#judge(collection, question, donor, owner);
      return { ...question, onDonor: donor, onOwner: owner, decision };
    });
  }

  #judge(collection: string, { id, proof }: Question, donor: Row | null, owner: Row | null): LeftDecision {
    if (donor === null) return 'drop';
    const decision = judgeLeft({
      proof: this.#session.isProof ? proofOf(proof, donor, owner) : 'lost',
      isOnOwner: owner !== null,
      isSame: owner !== null && isSameRow(donor, owner),
      isWatchUnbroken: this.#input.isWatchUnbroken,
      came: this.#session.cameOf(collection, id),
    });
    const canBeDeleted = this.#input.provenCollections.includes(collection);
    return decision === 'drop-as-deleted' && !canBeDeleted ? 'keep' : decision;
  }

  async onDonor(collection: string, questions: readonly Question[]): Promise<(Row | null)[]> {
    try {
      return await this.#parts.shards(this.#input.donorId).getRows(
        collection,
        questions.map(({ id }) => id),
      );
    } catch (error) {
      if (error instanceof CollectionMissing) return questions.map(() => null);
      throw error;
    }
  }

  /** An owner without the collection holds nothing of it. */
  async onOwners(collection: string, questions: readonly Question[]): Promise<Map<Question, Row | null>> {
    try {
      return await rowsOnOwners(questions, { shards: this.#parts.shards, collection });
    } catch (error) {
      if (error instanceof CollectionMissing) return new Map();
      throw error;
    }
  }
}

/** A router may have written by another map since: what was decided by the watch over it counts no longer. */
export class WatchLost extends Error {}

/**
 * What decisions rest on: every router was watched, and the owners are the shards that they were. Deletes may be slowed
 * down to hours, so both are asked again where the last answer is old.
 */
export class Grounds {
  readonly #job: Job;
  readonly #placement: PlacementSpec;
  readonly #parts: MoveParts;
  #watchedUntilMs: number;
  /** By owner. */
  readonly #confirmedAtMs = new Map<number, number>();

  constructor(job: Job, { placement, watchedUntilMs }: DropJob, { parts }: { parts: MoveParts }) {
    this.#job = job;
    this.#placement = placement;
    this.#parts = parts;
    this.#watchedUntilMs = watchedUntilMs ?? Infinity;
  }

  /** All of them, now. */
  async confirmOwners(): Promise<void> {
    for (const ownerId of receiversOf(this.#placement)) await this.#confirm(ownerId);
  }

  /** For a delete of rows of these owners. @throws WatchLost, and what says that an owner has lost data */
  async renew(ownerIds: readonly number[]): Promise<void> {
    await this.#renewWatch();
    const nowMs = this.#job.nowMs();
    const isOld = (ownerId: number): boolean =>
      nowMs - (this.#confirmedAtMs.get(ownerId) ?? -Infinity) >= READING_LIFE_MS;
    await Promise.all([...new Set(ownerIds)].filter(isOld).map((ownerId) => this.#confirm(ownerId)));
  }

  async #renewWatch(): Promise<void> {
    if (this.#job.nowMs() < this.#watchedUntilMs) return;
    const untilMs = (await this.#job.renewWatch?.()) ?? null;
    if (untilMs === null) throw new WatchLost();
    this.#watchedUntilMs = untilMs;
  }

  async #confirm(ownerId: number): Promise<void> {
    const askedAtMs = this.#job.nowMs();
    await this.#parts.shards(ownerId).confirmIdentity();
    this.#confirmedAtMs.set(ownerId, askedAtMs);
  }
}

function judgeStray(owner: Row | null): LeftDecision {
  return owner === null ? 'keep' : 'drop';
}

function proofOf(proof: Buffer, donor: Row, owner: Row | null): 'as-donor' | 'as-owner' | 'other' | null {
  if (proof.equals(NO_PROOF)) return null;
  if (proof.equals(rowDigest(donor))) return 'as-donor';
  if (owner !== null && proof.equals(rowDigest(owner))) return 'as-owner';
  return 'other';
}
