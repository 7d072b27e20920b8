import { SEGMENT_ROWS_MAX } from '../../domain/limits';
import type { CoordinatorActivities } from '../../contract/activities';
import type { WalkCursor } from '../../contract/move';
import { findLeaders } from '../frame/leaders';
import type { ActivityScope } from '../frame/run-activity';
import { SliceMerge } from '../rows/slice-merge';
import { StopWatch } from '../frame/stop-watch';

type ConfirmInput = Parameters<CoordinatorActivities['confirmSegment']>[0];
type ConfirmResult = Awaited<ReturnType<CoordinatorActivities['confirmSegment']>>;
type ConfirmProgress = Omit<ConfirmResult, 'collectionGone'>;

/** Counts one segment and changes nothing. A shard that lacks the collection holds nothing of it. */
export async function confirmSegment(scope: ActivityScope, input: ConfirmInput): Promise<ConfirmResult> {
  const begin: ConfirmProgress = { cursor: input.cursor, restarted: false, leftOnDonors: 0, heldByOwners: 0 };
  await findLeaders(scope, input.shards);
  return await countPart(scope, input, (scope.attempt.reached as ConfirmProgress | null) ?? begin);
}

async function countPart(scope: ActivityScope, input: ConfirmInput, start: ConfirmProgress): Promise<ConfirmResult> {
  const { attempt } = scope;
  const walk = { ...input, cursor: start.cursor, withPoints: false, absentIsEmpty: true };
  const { merge, restarted } = await SliceMerge.open(scope, walk);
  const watch = new StopWatch(attempt);
  let { leftOnDonors, heldByOwners } = restarted ? { leftOnDonors: 0, heldByOwners: 0 } : start;
  const progress = (cursor: WalkCursor | null): ConfirmProgress => ({
    cursor,
    restarted: restarted || start.restarted,
    leftOnDonors,
    heldByOwners,
  });
  try {
    for (;;) {
      const hasEnded = await merge.walk(
        (source, target) => {
          if (source !== null) leftOnDonors += 1;
          if (target !== null) heldByOwners += 1;
          return true;
        },
        () => watch.isTimeToReport(false) || merge.rowsRead >= SEGMENT_ROWS_MAX,
      );
      if (hasEnded) return { ...progress(null), collectionGone: merge.isGoneFrom('donor') };
      attempt.reach(progress(merge.cursor()));
      if (attempt.isTimeToPause || merge.rowsRead >= SEGMENT_ROWS_MAX) {
        return { ...progress(merge.cursor()), collectionGone: false };
      }
      watch.reported();
    }
  } finally {
    await merge.suspend();
  }
}
