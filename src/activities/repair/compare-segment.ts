import { PlacementPlan } from '../../domain/placement-plan';
import { DIFFERENCES_MAX, SEGMENT_ROWS_MAX } from '../../domain/limits';
import type { CompareInput, CompareResult } from '../../contract/repair';
import { findLeaders } from '../frame/leaders';
import { FindingLedger, type SegmentProgress } from './finding-ledger';
import { HolderMerge, type HolderStream, type Visit } from '../rows/holder-merge';
import { findingsOf } from './judge-point';
import { FindingRepair, type Misplaced } from './repair-findings';
import type { ActivityScope } from '../frame/run-activity';
import { StopWatch } from '../frame/stop-watch';

/**
 * One segment of a check or a repair. Safe points, in this order, whatever dies in between:
 *  1. Rows are compared. What lies where it does not belong is counted (check) or collected (repair).
 *  2. What was collected is looked at again and repaired. A repair counts from then on, because no retry finds it
 *     again.
 *  3. Only then the cursor behind all of it is heartbeated or returned.
 *
 * A repair reads ids only: it looks at every point again before it acts, and that brings the bytes.
 */
export async function compareSegment(scope: ActivityScope, input: CompareInput): Promise<CompareResult> {
  const { attempt } = scope;
  await findLeaders(scope, [...input.shards, ...input.leftovers]);
  const end = await comparePart(scope, input, startOf(scope, input));
  return { ...end, lateWritesUntilMs: attempt.lateWritesUntilMs };
}

function startOf({ attempt }: ActivityScope, { cursor }: CompareInput): SegmentProgress {
  const reached = (attempt.reached as SegmentProgress | null) ?? {
    cursor,
    restarted: false,
    rowsRead: 0,
    seen: { points: 0, byHolder: {} },
    samples: [],
    mended: { byHolder: {}, moved: 0, removedByHolder: {} },
    mayHaveWritten: false,
  };
  return { ...reached, mayHaveWritten: reached.mayHaveWritten || attempt.hasUncountedWrites };
}

async function comparePart(
  scope: ActivityScope,
  input: CompareInput,
  start: SegmentProgress,
): Promise<SegmentProgress> {
  const { attempt } = scope;
  const withPoints = input.mend === null;
  const { merge, restarted } = await HolderMerge.open(scope, { ...input, cursor: start.cursor, withPoints });
  const ledger = new FindingLedger(start, restarted);
  const comparison = new Comparison(scope, { input, merge, ledger });
  const watch = new StopWatch(attempt);
  try {
    for (;;) {
      const hasEnded = await comparison.compare(watch);
      await comparison.repair();
      ledger.reached(hasEnded ? null : merge.cursor(), merge.rowsRead);
      const progress = ledger.progress();
      if (hasEnded) return progress;
      attempt.reach(progress);
      if (attempt.isTimeToPause || merge.rowsRead >= SEGMENT_ROWS_MAX) return progress;
      watch.reported();
    }
  } finally {
    await merge.suspend();
  }
}

class Comparison {
  readonly #input: CompareInput;
  readonly #merge: HolderMerge;
  readonly #ledger: FindingLedger;
  readonly #plan: PlacementPlan;
  readonly #owners: ReadonlyMap<number, HolderStream>;
  readonly #repair: FindingRepair | null;
  #misplaced: Misplaced[] = [];

  constructor(
    scope: ActivityScope,
    { input, merge, ledger }: { input: CompareInput; merge: HolderMerge; ledger: FindingLedger },
  ) {
    this.#input = input;
    this.#merge = merge;
    this.#ledger = ledger;
    this.#plan = new PlacementPlan(input.placement);
    this.#owners = new Map(merge.streams.flatMap((each) => ('id' in each.address ? [[each.address.id, each]] : [])));
    const { mend } = input;
    this.#repair =
      mend === null ? null : new FindingRepair(scope, { input: { ...input, mend }, owners: this.#owners, ledger });
  }

  /** Until the end (true), or until it is time to report or there is enough to repair (false). */
  compare(watch: StopWatch): Promise<boolean> {
    return this.#merge.walk(
      (id, holders) => this.#visit(id, holders),
      () => watch.isTimeToReport(this.#misplaced.length > 0) || this.#merge.rowsRead >= SEGMENT_ROWS_MAX,
    );
  }

  async repair(): Promise<void> {
    const misplaced = this.#misplaced;
    this.#misplaced = [];
    if (misplaced.length > 0) await this.#repair?.repair(misplaced);
  }

  #visit(id: Buffer, holders: readonly HolderStream[]): Visit {
    const ledger = this.#ledger;
    ledger.sawPoint();
    for (const { holder } of holders) ledger.sawRow(holder);
    this.#plan.locate(id);
    const ownerId = this.#plan.owner;
    const ofOwner = this.#owners.get(ownerId);
    const owner = ofOwner !== undefined && holders.includes(ofOwner) ? ofOwner : null;
    const others = owner === null ? holders : holders.filter((each) => each !== owner);
    if (others.length === 0) return { owner, othersMayGo: false, goesOn: true };
    if (this.#repair === null) {
      this.#report(owner, others);
      return { owner, othersMayGo: false, goesOn: true };
    }
    const found = others.map((stream) => ({ stream, offset: stream.headOffset }));
    this.#misplaced.push({ id, ownerId, holders: found });
    return { owner, othersMayGo: true, goesOn: this.#misplaced.length < DIFFERENCES_MAX };
  }

  #report(owner: HolderStream | null, others: readonly HolderStream[]): void {
    const copies = others.flatMap((stream) =>
      stream.head === null ? [] : [{ stream, holder: stream.holder, raw: stream.head.raw }],
    );
    const findings = findingsOf(owner?.head?.raw ?? null, copies);
    const { collection } = this.#input;
    copies.forEach(({ stream, holder }, index) => {
      const finding = findings[index];
      if (finding !== undefined) this.#ledger.sawFinding({ collection, finding, holder, offset: stream.headOffset });
    });
  }
}
