/** An owner that lacks no more than this many rows of a segment has not lost them: clients deleted them. */
const MISSING_ROWS_MAX = 100;
/** The same as a share of the rows that it should hold. */
const MISSING_SHARE_MAX = 0.2;

/** Plain JSON, so that a retry continues the counts of the attempt before it. Keys are shard ids. */
export interface DropCounts {
  readonly droppedByDonor: Readonly<Record<string, number>>;
  readonly droppedAsDeleted: number;
  readonly kept: number;
  /** Rows of the slice seen on the shards that drop it, by owner. */
  readonly seenByOwner: Readonly<Record<string, number>>;
  /** Of these, rows that the owner lacked at both looks. */
  readonly missingByOwner: Readonly<Record<string, number>>;
}

export const NOTHING_DROPPED: DropCounts = {
  droppedByDonor: {},
  droppedAsDeleted: 0,
  kept: 0,
  seenByOwner: {},
  missingByOwner: {},
};

/** For a walk that begins again: it counts what it sees again, and what was dropped stays dropped. */
export function countsForNewWalk({ droppedByDonor, droppedAsDeleted }: DropCounts): DropCounts {
  return { ...NOTHING_DROPPED, droppedByDonor, droppedAsDeleted };
}

/**
 * What became of the rows of a segment, and whether an owner has lost data. INV-5: "deleted by a client" is believed of
 * a few rows of an owner that holds the others. It is not believed of an owner that holds nothing or lacks a large
 * part. That shard was wiped or restored from an old backup, and the other side's rows may be the last ones.
 */
export class DropLedger {
  readonly #droppedByDonor: Map<string, number>;
  readonly #seenByOwner: Map<string, number>;
  readonly #missingByOwner: Map<string, number>;
  readonly #emptyOwners = new Set<number>();
  #droppedAsDeleted: number;
  #kept: number;

  constructor(counts: DropCounts) {
    this.#droppedByDonor = new Map(Object.entries(counts.droppedByDonor));
    this.#seenByOwner = new Map(Object.entries(counts.seenByOwner));
    this.#missingByOwner = new Map(Object.entries(counts.missingByOwner));
    this.#droppedAsDeleted = counts.droppedAsDeleted;
    this.#kept = counts.kept;
  }

  seen(ownerId: number): void {
    add(this.#seenByOwner, ownerId, 1);
  }

  missing(ownerId: number): void {
    add(this.#missingByOwner, ownerId, 1);
  }

  lostEverything(ownerId: number): void {
    this.#emptyOwners.add(ownerId);
  }

  dropped(donorId: number, rows: number): void {
    add(this.#droppedByDonor, donorId, rows);
  }

  droppedAsDeleted(rows: number): void {
    this.#droppedAsDeleted += rows;
  }

  kept(): void {
    this.#kept += 1;
  }

  /** INV-5: true when the rows that this owner lacks must not count as deleted. */
  hasLost(ownerId: number): boolean {
    if (this.#emptyOwners.has(ownerId)) return true;
    const seen = this.#seenByOwner.get(String(ownerId)) ?? 0;
    const missing = this.#missingByOwner.get(String(ownerId)) ?? 0;
    return missing > Math.max(MISSING_ROWS_MAX, seen * MISSING_SHARE_MAX);
  }

  counts(): DropCounts {
    return {
      droppedByDonor: Object.fromEntries(this.#droppedByDonor),
      droppedAsDeleted: this.#droppedAsDeleted,
      kept: this.#kept,
      seenByOwner: Object.fromEntries(this.#seenByOwner),
      missingByOwner: Object.fromEntries(this.#missingByOwner),
    };
  }
}

function add(counts: Map<string, number>, shardId: number, more: number): void {
  const key = String(shardId);
  counts.set(key, (counts.get(key) ?? 0) + more);
}
