import { PlacementPlan } from '../../domain/placement-plan';
import { fetchRows } from '../../shards/rows/point-walk';
import { whileCollectionExists } from '../collections/presence';
import type { CopyPageInput, CopyPageResult } from '../../contract/move';
import { findLeaders } from '../frame/leaders';
import type { ActivityScope } from '../frame/run-activity';
import { SliceWriter } from '../rows/slice-writer';
import { isInSlice } from '../rows/slice-stream';

/**
 * Copies one page. The donor's rows go to their owners as the bytes they came in (INV-6), while the page is still being
 * read. Blind overwriting is right here, because reconcile has the last word. It also finds rows that this copy misses
 * because they moved to another page while clients inserted and deleted.
 */
export async function copyPage(scope: ActivityScope, input: CopyPageInput): Promise<CopyPageResult> {
  await findLeaders(scope, input.shards);
  const copied = await whileCollectionExists(scope, input, () => copyRows(scope, input));
  const { lateWritesUntilMs } = scope.attempt;
  if (copied === 'gone') {
    return { rowsRead: 0, pointsCopied: 0, bytesCopied: 0, collectionGone: true, lateWritesUntilMs };
  }
  return { ...copied, collectionGone: false, lateWritesUntilMs };
}

async function copyRows(
  scope: ActivityScope,
  input: CopyPageInput,
): Promise<Pick<CopyPageResult, 'rowsRead' | 'pointsCopied' | 'bytesCopied'>> {
  const { attempt, shards } = scope;
  const { collection, donorId, offset, limit } = input;
  const plan = new PlacementPlan(input.placement);
  const writer = new SliceWriter(scope, input);
  const page = { offset, limit, withPayload: true, withVector: true };
  let rowsRead = 0;
  try {
    for await (const elements of fetchRows(shards.ofMove(input, donorId), collection, page, attempt.reading)) {
      rowsRead += elements.length;
      for (const { id, raw } of elements) {
        plan.locate(id);
        if (!isInSlice(plan, 'donor', donorId)) continue;
        const owner = plan.owner;
        if (!writer.hasRoomFor(raw)) await writer.makeRoomFor(raw);
        writer.add(owner, raw);
      }
    }
    await writer.flushAll();
  } finally {
    await writer.settled();
  }
  return { rowsRead, pointsCopied: writer.points, bytesCopied: writer.bytes };
}
