/**
 * Looks at rows by id on their donor and their owner, and makes the owner like the donor, which is the truth before the
 * flip. A dual write that is half-way (owner written, donor not yet) is a difference that settles by itself, so every
 * difference is left alone for a settle time and looked at again before anything is written.
 */
import { judgePair, type PairDecision } from '../domain/row-decisions';
import { Pace } from './pace';
import { isSameRow } from './row';
import type { Job, Row, RowShard, Shards } from './ports';

/** One question to a shard. Busy clients hardly feel a shard that answers this many. */
export const IDS_PER_LOOK = 100;
const LOOKS_MAX = 3;
/** Rows whose bytes are in memory between reading them from the donor and writing them to the owner. */
const PUT_ROWS_MAX = 64;
/** How often a row is written again because the donor changed meanwhile. The next pass sees what differs after that. */
const PUT_TURNS_MAX = 3;

export interface Candidate {
  readonly id: Buffer;
  readonly ownerId: number;
}

export interface SeenPair extends Candidate {
  readonly onDonor: Row | null;
  readonly onOwner: Row | null;
  readonly decision: PairDecision;
}

export interface PairScope {
  readonly job: Job;
  readonly donor: RowShard;
  readonly shards: Shards;
  readonly collection: string;
  readonly settleMs: number;
}

/** What donor and owner hold of these rows now. Both sides are asked side by side. */
export async function lookAt(candidates: readonly Candidate[], scope: PairScope): Promise<SeenPair[]> {
  const seen: SeenPair[] = [];
  for (let start = 0; start < candidates.length; start += IDS_PER_LOOK) {
    const some = candidates.slice(start, start + IDS_PER_LOOK);
    const [onDonor, onOwner] = await Promise.all([
      scope.donor.getRows(
        scope.collection,
        some.map(({ id }) => id),
      ),
      rowsOnOwners(some, scope),
    ]);
    some.forEach((candidate, index) => {
      seen.push(pairOf(candidate, onDonor[index] ?? null, onOwner.get(candidate) ?? null));
    });
  }
  return seen;
}

export async function rowsOnOwners<T extends Candidate>(
  candidates: readonly T[],
  { shards, collection }: Pick<PairScope, 'shards' | 'collection'>,
): Promise<Map<T, Row | null>> {
  const rows = new Map<T, Row | null>();
  await Promise.all(
    [...new Set(candidates.map(({ ownerId }) => ownerId))].map(async (ownerId) => {
      const ofOwner = candidates.filter((each) => each.ownerId === ownerId);
      const found = await shards(ownerId).getRows(
        collection,
        ofOwner.map(({ id }) => id),
      );
      ofOwner.forEach((each, index) => rows.set(each, found[index] ?? null));
    }),
  );
  return rows;
}

function pairOf(candidate: Candidate, onDonor: Row | null, onOwner: Row | null): SeenPair {
  const pair = {
    isOnDonor: onDonor !== null,
    isOnOwner: onOwner !== null,
    isSame: onDonor !== null && onOwner !== null && isSameRow(onDonor, onOwner),
  };
  return { ...candidate, onDonor, onOwner, decision: judgePair(pair) };
}

/** Of pairs that differed: what is still so after the settle time, and what has settled. */
export async function lookAgain(
  differing: readonly Candidate[],
  scope: PairScope,
): Promise<{ differing: SeenPair[]; settled: SeenPair[] }> {
  const settled: SeenPair[] = [];
  let left: readonly Candidate[] = differing;
  for (let look = 0; look < LOOKS_MAX && left.length > 0; look++) {
    await scope.job.sleep(look === 0 ? scope.settleMs : scope.settleMs / LOOKS_MAX);
    const seen = await lookAt(left, scope);
    settled.push(...seen.filter(isSettled));
    left = seen.filter((pair) => !isSettled(pair));
  }
  return { differing: left as SeenPair[], settled };
}

export function isSettled({ decision }: SeenPair): boolean {
  return decision === 'same' || decision === 'absent';
}

/** Puts the donor's rows on their owners. Returns how many were put; the others were deleted on the donor meanwhile. */
export async function putRows(candidates: readonly Candidate[], scope: PairScope): Promise<number> {
  let put = 0;
  const pace = new Pace(scope.job);
  for (let start = 0; start < candidates.length; start += PUT_ROWS_MAX) {
    put += await putSome(candidates.slice(start, start + PUT_ROWS_MAX), scope, pace);
    // Behind the write: nothing may come between a row that was read and its write.
    await pace.ready();
  }
  return put;
}

async function putSome(candidates: readonly Candidate[], scope: PairScope, pace: Pace): Promise<number> {
  const { donor, shards, collection } = scope;
  const put = new Set<Candidate>();
  let changing = candidates;
  let rows = await read(changing, donor, collection);
  for (let turn = 0; turn < PUT_TURNS_MAX && changing.length > 0; turn++) {
    for (const ownerId of new Set(changing.map((each) => each.ownerId))) {
      const ofOwner = changing.filter((each) => each.ownerId === ownerId);
      const present = ofOwner.map((each) => rows.get(each) ?? null).filter((row) => row !== null);
      if (present.length === 0) continue;
      await shards(ownerId).upsert(collection, present);
      pace.owe(present);
      for (const each of ofOwner) if (rows.get(each) != null) put.add(each);
    }
    const written = rows;
    rows = await read(changing, donor, collection);
    const now = rows;
    changing = changing.filter((each) => now.get(each) != null && !isSameBytes(written.get(each), now.get(each)));
  }
  return put.size;
}

async function read(
  candidates: readonly Candidate[],
  donor: RowShard,
  collection: string,
): Promise<Map<Candidate, Row | null>> {
  const ids = candidates.map(({ id }) => id);
  const rows = await donor.getRows(collection, ids);
  return new Map(candidates.map((each, index) => [each, rows[index] ?? null]));
}

/** Two answers of one shard about one row: here its exact bytes say whether it changed. */
function isSameBytes(a: Row | null | undefined, b: Row | null | undefined): boolean {
  if (a == null || b == null) return (a ?? null) === (b ?? null);
  return a.vector.equals(b.vector) && a.payload.equals(b.payload);
}
