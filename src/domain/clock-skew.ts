/**
 * How far the clock is off that made a time, seen from ours: ahead above 0, behind below it. 0: as far as can be told, it is right. The
 * time was made between the question and its answer, so only what neither end explains is a skew. `resolutionMs`: the time was cut to a
 * whole multiple of it.
 */
export function skewBetween(
  theirsMs: number,
  { sentMs, answeredMs, resolutionMs = 0 }: { sentMs: number; answeredMs: number; resolutionMs?: number },
): number {
  if (theirsMs > answeredMs) return theirsMs - answeredMs;
  return Math.min(0, theirsMs + resolutionMs - sentMs);
}
