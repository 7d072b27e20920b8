/**
 * Applies differences between donor and owner: leaves them alone for a settle time, looks again, and applies those that
 * stayed. The donor is the truth. What it holds is put on the owner byte for byte (INV-6); what it lacks is deleted
 * there.
 *
 * A dual write that is half-way (owner written, donor not yet) is a difference that settles by itself. If it is applied
 * all the same, the owner loses the new value until the next pass sees that the donor has it. So applying counts as
 * writing, and only a pass that wrote nothing allows the flip (INV-4).
 */
import { DELETE_IDS_MAX } from '../../domain/limits';
import type { ShardClient } from '../../shards/http/shard-client';
import type { Attempt } from '../frame/attempt';
import { inParallel, LOOKS_IN_FLIGHT } from '../frame/in-parallel';
import { isSamePoint } from '../rows/same-point';
import { cutToBodies } from '../rows/slice-writer';

export interface Difference {
  readonly id: Buffer;
  readonly donorId: number;
  readonly ownerId: number;
}

export interface AppliedDifferences {
  readonly settledByThemselves: number;
  readonly upserted: number;
  readonly deleted: number;
}

export interface DifferenceScope {
  readonly attempt: Attempt;
  readonly collection: string;
  readonly settleMs: number;
  readonly shard: (shardId: number) => ShardClient;
}

/** How often a difference is looked at before it is applied. */
const LOOKS_MAX = 3;
/** More differences than this at once are a hole in the copy, not half-way dual writes: one look is enough. */
const LOOK_AGAIN_MAX = 64;
/**
 * How often a point is applied again because the donor changed meanwhile. The next pass sees what differs after that.
 */
const APPLY_TURNS_MAX = 3;
/** Points whose bytes are in memory between reading them from the donors and writing them to the owners. */
const BATCH_POINTS = 64;

export async function applyDifferences(
  differences: readonly Difference[],
  scope: DifferenceScope,
): Promise<AppliedDifferences> {
  await scope.attempt.sleep(scope.settleMs);
  let differing = await lookAgain(differences, scope);
  for (let look = 1; look < LOOKS_MAX && differing.length > 0 && differing.length <= LOOK_AGAIN_MAX; look++) {
    await scope.attempt.sleep(scope.settleMs / LOOKS_MAX);
    differing = await lookAgain(differing, scope);
  }
  let upserted = 0;
  let deleted = 0;
  for (let start = 0; start < differing.length; start += BATCH_POINTS) {
    const applied = await applyBatch(differing.slice(start, start + BATCH_POINTS), scope);
    upserted += applied.upserted;
    deleted += applied.deleted;
  }
  return { settledByThemselves: differences.length - differing.length, upserted, deleted };
}

/** The differences that are still there. A missing answer is a failure, never "absent" (INV-8). */
async function lookAgain(differences: readonly Difference[], scope: DifferenceScope): Promise<Difference[]> {
  const { attempt, collection, shard } = scope;
  const still: Difference[] = [];
  await inParallel(differences, LOOKS_IN_FLIGHT, async (difference) => {
    const [held, owned] = await Promise.all([
      shard(difference.donorId).getPoint(collection, difference.id, attempt.reading),
      shard(difference.ownerId).getPoint(collection, difference.id, attempt.reading),
    ]);
    if (!isSamePoint(held, owned)) still.push(difference);
  });
  return still;
}

/** Counts a point once, by the last write to it, however often it was applied. */
async function applyBatch(
  batch: readonly Difference[],
  scope: DifferenceScope,
): Promise<{ upserted: number; deleted: number }> {
  const actions = new Map<Difference, 'upserted' | 'deleted'>();
  let changing: readonly Difference[] = batch;
  let truth = await readDonors(changing, scope);
  for (let turn = 0; turn < APPLY_TURNS_MAX && changing.length > 0; turn++) {
    await writeOwners(changing, truth, scope);
    for (const difference of changing) actions.set(difference, truth.get(difference) == null ? 'deleted' : 'upserted');
    const now = await readDonors(changing, scope);
    const written = truth;
    changing = changing.filter((each) => !isSameAnswer(written.get(each) ?? null, now.get(each) ?? null));
    truth = now;
  }
  const upserted = [...actions.values()].filter((action) => action === 'upserted').length;
  return { upserted, deleted: actions.size - upserted };
}

async function readDonors(
  batch: readonly Difference[],
  scope: DifferenceScope,
): Promise<Map<Difference, Buffer | null>> {
  const { attempt, collection, shard } = scope;
  const held = new Map<Difference, Buffer | null>();
  await inParallel(batch, LOOKS_IN_FLIGHT, async (difference) => {
    const point = await shard(difference.donorId).getPoint(collection, difference.id, attempt.reading);
    held.set(difference, point);
  });
  return held;
}

async function writeOwners(
  batch: readonly Difference[],
  truth: ReadonlyMap<Difference, Buffer | null>,
  { attempt, collection, shard }: DifferenceScope,
): Promise<void> {
  for (const ownerId of new Set(batch.map((each) => each.ownerId))) {
    const ofOwner = batch.filter((each) => each.ownerId === ownerId);
    const present = ofOwner.map((each) => truth.get(each) ?? null).filter((point) => point !== null);
    const absent = ofOwner.filter((each) => truth.get(each) == null).map((each) => each.id);
    for (const body of cutToBodies(present)) {
      await attempt.write((ctx) => shard(ownerId).upsert(collection, body, ctx));
    }
    for (let start = 0; start < absent.length; start += DELETE_IDS_MAX) {
      const ids = absent.slice(start, start + DELETE_IDS_MAX);
      await attempt.write((ctx) => shard(ownerId).deletePoints(collection, ids, ctx));
    }
  }
}

/** Two answers of one shard about one point: here its exact bytes say whether it changed. */
function isSameAnswer(a: Buffer | null, b: Buffer | null): boolean {
  return a === null || b === null ? a === b : a.equals(b);
}
