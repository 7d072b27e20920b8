/** How fast the fullest shard grows, and when it reaches the mark: a straight line through the evaluations that are kept. */
import type { OperationRecord } from './cluster-state';
import type { AutoscalePolicy, Evaluation } from './autoscale-policy';

export interface Forecast {
  /** Of the fullest shard. Below zero when it shrinks. */
  readonly pointsPerDay: number;
  /** 0: it is above the mark. Null: there is no mark, or it does not come nearer. */
  readonly daysUntilMark: number | null;
}

const DAY_MS = 86_400_000;
/** Fewer, or closer together, tell nothing of a day. */
const EVALUATIONS_MIN = 3;
const SPAN_MIN_MS = 60_000;

/** When points last moved between shards; null when none did. A move that runs has no end yet. */
export function lastMoveAtMs(operations: readonly Pick<OperationRecord, 'kind' | 'endedAtMs'>[]): number | null {
  const ends = operations
    .filter(({ kind }) => kind === 'grow' || kind === 'drain')
    .map(({ endedAtMs }) => endedAtMs ?? Number.POSITIVE_INFINITY);
  return ends.length === 0 ? null : Math.max(...ends);
}

/** `evaluations` newest first. Those before the last move say nothing of the shards as they are. Null: not known yet. */
export function forecast(
  { highWaterPoints }: Pick<AutoscalePolicy, 'highWaterPoints'>,
  evaluations: readonly Pick<Evaluation, 'atMs' | 'pointsMax' | 'unreadable'>[],
  movedAtMs: number | null,
): Forecast | null {
  const samples = evaluations.flatMap(({ atMs, pointsMax, unreadable }) =>
    pointsMax === null || unreadable.length > 0 || atMs <= (movedAtMs ?? Number.NEGATIVE_INFINITY)
      ? []
      : [{ atMs, points: pointsMax }],
  );
  const [newest, oldest] = [samples[0], samples.at(-1)];
  if (newest === undefined || oldest === undefined || samples.length < EVALUATIONS_MIN) return null;
  if (newest.atMs - oldest.atMs < SPAN_MIN_MS) return null;
  const pointsPerDay = Math.round(slope(samples) * DAY_MS);
  const left = highWaterPoints - newest.points;
  if (highWaterPoints <= 0 || (left > 0 && pointsPerDay <= 0)) return { pointsPerDay, daysUntilMark: null };
  return { pointsPerDay, daysUntilMark: left <= 0 ? 0 : left / pointsPerDay };
}

/** Least squares, in points a ms. */
function slope(samples: readonly { readonly atMs: number; readonly points: number }[]): number {
  const mean = (of: (sample: (typeof samples)[number]) => number): number =>
    samples.reduce((sum, sample) => sum + of(sample), 0) / samples.length;
  const [atMs, points] = [mean((each) => each.atMs), mean((each) => each.points)];
  const covariance = mean((each) => (each.atMs - atMs) * (each.points - points));
  return covariance / mean((each) => (each.atMs - atMs) ** 2);
}
