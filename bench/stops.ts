/** When a shard stood still, as its clients felt it. */
import type { Sample } from './steady-load';

/** A request that takes longer was held up by something. */
export const SLOW_MS = 250;
/** Slow requests that are no further apart than this were held up by the same thing. */
const GAP_MS = 100;

export interface Stop {
  readonly shardId: number | null;
  readonly startMs: number;
  readonly endMs: number;
}

/** In the order of time, by shard. */
export function stopsIn(samples: readonly Sample[]): Stop[] {
  const slow = samples.filter(({ startMs, endMs }) => endMs - startMs > SLOW_MS);
  const stops: Stop[] = [];
  for (const shardId of new Set(slow.map((sample) => sample.shardId))) {
    const inTime = slow.filter((each) => each.shardId === shardId).sort((a, b) => a.startMs - b.startMs);
    let endMs = -Infinity;
    for (const sample of inTime) {
      const last = stops.pop();
      if (last !== undefined && sample.startMs <= endMs + GAP_MS) {
        endMs = Math.max(endMs, sample.endMs);
        stops.push({ ...last, endMs });
      } else {
        if (last !== undefined) stops.push(last);
        endMs = sample.endMs;
        stops.push({ shardId, startMs: sample.startMs, endMs });
      }
    }
  }
  return stops;
}

/** Of each shard the longest ones. */
export function longestStops(stops: readonly Stop[], perShard: number): Stop[] {
  const shards = new Set(stops.map(({ shardId }) => shardId));
  return [...shards].flatMap((shardId) =>
    stops
      .filter((stop) => stop.shardId === shardId)
      .sort((a, b) => lengthOf(b) - lengthOf(a))
      .slice(0, perShard),
  );
}

export const lengthOf = ({ startMs, endMs }: { startMs: number; endMs: number }): number => endMs - startMs;

/** Those that no stop of any shard touched. A client of the router may wait for one shard behind the other. */
export function outside(samples: readonly Sample[], stops: readonly Stop[]): Sample[] {
  return samples.filter(({ startMs, endMs }) =>
    stops.every((stop) => endMs < stop.startMs || startMs > stop.endMs + GAP_MS),
  );
}
