/** The undo of what a move has put on its receivers: one scan of the receiver says what lies there of the slice. */
import { hasLostData } from '../../domain/row-decisions';
import type { ScanReport } from '../../contract/move';
import type { PlacementSpec } from '../../domain/shard-map';
import { PlacementPlan } from '../../domain/placement-plan';
import { PacedDelete } from '../paced-delete';
import { IDS_PER_LOOK } from '../pairs';
import { CollectionMissing, type Job, type Row } from '../ports';
import { reportOf, scanCut } from '../scan';
import { isReceived } from '../slice';
import type { Spool } from '../spool/spool';
import { Spooling } from '../spool/spooling';
import type { MoveParts } from './move-parts';

export interface RemoveJob {
  readonly receiverId: number;
  readonly placement: PlacementSpec;
  /** Null: all that the receiver has. */
  readonly collections: readonly string[] | null;
  /**
   * - `all`: the receiver held nothing of its own in these collections.
   * - `held`: only what the donor holds, which is the owner again, and what it is known to have deleted.
   */
  readonly which: 'all' | 'held';
  /** With `held`: what the donor lacks was deleted by clients, as long as it has not lost its data. */
  readonly absentIsDeleted: boolean;
  readonly settleMs: number;
}

export interface RemoveDone {
  readonly removed: number;
  readonly kept: number;
  readonly scan: ScanReport;
}

/** How many rows a receiver holds of a slice that is not its own yet. */
export async function countStrays(
  job: Job,
  { receiverId, placement }: Pick<RemoveJob, 'receiverId' | 'placement'>,
  parts: MoveParts,
): Promise<{ strays: number; scan: ScanReport }> {
  const plan = new PlacementPlan(placement);
  const receiver = parts.shards(receiverId);
  await receiver.confirmIdentity();
  const source = await receiver.source();
  let strays = 0;
  const cut = await scanCut(source, job, (_collection, rows) => {
    for (const { id } of rows) if (isReceived(plan, id, receiverId)) strays += 1;
  });
  cut.end();
  return { strays, scan: reportOf(source, cut) };
}

export async function removeFromReceiver(job: Job, input: RemoveJob, parts: MoveParts): Promise<RemoveDone> {
  const receiver = parts.shards(input.receiverId);
  const plan = new PlacementPlan(input.placement);
  const found = new Spooling(parts.spoolFolder);
  await receiver.confirmIdentity();
  const isWanted = (collection: string): boolean => input.collections?.includes(collection) ?? true;
  const source = await receiver.source();
  let cut: Awaited<ReturnType<typeof scanCut>>;
  try {
    cut = await scanCut(source, job, (collection, rows) => {
      if (!isWanted(collection)) return;
      for (const { id } of rows) if (isReceived(plan, id, input.receiverId)) found.add(collection, id, NO_DIGEST);
    });
    cut.end();
  } catch (error) {
    found.discard();
    throw error;
  }
  const spools = found.finish();
  let [removed, kept] = [0, 0];
  try {
    for (const [collection, spool] of spools) {
      const done = await removeSome(job, { input, parts, plan, collection, spool });
      removed += done.removed;
      kept += done.kept;
      job.report({ rowsRead: cut.rowsRead, points: removed, bytes: 0, expected: found.rows });
    }
  } finally {
    for (const spool of spools.values()) spool.close();
  }
  // One that came back with another volume meanwhile still holds them.
  await receiver.confirmIdentity();
  return { removed, kept, scan: reportOf(source, cut) };
}

const NO_DIGEST = Buffer.alloc(16);

interface Removal {
  readonly input: RemoveJob;
  readonly parts: MoveParts;
  readonly plan: PlacementPlan;
  readonly collection: string;
  readonly spool: Spool;
}

async function removeSome(job: Job, removal: Removal): Promise<{ removed: number; kept: number }> {
  const { input, parts, collection, spool } = removal;
  const deletes = new PacedDelete(job, parts.shards(input.receiverId));
  const absent: Buffer[] = [];
  let removed = 0;
  try {
    for (const ids of batchesOf(spool)) {
      const mayGo = input.which === 'all' ? ids : await heldByDonor(removal, ids, absent);
      if (input.which === 'held') await confirmDonors(removal);
      removed += await deletes.delete(collection, mayGo);
    }
    if (absent.length === 0) return { removed, kept: 0 };
    await job.sleep(input.settleMs);
    const still: Buffer[] = [];
    for (let start = 0; start < absent.length; start += IDS_PER_LOOK) {
      const some = await heldByDonor(removal, absent.slice(start, start + IDS_PER_LOOK), still);
      await confirmDonors(removal);
      removed += await deletes.delete(collection, some);
    }
    if (!input.absentIsDeleted || hasLostData(still.length, spool.count)) return { removed, kept: still.length };
    await confirmDonors(removal);
    removed += await deletes.delete(collection, still);
    return { removed, kept: 0 };
  } catch (error) {
    // A client dropped it meanwhile: nothing is left of it.
    if (error instanceof CollectionMissing) return { removed, kept: 0 };
    throw error;
  }
}

/** INV-8: what a donor showed, or lacked, counts only when it is still the shard that it was. */
async function confirmDonors({ input: { placement, receiverId }, parts }: Removal): Promise<void> {
  const { shards, joining, leaving } = placement;
  const donors = leaving.length > 0 ? leaving : shards.filter((id) => !joining.includes(id));
  for (const id of donors) if (id !== receiverId) await parts.shards(id).confirmIdentity();
}

function* batchesOf(spool: Spool): Generator<Buffer[]> {
  let ids: Buffer[] = [];
  for (const { id } of spool.read()) {
    ids.push(Buffer.from(id));
    if (ids.length < IDS_PER_LOOK) continue;
    yield ids;
    ids = [];
  }
  if (ids.length > 0) yield ids;
}

/** Those that their donor holds. The others are added to `absent`. */
async function heldByDonor({ parts, plan, collection }: Removal, ids: Buffer[], absent: Buffer[]): Promise<Buffer[]> {
  const donors = new Map<number, Buffer[]>();
  for (const id of ids) {
    const donorId = plan.donorOf(id);
    if (donorId === null) continue;
    donors.set(donorId, [...(donors.get(donorId) ?? []), id]);
  }
  const held: Buffer[] = [];
  for (const [donorId, ofDonor] of donors) {
    let rows: (Row | null)[];
    try {
      rows = await parts.shards(donorId).getRows(collection, ofDonor);
    } catch (error) {
      if (!(error instanceof CollectionMissing)) throw error;
      rows = [];
    }
    ofDonor.forEach((id, index) => (rows[index] == null ? absent : held).push(id));
  }
  return held;
}
