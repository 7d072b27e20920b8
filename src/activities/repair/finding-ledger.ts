import {
  addByHolder,
  COUNTED_AS,
  NOTHING_HELD,
  type Finding,
  type FindingsByHolder,
  type FindingSample,
  type Holder,
  type HolderFindings,
} from '../../domain/findings';
import { FINDING_SAMPLES_MAX } from '../../domain/limits';
import type { CompareResult, HolderCursor } from '../../contract/repair';

/**
 * What a heartbeat carries. Up to the cursor all is seen and repaired. `mended` also counts what was repaired behind it
 * since.
 */
export type SegmentProgress = Omit<CompareResult, 'lateWritesUntilMs'>;

type Counts = { -readonly [K in keyof HolderFindings]: HolderFindings[K] };

/**
 * What a segment has seen, and what it has repaired. What was seen counts up to the cursor, and a retry sees the rest
 * again. A repair counts at once, because nobody sees it again.
 */
export class FindingLedger {
  readonly #start: SegmentProgress;
  /** As of the last cursor. */
  #safe: SegmentProgress;
  #points: number;
  readonly #seen: Map<Holder, Counts>;
  readonly #samples: FindingSample[];
  readonly #repaired: Map<Holder, Counts>;
  #moved: number;
  readonly #removed: Map<Holder, number>;

  /** `restarted`: the walk of `start` begins again, and sees everything again. */
  constructor(start: SegmentProgress, restarted: boolean) {
    this.#start = restarted
      ? { ...start, cursor: null, restarted: true, rowsRead: 0, seen: { points: 0, byHolder: {} }, samples: [] }
      : start;
    this.#safe = this.#start;
    this.#points = this.#start.seen.points;
    this.#seen = mutable(this.#start.seen.byHolder);
    this.#samples = [...this.#start.samples];
    this.#repaired = mutable(start.mended.byHolder);
    this.#moved = start.mended.moved;
    this.#removed = new Map(Object.entries(start.mended.removedByHolder));
  }

  /** One id came by. */
  sawPoint(): void {
    this.#points += 1;
  }

  sawRow(holder: Holder): void {
    countsOf(this.#seen, holder).points += 1;
  }

  /** A finding that stays as it is. */
  sawFinding(sample: FindingSample): void {
    countsOf(this.#seen, sample.holder)[COUNTED_AS[sample.finding]] += 1;
    if (this.#samples.length < FINDING_SAMPLES_MAX) this.#samples.push(sample);
  }

  moved(points: number): void {
    this.#moved += points;
  }

  removed(holder: Holder, points: number): void {
    this.#removed.set(holder, (this.#removed.get(holder) ?? 0) + points);
  }

  /** A finding that is repaired. */
  repairedFinding(holder: Holder, finding: Finding): void {
    countsOf(this.#repaired, holder)[COUNTED_AS[finding]] += 1;
  }

  /** Everything before this cursor is repaired, or stays. */
  reached(cursor: HolderCursor | null, rowsRead: number): void {
    const seen = { points: this.#points, byHolder: asRecord(this.#seen) };
    const samples = [...this.#samples];
    this.#safe = { ...this.#start, cursor, rowsRead: this.#start.rowsRead + rowsRead, seen, samples };
  }

  progress(): SegmentProgress {
    const mended = {
      byHolder: asRecord(this.#repaired),
      moved: this.#moved,
      removedByHolder: Object.fromEntries(this.#removed),
    };
    return { ...this.#safe, mended };
  }
}

function countsOf(of: Map<Holder, Counts>, holder: Holder): Counts {
  const known = of.get(holder);
  if (known !== undefined) return known;
  const counts = { ...NOTHING_HELD };
  of.set(holder, counts);
  return counts;
}

function mutable(byHolder: FindingsByHolder): Map<Holder, Counts> {
  return new Map(Object.entries(byHolder).map(([holder, counts]) => [holder, { ...counts }]));
}

function asRecord(of: ReadonlyMap<Holder, Counts>): FindingsByHolder {
  return addByHolder({}, Object.fromEntries(of));
}
