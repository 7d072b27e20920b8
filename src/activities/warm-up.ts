import type { Shard } from '../domain/shard-map';
import type { CoordinatorActivities } from './contract';
import { inParallel } from './in-parallel';
import type { ActivityScope } from './run-activity';

const POLL_INTERVAL_MS = 250;
/** Searches under way at once over all receivers: each one may keep a core of its shard busy. */
const BUILDS_AT_ONCE = 4;

type WarmUpInput = Parameters<CoordinatorActivities['warmUp']>[0];

/**
 * Design step 7. A search is what makes a shard build an index, and it is answered when the index is ready. So one search per
 * collection may take all the time that there is; while it does, `index_ready` is asked for, because the build goes on when the
 * search is cut off.
 */
export async function warmUp(scope: ActivityScope, input: WarmUpInput): Promise<{ notReady: readonly string[] }> {
  const { attempt } = scope;
  const endsAtMs = Math.min(attempt.nowMs() + input.patienceMs, attempt.deadlineMs);
  const notReady = new Set<string>();
  const work = input.receivers.flatMap((receiver) => input.collections.map((collection) => ({ receiver, collection })));
  await inParallel(work, BUILDS_AT_ONCE, async ({ receiver, collection }) => {
    if (!(await becomesReady(scope, { receiver, collection, endsAtMs }))) notReady.add(collection);
  });
  return { notReady: [...notReady] };
}

async function becomesReady(
  { attempt, shards }: ActivityScope,
  build: { receiver: Shard; collection: string; endsAtMs: number },
): Promise<boolean> {
  const { receiver, collection, endsAtMs } = build;
  const client = shards.client(receiver);
  let search: Promise<void> | null = null;
  for (;;) {
    const info = await client.getCollection(collection, attempt.reading);
    const leftMs = endsAtMs - attempt.nowMs();
    if (info === null || info.index_ready || leftMs <= 0) {
      await search;
      return info?.index_ready ?? true;
    }
    // With a time-out of its own, because this one call is meant to take long. Whether it came to anything, `index_ready` says.
    search ??= shards
      .patientClient(receiver, leftMs)
      .search(collection, info.dim, attempt.readingFor(leftMs))
      .catch(() => undefined)
      .finally(() => {
        search = null;
      });
    await attempt.sleep(Math.min(POLL_INTERVAL_MS, leftMs));
  }
}
