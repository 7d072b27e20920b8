import { DIFFERENCES_MAX, SEGMENT_ROWS_MAX } from '../../domain/limits';
import { whileCollectionExists } from '../collections/presence';
import type { ReconcileInput, ReconcileResult, WalkCursor } from '../../contract/move';
import { findLeaders } from '../frame/leaders';
import { applyDifferences, type Difference } from './apply-differences';
import type { ActivityScope } from '../frame/run-activity';
import { SliceMerge } from '../rows/slice-merge';
import type { SliceStream } from '../rows/slice-stream';
import { StopWatch } from '../frame/stop-watch';

/** What a heartbeat carries: the place up to which all is compared and applied, and what was found up to there. */
interface SegmentProgress {
  readonly cursor: WalkCursor | null;
  readonly restarted: boolean;
  readonly counts: SegmentCounts;
  /** Something may have been written that `counts` does not have. */
  readonly mayHaveWritten: boolean;
}
type SegmentCounts = Pick<
  ReconcileResult,
  'pointsCompared' | 'bytesCompared' | 'differences' | 'settledByThemselves' | 'upserted' | 'deleted'
>;

const NOTHING: SegmentCounts = {
  pointsCompared: 0,
  bytesCompared: 0,
  differences: 0,
  settledByThemselves: 0,
  upserted: 0,
  deleted: 0,
};

/**
 * Compares one segment of a pass. Safe points, in this order, whatever dies in between:
 *  1. Rows are compared, and differences are collected.
 *  2. Differences are settled and applied.
 *  3. Only then the cursor behind them is heartbeated or returned, with what was found and written up to there. So no
 *     retry passes over a difference.
 *
 * What an attempt wrote after its last cursor is compared once more and found equal. Nobody counts it, so
 * `mayHaveWritten` says that this pass did write (INV-4).
 */
export async function reconcileSegment(scope: ActivityScope, input: ReconcileInput): Promise<ReconcileResult> {
  const { attempt } = scope;
  const begin: SegmentProgress = { cursor: input.cursor, restarted: false, counts: NOTHING, mayHaveWritten: false };
  const start = (): SegmentProgress => {
    const reached = (attempt.reached as SegmentProgress | null) ?? begin;
    return { ...reached, mayHaveWritten: reached.mayHaveWritten || attempt.hasUncountedWrites };
  };
  await findLeaders(scope, input.shards);
  const end = await whileCollectionExists(scope, input, () => comparePart(scope, input, start()));
  const collectionGone = end === 'gone';
  const { counts, ...rest } = collectionGone ? { ...start(), cursor: null } : end;
  return { ...rest, collectionGone, ...counts, lateWritesUntilMs: attempt.lateWritesUntilMs };
}

async function comparePart(
  scope: ActivityScope,
  input: ReconcileInput,
  start: SegmentProgress,
): Promise<SegmentProgress> {
  const { attempt, shards } = scope;
  const { merge, restarted } = await SliceMerge.open(scope, { ...input, cursor: start.cursor, withPoints: true });
  const pass = new Comparison(merge, restarted ? beginAgain(start) : start);
  const watch = new StopWatch(attempt);
  try {
    for (;;) {
      const hasEnded = await pass.compare(watch);
      if (pass.differing.length > 0) {
        const shard = (shardId: number) => shards.ofMove(input, shardId);
        const { collection, settleMs } = input;
        pass.applied(await applyDifferences(pass.differing, { attempt, collection, settleMs, shard }));
      }
      if (hasEnded) return { ...pass.progress(), cursor: null };
      attempt.reach(pass.progress());
      if (attempt.isTimeToPause || merge.rowsReadFrom('donor') >= SEGMENT_ROWS_MAX) return pass.progress();
      watch.reported();
    }
  } finally {
    await merge.suspend();
  }
}

/** What was compared is compared again; what was written stays written. */
function beginAgain(start: SegmentProgress): SegmentProgress {
  return { ...start, restarted: true, counts: { ...start.counts, pointsCompared: 0, bytesCompared: 0 } };
}

/** The counts of a segment, and the differences that wait for another look. */
class Comparison {
  differing: Difference[] = [];
  readonly #merge: SliceMerge;
  readonly #start: SegmentProgress;
  readonly #counts: { -readonly [K in keyof SegmentCounts]: SegmentCounts[K] };

  constructor(merge: SliceMerge, start: SegmentProgress) {
    this.#merge = merge;
    this.#start = start;
    this.#counts = { ...start.counts };
  }

  /** Compares until the end (true), or until it is time to report or there are enough differences (false). */
  compare(watch: StopWatch): Promise<boolean> {
    const counts = this.#counts;
    const merge = this.#merge;
    return merge.walk(
      (source, target) => {
        const held = source?.head;
        if (held != null) {
          counts.pointsCompared += 1;
          counts.bytesCompared += held.raw.length;
          if (target?.head?.raw.equals(held.raw) === true) return true;
        }
        this.#differs(source ?? target);
        return this.differing.length < DIFFERENCES_MAX;
      },
      () => watch.isTimeToReport(this.differing.length > 0) || merge.rowsReadFrom('donor') >= SEGMENT_ROWS_MAX,
    );
  }

  #differs(stream: SliceStream | null): void {
    if (stream?.head == null) return;
    this.differing.push({ id: stream.head.id, donorId: stream.headDonor, ownerId: stream.headOwner });
  }

  applied(result: { settledByThemselves: number; upserted: number; deleted: number }): void {
    this.#counts.differences += this.differing.length;
    this.#counts.settledByThemselves += result.settledByThemselves;
    this.#counts.upserted += result.upserted;
    this.#counts.deleted += result.deleted;
    this.differing = [];
  }

  /** Only between `applied` and the next `compare`: then nothing before the cursor is left to do. */
  progress(): SegmentProgress {
    return { ...this.#start, cursor: this.#merge.cursor(), counts: { ...this.#counts } };
  }
}
