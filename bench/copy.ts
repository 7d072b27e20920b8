/** How our copy and our whole grow compare with a bare stream mover, at several sizes. */
import type { Bed } from './bed';
import { ms, ratioText, rowsText, type Figure } from './figures';
import type { BenchOptions } from './options';
import { DIMENSIONS } from './rows';
import { growOfSize, type SizedGrow } from './sized-grow';

const COPY_RATIO_MAX = 1.5;
const WHOLE_RATIO_MAX = 6;
/** Of the time, for four times the rows. */
const GROWTH_OF_FOUR_MAX = 4.4;

export async function measureCopy(bed: Bed, { sizes }: BenchOptions): Promise<Figure[]> {
  const grows: SizedGrow[] = [];
  for (const rows of sizes) grows.push(await growOfSize(bed, rows));
  const largest = grows[grows.length - 1];
  return [
    ...grows.map((each) => copyFigure(each, each === largest)),
    ...grows.map((each) => wholeFigure(each, each === largest)),
    ...linearFigures(grows),
  ];
}

function copyFigure({ rows, bareMs, grown }: SizedGrow, isJudged: boolean): Figure {
  const ratio = grown.copyMs / bareMs;
  return {
    what: `copy of ${rowsText(rows)} sealed rows × ${DIMENSIONS}, 2 → 3 shards, against a bare stream mover`,
    measured: `${ratioText(ratio)} × (${ms(grown.copyMs)} and ${ms(bareMs)})`,
    goal: `≤ ${COPY_RATIO_MAX} × at the largest size`,
    isMet: isJudged ? ratio <= COPY_RATIO_MAX : null,
    how:
      'The phase `copy` by the operation’s own timestamps, Temporal included. The bare mover reads `Replicate` of both donors at ' +
      'once and sends what the joiner will own on by `UpsertStream`. It compares, remembers and survives nothing. Nobody else uses ' +
      'the cluster.',
    values: { rows, copyMs: grown.copyMs, bareMs, moved: grown.moved },
  };
}

function wholeFigure({ rows, bareMs, grown }: SizedGrow, isJudged: boolean): Figure {
  const ratio = grown.wholeMs / bareMs;
  return {
    what: `whole grow of ${rowsText(rows)} sealed rows against the bare copy`,
    measured: `${ratioText(ratio)} × (${ms(grown.wholeMs)})`,
    goal: `≤ ${WHOLE_RATIO_MAX} × at the largest size`,
    isMet: isJudged ? ratio <= WHOLE_RATIO_MAX : null,
    how:
      'From the start of the operation to its confirmed end, with the proof and the drop. Nothing is subtracted: the waits for routers and ' +
      'for writes in flight are set to 0 (`COORDINATOR_GRACE_MS`, `COORDINATOR_IN_FLIGHT_MS`). No index is built ' +
      '(`COORDINATOR_WARM_UP_MS=0`), which the bare mover does not do either.',
    values: { rows, wholeMs: grown.wholeMs, bareMs, ...grown.phases },
  };
}

/** Each two neighbouring sizes. */
function linearFigures(grows: readonly SizedGrow[]): Figure[] {
  return grows.slice(1).flatMap((larger, index) => {
    const smaller = grows[index];
    if (smaller === undefined) return [];
    const rowsRatio = larger.rows / smaller.rows;
    const ratio = larger.grown.wholeMs / smaller.grown.wholeMs;
    const most = (GROWTH_OF_FOUR_MAX / 4) * rowsRatio;
    return [
      {
        what: `whole grow, ${rowsText(larger.rows)} rows against ${rowsText(smaller.rows)}`,
        measured: `${ratioText(ratio)} × the time for ${ratioText(rowsRatio)} × the rows`,
        goal: `≤ ${ratioText(most)} ×`,
        isMet: ratio <= most,
        how: 'Linear, with a tenth to spare.',
        values: { rowsRatio, ratio },
      },
    ];
  });
}
