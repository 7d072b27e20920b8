/**
 * What a move does with one row, decided from what its donor and its owner hold. Values are compared by the caller, so
 * these tables know only whether they are the same.
 */

/** What donor and owner hold before the flip, when the donor is the truth. */
export interface Pair {
  readonly isOnDonor: boolean;
  readonly isOnOwner: boolean;
  /** Both hold it, with the same value. */
  readonly isSame: boolean;
}

/** - `put`: the owner gets the donor's row. - `delete`: the owner's row goes, because the donor has none. */
export type PairDecision = 'same' | 'absent' | 'put' | 'delete';

export function judgePair({ isOnDonor, isOnOwner, isSame }: Pair): PairDecision {
  if (isOnDonor) return isOnOwner && isSame ? 'same' : 'put';
  return isOnOwner ? 'delete' : 'absent';
}

/** A row that a donor still holds after the flip. */
export interface LeftRow {
  /** What the clean pass showed on both sides; null when that pass did not see the row, `lost` when nobody knows it any more. */
  readonly proof: 'as-donor' | 'as-owner' | 'other' | 'lost' | null;
  readonly isOnOwner: boolean;
  /** Both hold it, with the same value. */
  readonly isSame: boolean;
  /** Every router was watched from before the cut of the copy, so none can have written by an old map. */
  readonly isWatchUnbroken: boolean;
  /**
   * - `late`: seen to arrive when no router wrote to the donor any more, so it is a write by an old map, for certain.
   * - `unsure`: it arrived around the flip, and was looked at too late to tell.
   */
  readonly came: 'late' | 'unsure' | null;
}

/**
 * - `drop`: the owner holds the row, or a newer one.
 * - `drop-as-deleted`: the owner is known to have deleted it (INV-5).
 * - `carry`: it came by an old map, so it goes to the owner and then from the donor.
 * - `keep`: nobody can tell. It stays and is reported.
 */
export type LeftDecision = 'drop' | 'drop-as-deleted' | 'carry' | 'keep';

/** INV-5. Read from the top: the first line that holds decides. */
export function judgeLeft({ proof, isOnOwner, isSame, isWatchUnbroken, came }: LeftRow): LeftDecision {
  if (isOnOwner && isSame) return 'drop';
  // It has not changed since donor and owner agreed on it, so the change is the owner's.
  if (proof === 'as-donor') return isOnOwner ? 'drop' : 'drop-as-deleted';
  // It has changed on the donor alone, and the owner still holds what was proven.
  if (proof === 'as-owner' && isOnOwner) return 'carry';
  if (came === 'late') return proof === null && !isOnOwner ? 'carry' : 'keep';
  if (came === 'unsure' && proof === null && !isOnOwner) return 'keep';
  // Written to both sides, owner first, after the pass: the owner has changed or deleted it since.
  if (isWatchUnbroken) return isOnOwner ? 'drop' : 'drop-as-deleted';
  // Written to both sides and deleted on the owner since, or by an old map and never on the owner: nobody can tell.
  return 'keep';
}

/** A row of the proof that the donor lacks after the flip. */
export interface GoneRow {
  /** The owner holds what was proven, unchanged. */
  readonly ownerHoldsProof: boolean;
  readonly isWatchUnbroken: boolean;
}

/**
 * - `delete`: a router deleted it by an old map, on the donor alone.
 * - `leave`: it was deleted on both sides, or written again on the owner.
 */
export function judgeGone({ ownerHoldsProof, isWatchUnbroken }: GoneRow): 'delete' | 'leave' {
  return ownerHoldsProof && !isWatchUnbroken ? 'delete' : 'leave';
}

const MISSING_ROWS_MAX = 100;
const MISSING_SHARE_MAX = 0.01;
/**
 * Of an owner after the flip that shows its identity, which no wiped volume and no backup of before the move has. Clients delete
 * on it alone from the flip to the drop, which is half a minute and more (ADR 31).
 */
export const DELETED_SHARE_MAX = 0.2;

/**
 * A shard that lacks more than this of what was proven or copied has lost data: it was wiped, or restored from an old
 * backup. Nothing is deleted because of it.
 */
export function hasLostData(missing: number, expected: number, shareMax = MISSING_SHARE_MAX): boolean {
  return missing > Math.max(MISSING_ROWS_MAX, expected * shareMax);
}
