/**
 * Right after the flip, for one donor: what still arrives there is looked at as it comes.
 *
 * Until every router holds the flipped map, dual writes arrive too. They have reached the owner before they reach the
 * donor. So a row that the owner lacks when it has just arrived came by an old map: from a router that hung, or that
 * holds its seeds, or with a write that took long. It goes on to its owner. A look that comes late says less: by then a
 * client may have deleted the row on its owner alone.
 *
 * When every router holds the flipped map, new writes go to the owners alone. Then a row that arrives, and that its owner
 * lacks or has not changed, came by an old map, however late the look.
 *
 * It rests on the tail of the last scan. Where that is lost, the scan of the drop decides with less knowledge.
 */
import type { PlacementSpec } from '../../domain/shard-map';
import { judgeLeft } from '../../domain/row-decisions';
import { IDS_PER_LOOK, rowsOnOwners, type Candidate } from '../pairs';
import { CollectionMissing, type Job, type Row, type Shards } from '../ports';
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
  /** How long ago the map flipped, while routers may still hold the one before; null when every one holds the flipped map. */
  readonly sinceFlipMs: number | null;
  /** The donor has dropped its slice, so what is carried goes from it at once. */
  readonly isDropped: boolean;
}

export interface FollowDone {
  readonly isTailKept: boolean;
  readonly carried: number;
}

/** Before a client that saw its write answered can have deleted the row on its owner again, and made it look late. */
const LOOK_EVERY_MS = 10;
/** A delete that goes to both sides has reached the donor so long after its owner. */
const SETTLED_MS = 100;
/**
 * Until then after the last pass, hardly a client can have deleted on the owner alone what arrived before: routers ask for their
 * map every 2 s. Also the longest pause between two looks that come in time.
 */
const IN_TIME_MS = 300;

export async function followDonor(job: Job, input: FollowJob, parts: MoveParts): Promise<FollowDone> {
  const session = parts.sessions.find(input.operationId, input.donorId);
  const startedAtMs = job.nowMs();
  const endsAtMs = startedAtMs + input.forMs;
  let carried = 0;
  for (;;) {
    const isLast = job.nowMs() >= endsAtMs;
    if (session?.hasKeptTail === true) {
      const knowledge = knowledgeOf(session, input, { nowMs: job.nowMs(), startedAtMs });
      session.followedAtMs = job.nowMs();
      carried += await followOnce(job, input, { parts, session, knowledge });
    }
    // Without a tail there is nothing to wait for.
    if (isLast || session?.hasKeptTail !== true) return { isTailKept: session?.hasKeptTail === true, carried };
    await job.sleep(Math.min(LOOK_EVERY_MS, Math.max(endsAtMs - job.nowMs(), 1)));
  }
}

/**
 * What is known of rows that a look finds.
 *
 * - `late`: they arrived when every router held the flipped map.
 * - `just-arrived`: they may be dual writes, but nobody can have deleted them on their owner since.
 * - `unsure`: they arrived some time before, so one that its owner lacks may have been deleted there since.
 * - `nothing`: a follower tells of them at any time, and the scan of the drop decides.
 */
type Knowledge = 'late' | 'just-arrived' | 'unsure' | 'nothing';

function knowledgeOf(
  session: DonorSession,
  { sinceFlipMs, isDropped }: FollowJob,
  { nowMs, startedAtMs }: { nowMs: number; startedAtMs: number },
): Knowledge {
  if (isDropped) return 'late';
  if (session.tail?.isFresh !== true) return 'nothing';
  if (sinceFlipMs === null && session.followedAtMs !== null && session.followedAtMs >= startedAtMs) return 'late';
  // The pass before the flip ended in this process. How long this job has waited for its turn since, nobody has told it.
  const lastMs = Math.max(session.comparedAtMs ?? -Infinity, session.followedAtMs ?? -Infinity);
  return nowMs - lastMs <= IN_TIME_MS ? 'just-arrived' : 'unsure';
}

