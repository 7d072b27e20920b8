/** Rows after the flip, as their donor and their owner answer just now, and what follows for each. */
import { judgeLeft, type LeftDecision } from '../../domain/row-decisions';
import type { PlacementSpec } from '../../domain/shard-map';
import { rowsOnOwners } from '../pairs';
import { CollectionMissing, type Row } from '../ports';
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

function judgeStray(owner: Row | null): LeftDecision {
  return owner === null ? 'keep' : 'drop';
}

function proofOf(proof: Buffer, donor: Row, owner: Row | null): 'as-donor' | 'as-owner' | 'other' | null {
  if (proof.equals(NO_PROOF)) return null;
  if (proof.equals(rowDigest(donor))) return 'as-donor';
  if (owner !== null && proof.equals(rowDigest(owner))) return 'as-owner';
  return 'other';
}
