/** What a worker's memory depends on: not on how many points there are, and not on how large each one is. */
import type { Bed } from './bed';
import { judge, mib, type Figure } from './figures';
import { timeGrow } from './grow-run';
import { makeBodies, type PointsShape } from './points';

const DEVIATION_MAX = 0.2;
const BASE: PointsShape = { points: 100_000, dimensions: 64 };
const MORE_POINTS: PointsShape = { points: 400_000, dimensions: 64 };
const LARGER_POINTS: PointsShape = { points: 20_000, dimensions: 1_536 };
const AS_MANY_SMALL: PointsShape = { points: 20_000, dimensions: 64 };

export async function measureMemory(bed: Bed): Promise<readonly Figure[]> {
  const base = await peakBytes(bed, BASE);
  const morePoints = await peakBytes(bed, MORE_POINTS);
  const largerPoints = await peakBytes(bed, LARGER_POINTS);
  const asManySmall = await peakBytes(bed, AS_MANY_SMALL);
  return [
    compare('worker memory, 400,000 against 100,000 points', { base, other: morePoints }, [BASE, MORE_POINTS]),
    compare('worker memory, 1,536 against 64 dimensions', { base, other: largerPoints }, [BASE, LARGER_POINTS]),
    {
      what: 'worker memory, 20,000 points × 64 dimensions',
      limit: '',
      measured: mib(asManySmall),
      ratio: asManySmall / base,
      verdict: 'for information',
      how: 'A move of 12 MB, for what the process takes by itself.',
    },
  ];
}

async function peakBytes(bed: Bed, shape: PointsShape): Promise<number> {
  bed.say(`memory: a grow with ${describe(shape)}`);
  const donors = await bed.startDonors(makeBodies(shape), shape.dimensions);
  const joiner = await bed.startShard();
  const coordinator = await bed.startCoordinator(donors.urls, {
    COORDINATOR_GRACE_MS: '0',
    COORDINATOR_IN_FLIGHT_MS: '0',
    COORDINATOR_WARM_UP_MS: '0',
  });
  try {
    await timeGrow(bed, coordinator, donors.urls, joiner.url);
    const peak = await coordinator.workerPeakBytes();
    bed.say(`  peak ${mib(peak)}`);
    return peak;
  } finally {
    await coordinator.stop();
    await Promise.all([...donors.shards, joiner].map((shard) => shard.kill()));
  }
}

function compare(
  what: string,
  { base, other }: { base: number; other: number },
  [baseShape, otherShape]: readonly [PointsShape, PointsShape],
): Figure {
  const ratio = other / base;
  return {
    what,
    limit: `${mib(base)} ± ${DEVIATION_MAX * 100} %`,
    measured: mib(other),
    ratio,
    verdict: judge(Math.abs(ratio - 1) <= DEVIATION_MAX),
    how:
      `Peak resident memory (VmHWM) of the \`worker\` process over a whole grow, a fresh process for each: ${describe(otherShape)}, ` +
      `against ${describe(baseShape)}. Fewer points at 1,536 dimensions, because 100,000 of them would be 1.4 GB of JSON and take minutes.`,
  };
}

const describe = ({ points, dimensions }: PointsShape): string =>
  `${points.toLocaleString('en')} points × ${dimensions.toLocaleString('en')} dimensions`;
