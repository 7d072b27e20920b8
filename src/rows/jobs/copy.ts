/**
 * The copy of a move, one job a donor: one scan, and the rows of its slice go to their owners as they came.
 *
 * It needs no care, because the passes have the last word. Only this must hold: every id that may have been written is
 * spooled, so that a pass looks at it. An id that an attempt in a lost process wrote is spooled nowhere, and then the
 * passes must scan the owners too (`knowsAllWritten`).
 */
import type { ScanReport } from '../../contract/move';
import type { PlacementSpec } from '../../domain/shard-map';
import { OwnerWriter } from '../owner-writer';
import type { Job, Row } from '../ports';
import { rowDigest } from '../row';
import { reportOf, scanCut } from '../scan';
import type { DonorSession } from '../sessions';
import { Slice } from '../slice';
import type { Spool } from '../spool/spool';
import { Spooling } from '../spool/spooling';
import { Tail } from '../tail';
import type { MoveParts } from './move-parts';
import { scanReceivers } from './receivers';

export interface CopyJob {
  readonly operationId: string;
  readonly donorId: number;
  readonly placement: PlacementSpec;
  readonly collections: readonly string[];
  /** Names this attempt, and the one before it; null for the first of all. */
  readonly attempt: string;
  readonly attemptBefore: string | null;
  readonly expected: number;
}

export interface CopyDone {
  readonly scan: ScanReport;
  readonly pointsCopied: number;
  readonly bytesCopied: number;
  readonly knowsAllWritten: boolean;
}

export async function copyDonor(job: Job, input: CopyJob, parts: MoveParts): Promise<CopyDone> {
  const { operationId, donorId } = input;
  const { shards, sessions } = parts;
  await shards(donorId).confirmIdentity();
  const source = await shards(donorId).source();
  const session = sessions.open(operationId, donorId);
  session.beginAttempt(input.attempt, input.attemptBefore);
  await spoolWhatReceiversHold(job, input, { parts, session });
  const slice = new Slice(input.placement, donorId);
  const writer = new OwnerWriter(job, shards, parts);
  const spooling = new Spooling(parts.spoolFolder);
  const moved = new Set(input.collections);
  let rowsRead = 0;
  let tail: Tail | null = null;
  const copyRows = async (collection: string, rows: readonly Row[]): Promise<void> => {
    rowsRead += rows.length;
    if (!moved.has(collection)) return;
    for (const row of rows) {
      const ownerId = slice.ownerOf(row.id);
      if (ownerId === null) continue;
      spooling.add(collection, row.id, rowDigest(row));
      await writer.add(ownerId, collection, row);
    }
    job.report({ rowsRead, points: writer.points, bytes: writer.bytes, expected: input.expected });
  };
  try {
    const cut = await scanCut(source, job, copyRows);
    tail = new Tail(cut.tail, slice, { end: cut.end, of: source });
    await session.follow(tail);
    await writer.flush();
    // A donor that came back with another volume has shown another cut.
    await shards(donorId).confirmIdentity();
    return {
      scan: reportOf(source, cut),
      pointsCopied: writer.points,
      bytesCopied: writer.bytes,
      knowsAllWritten: session.knowsAllWritten,
    };
  } finally {
    await writer.close();
    // Also of an attempt that failed: what it wrote must be looked at by a pass.
    for (const [name, spool] of spooling.finish()) session.add(name, spool, { of: tail });
  }
}

/**
 * Before every router held the announced map, one of them may have written a row to both sides, and another one deleted it
 * on the donor alone. No scan of the donor shows such a row. A joiner is almost empty now, so its scan costs nothing.
 */
async function spoolWhatReceiversHold(
  job: Job,
  input: CopyJob,
  { parts, session }: { parts: MoveParts; session: DonorSession },
): Promise<void> {
  const found = new Map<string, Spool[]>();
  try {
    await scanReceivers(job, input, { parts, found });
  } finally {
    for (const [name, spools] of found) for (const spool of spools) session.add(name, spool, { of: null });
  }
}
