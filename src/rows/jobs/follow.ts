/**
 * Right after the flip, for one donor: what still arrives there is looked at as it comes.
 *
 * Every router sends new writes to the owners alone by now. A dual write that is under way has reached the owner before
 * it reaches the donor. So a row that arrives on the donor, and that its owner lacks or has not changed, came by an old
 * map: from a router that hung, or that holds its seeds, or with a write that took long. It goes on to its owner.
 *
 * It rests on the tail of the last scan. Where that is lost, the scan of the drop decides with less knowledge.
 */
import type { PlacementSpec } from '../../domain/shard-map';
import { judgeLeft } from '../../domain/row-decisions';
import { rowsOnOwners, type Candidate } from '../pairs';
import { CollectionMissing, type Job, type Row } from '../ports';
import { isSameRow, rowDigest } from '../row';
import type { DonorSession } from '../sessions';
import { Slice } from '../slice';
import { merge } from '../spool/merge';
import type { SpooledRow } from '../spool/spool';
import type { MoveParts } from './move-parts';

export interface FollowJob {
  readonly operationId: string;
  readonly donorId: number;
  readonly placement: PlacementSpec;
  readonly collections: readonly string[];
  readonly forMs: number;
  /** The donor has dropped its slice, so what is carried goes from it at once. */
  readonly isDropped: boolean;
}

export interface FollowDone {
  readonly isTailKept: boolean;
  readonly carried: number;
}

/** Before a client that saw its write answered can have deleted the row on its owner again, and made it look late. */
const LOOK_EVERY_MS = 10;

export async function followDonor(job: Job, input: FollowJob, parts: MoveParts): Promise<FollowDone> {
  const session = parts.sessions.find(input.operationId, input.donorId);
  const endsAtMs = job.nowMs() + input.forMs;
  let carried = 0;
  // What arrived before every router held the flipped map may be of both sides, and changed or gone on the owner since.
  let isLate = input.isDropped;
  for (;;) {
    const isLast = job.nowMs() >= endsAtMs;
    if (session?.hasKeptTail === true) carried += await followOnce(input, { parts, session, isLate });
    // A row that a follower tells of may have been on both sides a while ago, too.
    isLate ||= session?.tail?.isFresh === true;
    // Without a tail there is nothing to wait for.
    if (isLast || session?.hasKeptTail !== true) return { isTailKept: session?.hasKeptTail === true, carried };
    await job.sleep(Math.min(LOOK_EVERY_MS, Math.max(endsAtMs - job.nowMs(), 1)));
  }
}

async function followOnce(
  input: FollowJob,
  { parts, session, isLate }: { parts: MoveParts; session: DonorSession; isLate: boolean },
): Promise<number> {
  const slice = new Slice(input.placement, input.donorId);
  const arrived = session.tail?.take() ?? new Map<string, Buffer[]>();
  let carried = 0;
  try {
    for (const [collection, ids] of arrived) {
      if (!input.collections.includes(collection)) continue;
      const candidates = ids.map((id) => ({ id, ownerId: slice.finalOwnerOf(id) }));
      carried += await carryLate(collection, candidates, { input, parts, session, isLate });
    }
  } catch (error) {
    if (error instanceof CollectionMissing) return carried;
    // What was taken from the tail is known to nobody now.
    await session.tail?.close();
    throw error;
  }
  return carried;
}

async function carryLate(
  collection: string,
  candidates: readonly Candidate[],
  { input, parts, session, isLate }: { input: FollowJob; parts: MoveParts; session: DonorSession; isLate: boolean },
): Promise<number> {
  const { shards } = parts;
  const { donorId } = input;
  const rows = await shards(donorId).getRows(
    collection,
    candidates.map(({ id }) => id),
  );
  const owners = await rowsOnOwners(candidates, { shards, collection });
  const seen = candidates
    .map((candidate, index) => ({ candidate, row: rows[index] ?? null, owner: owners.get(candidate) ?? null }))
    .filter(({ row }) => row !== null);
  const late = seen.filter(({ row, owner }) => !isSameRow(row, owner));
  const gone = candidates.filter((candidate, index) => rows[index] == null && owners.get(candidate) != null);
  if (input.isDropped) {
    // A copy of what the owner holds: it came too late for the drop.
    const equal = seen.filter(({ row, owner }) => isSameRow(row, owner)).map(({ candidate }) => candidate.id);
    if (equal.length > 0) await shards(donorId).delete(collection, equal);
  }
  if (late.length + gone.length === 0) return 0;
  const proofs = proofsOf(session, collection, [
    ...late.map(({ candidate }) => candidate.id),
    ...gone.map(({ id }) => id),
  ]);
  let carried = 0;
  // What it lacks may be gone with its volume.
  if (gone.length > 0) await shards(donorId).confirmIdentity();
  for (const candidate of gone) {
    const proof = proofs.get(candidate.id.toString('latin1'));
    const owner = owners.get(candidate) ?? null;
    // A drop of our own deletes too, so only what is deleted before it came from a router with an old map.
    if (input.isDropped || !isLate || owner === null || proof?.digest.equals(rowDigest(owner)) !== true) continue;
    await shards(candidate.ownerId).delete(collection, [candidate.id]);
    carried += 1;
  }
  for (const { candidate, row, owner } of late) {
    const proof = proofs.get(candidate.id.toString('latin1'));
    const kind = proof === undefined ? null : proofKind(proof.digest, row, owner);
    // The scan of the drop decides about it, unless it came by an old map for certain.
    if (!isLate && kind !== 'as-owner') continue;
    const decision = judgeLeft({
      proof: kind,
      isOnOwner: owner !== null,
      isSame: false,
      isWatchUnbroken: false,
      cameLate: true,
    });
    if (isLate) session.noteLate(collection, candidate.id);
    if (decision === 'carry' && row !== null) {
      // What it showed may be an old volume.
      await shards(donorId).confirmIdentity();
      await shards(candidate.ownerId).upsert(collection, [row]);
      carried += 1;
    }
    // What was dropped and has come back is gone again where its owner has a newer one, or has deleted it.
    if (input.isDropped && decision !== 'keep') await shards(donorId).delete(collection, [candidate.id]);
  }
  return carried;
}

function proofKind(proof: Buffer, donor: Row | null, owner: Row | null): 'as-donor' | 'as-owner' | 'other' {
  if (donor !== null && proof.equals(rowDigest(donor))) return 'as-donor';
  return owner !== null && proof.equals(rowDigest(owner)) ? 'as-owner' : 'other';
}

function proofsOf(session: DonorSession, collection: string, ids: readonly Buffer[]): Map<string, SpooledRow> {
  const found = new Map<string, SpooledRow>();
  if (!session.isProof) return found;
  const wanted = new Set(ids.map((id) => id.toString('latin1')));
  for (const { id, rows } of merge((session.spools.get(collection) ?? []).map((spool) => spool.read()))) {
    const key = id.toString('latin1');
    if (!wanted.has(key)) continue;
    const row = rows.find((each) => each !== null);
    if (row != null) found.set(key, { id: Buffer.from(row.id), digest: Buffer.from(row.digest) });
  }
  return found;
}
