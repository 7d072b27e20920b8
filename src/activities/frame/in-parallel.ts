/** How many requests for single points an activity has under way at once. */
export const LOOKS_IN_FLIGHT = 8;
/**
 * Of shards that are all asked the same. A request's time runs from when it is asked for: with a thousand at once it would be over
 * before this process has read the answers.
 */
export const SHARDS_ASKED_AT_ONCE = 64;

/**
 * Runs `work` on every item, at most `limit` at a time. After a failure no further item begins. The failure is thrown
 * when all that had begun have ended, so the caller knows that nothing is under way.
 */
export async function inParallel<T>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  const failures: unknown[] = [];
  const worker = async (): Promise<void> => {
    while (next < items.length && failures.length === 0) {
      const item = items[next++] as T;
      try {
        await work(item);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  if (failures.length > 0) throw failures[0];
}

/** The same, with what came of each, in the order of the items. */
export async function mapInParallel<T, R>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  await inParallel([...items.entries()], limit, async ([index, item]) => {
    results[index] = await work(item);
  });
  return results;
}
