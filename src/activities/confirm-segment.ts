import { SEGMENT_ROWS_MAX } from '../domain/limits';
import { whileCollectionExists } from './collection-presence';
import type { CoordinatorActivities, WalkCursor } from './contract';
import type { ActivityScope } from './run-activity';
import { SliceMerge } from './slice-merge';
import { StopWatch } from './stop-watch';

type ConfirmInput = Parameters<CoordinatorActivities['confirmSegment']>[0];
type ConfirmResult = Awaited<ReturnType<CoordinatorActivities['confirmSegment']>>;
type ConfirmProgress = Omit<ConfirmResult, 'collectionGone'>;

/** Design step 10, one segment: counts, and changes nothing. */
export async function confirmSegment(scope: ActivityScope, input: ConfirmInput): Promise<ConfirmResult> {
  const start = (scope.attempt.resumedProgress as ConfirmProgress | null) ?? {
    cursor: input.cursor,
    restarted: false,
    leftOnDonors: 0,
    heldByOwners: 0,
  };
  const end = await whileCollectionExists(scope, input, () => countPart(scope, input, start));
  if (end === 'gone') return { ...start, cursor: null, collectionGone: true };
  return { ...end, collectionGone: false };
}

async function countPart(scope: ActivityScope, input: ConfirmInput, start: ConfirmProgress): Promise<ConfirmProgress> {
  const { attempt } = scope;
  const { merge, restarted } = await SliceMerge.open(scope, { ...input, cursor: start.cursor, withPoints: false });
  const watch = new StopWatch(attempt);
  let { leftOnDonors, heldByOwners } = start;
  const progress = (cursor: WalkCursor | null): ConfirmProgress => ({
    cursor,
    restarted: restarted || start.restarted,
    leftOnDonors,
    heldByOwners,
  });
  try {
    for (;;) {
      const hasEnded = await merge.run(
        (source, target) => {
          if (source !== null) leftOnDonors += 1;
          if (target !== null) heldByOwners += 1;
          return true;
        },
        () => watch.isTimeToReport(false) || merge.rowsRead >= SEGMENT_ROWS_MAX,
      );
      if (hasEnded) return progress(null);
      attempt.reach(progress(merge.cursor()));
      if (attempt.isTimeToPause || merge.rowsRead >= SEGMENT_ROWS_MAX) return progress(merge.cursor());
      watch.reported();
    }
  } finally {
    await merge.suspend();
  }
}