async function followOnce(
  job: Job,
  input: FollowJob,
  { parts, session, knowledge }: { parts: MoveParts; session: DonorSession; knowledge: Knowledge },
): Promise<number> {
  const slice = new Slice(input.placement, input.donorId);
  const arrived = session.tail?.take() ?? new Map<string, Buffer[]>();
  let carried = 0;
  try {
    for (const [collection, ids] of arrived) {
      if (!input.collections.includes(collection)) continue;
      // Behind a drop all that was deleted has arrived, tens of thousands. Before it, what arrived together is judged together, in time.
      const atOnce = input.isDropped ? IDS_PER_LOOK : Math.max(ids.length, 1);
      for (let start = 0; start < ids.length; start += atOnce) {
        const some = ids.slice(start, start + atOnce);
        const candidates = some.map((id) => ({ id, ownerId: slice.finalOwnerOf(id) }));
        carried += await carryLate(job, collection, candidates, { input, parts, session, knowledge });
      }
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
  job: Job,
  collection: string,
  candidates: readonly Candidate[],
  {
    input,
    parts,
    session,
    knowledge,
  }: { input: FollowJob; parts: MoveParts; session: DonorSession; knowledge: Knowledge },
): Promise<number> {
  const { shards } = parts;
  const { donorId } = input;
  const { rows, owners } = await lookInParts(candidates, { shards, collection, donorId });
  const seen = candidates
    .map((candidate, index) => ({ candidate, row: rows[index] ?? null, owner: owners.get(candidate) ?? null }))
    .filter((each): each is Seen => each.row !== null);
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
    if (input.isDropped || knowledge !== 'late' || owner === null || proof?.digest.equals(rowDigest(owner)) !== true)
      continue;
    await shards(candidate.ownerId).delete(collection, [candidate.id]);
    carried += 1;
  }
  for (const { candidate, row, owner } of await settled(job, late, { collection, donorId, shards })) {
    const proof = proofs.get(candidate.id.toString('latin1'));
    const kind = proof === undefined ? null : proofKind(proof.digest, row, owner);
    const came = cameOf(knowledge, kind === null && owner === null);
    if (came !== null) session.noteCame(collection, candidate.id, came);
    // The scan of the drop decides about it, unless it came by an old map for certain.
    if (came !== 'late' && kind !== 'as-owner') continue;
    const decision = judgeLeft({
      proof: kind,
      isOnOwner: owner !== null,
      isSame: isSameRow(row, owner),
      isWatchUnbroken: false,
      came: 'late',
    });
    if (decision === 'carry') {
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

/** A shard stands still for as long as one question takes, so it is asked for some at a time. */
async function lookInParts(
  candidates: readonly Candidate[],
  { shards, collection, donorId }: { collection: string; donorId: number; shards: Shards },
): Promise<{ rows: readonly (Row | null)[]; owners: ReadonlyMap<Candidate, Row | null> }> {
  const rows: (Row | null)[] = [];
  const owners = new Map<Candidate, Row | null>();
  for (let start = 0; start < candidates.length; start += IDS_PER_LOOK) {
    const some = candidates.slice(start, start + IDS_PER_LOOK);
    // The donor first: a write is on its owner before it is there.
    const onDonor = await shards(donorId).getRows(
      collection,
      some.map(({ id }) => id),
    );
    rows.push(...onDonor);
    for (const [candidate, row] of await rowsOnOwners(some, { shards, collection })) owners.set(candidate, row);
  }
  return { rows, owners };
}

function cameOf(knowledge: Knowledge, isNowhereElse: boolean): 'late' | 'unsure' | null {
  if (knowledge === 'late') return 'late';
  if (!isNowhereElse) return null;
  if (knowledge === 'just-arrived') return 'late';
  return knowledge === 'unsure' ? 'unsure' : null;
}

interface Seen {
  readonly candidate: Candidate;
  readonly row: Row;
  readonly owner: Row | null;
}

/** As it is a moment later. Without those that only looked as if their owner lacked them, because a delete was on its way from there to the donor. */
async function settled(
  job: Job,
  late: readonly Seen[],
  { collection, donorId, shards }: { collection: string; donorId: number; shards: Shards },
): Promise<readonly Seen[]> {
  const lacking = late.filter(({ owner }) => owner === null);
  if (lacking.length === 0) return late;
  await job.sleep(SETTLED_MS);
  const { rows, owners } = await lookInParts(
    lacking.map(({ candidate }) => candidate),
    { shards, collection, donorId },
  );
  const again = new Map(
    lacking.map((each, index) => [each, { row: rows[index] ?? null, owner: owners.get(each.candidate) ?? null }]),
  );
  return late.flatMap((each) => {
    const now = again.get(each);
    if (now === undefined) return [each];
    // What has changed once more is told once more.
    return isSameRow(each.row, now.row) ? [{ ...each, owner: now.owner }] : [];
  });
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
