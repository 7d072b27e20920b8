import { boundedText } from '../../domain/bounded-text';
import { SAMPLES_MAX } from '../../domain/limits';
import type { FoundRouters } from '../../domain/router-entries';
import { ShardError } from '../../shards/errors';
import { routerVersion } from '../../shards/http/router-client';
import type { CoordinatorActivities } from '../../contract/activities';
import type { LaggingRouter } from '../../contract/move';
import type { ActivityScope } from '../frame/run-activity';

const POLL_INTERVAL_MS = 100;
const PROBE_TIMEOUT_MS = 2_000;
/** The list may have changed since, and names may have other addresses. */
const FIND_INTERVAL_MS = 1_000;

type AwaitInput = Parameters<CoordinatorActivities['awaitRouters']>[0];
type Lagging = Awaited<ReturnType<CoordinatorActivities['awaitRouters']>>;

/**
 * Waits until the routers hold the map. A router that showed the version is not asked again: its version changes only
 * with the cluster's map.
 */
export async function awaitRouters(scope: ActivityScope, input: AwaitInput): Promise<Lagging> {
  const { attempt, shards } = scope;
  const endsAtMs = Math.min(attempt.nowMs() + input.patienceMs, attempt.deadlineMs);
  const ask = async (url: string): Promise<LaggingRouter | null> => {
    try {
      const ctx = attempt.readingFor(PROBE_TIMEOUT_MS);
      const version = await routerVersion(url, shards.key, ctx, shards.dispatcher);
      if (version === input.version) return null;
      return { url, version, reason: wrongVersion(version, input.version) };
    } catch (error) {
      if (!(error instanceof ShardError)) throw error;
      return { url, version: null, reason: error.message };
    }
  };
  const holding = new Set<string>();
  let found = await scope.findRouters(input);
  let foundAtMs = attempt.nowMs();
  for (;;) {
    const urls = found.routers.map(({ url }) => url).filter((url) => !holding.has(url));
    const asked = (await Promise.all(urls.map(ask))).filter((router) => router !== null);
    attempt.signal.throwIfAborted();
    for (const url of urls) if (!asked.some((router) => router.url === url)) holding.add(url);
    const lagging = [...asked, ...found.unknown.map(unknownRouters)];
    if (lagging.length === 0 && input.cluster !== undefined && found.routers.length === 0)
      return { lagging, none: true };
    if (lagging.length === 0 || attempt.nowMs() + POLL_INTERVAL_MS > endsAtMs) return bounded(lagging);
    await attempt.sleep(POLL_INTERVAL_MS);
    if (attempt.nowMs() - foundAtMs < FIND_INTERVAL_MS) continue;
    // While the cluster does not answer, its last list counts.
    found = await scope.findRouters(input).catch(() => found);
    foundAtMs = attempt.nowMs();
  }
}

/** INV-8: nobody knows how many they are, so they are not none. */
function unknownRouters({ entry, reason }: FoundRouters['unknown'][number]): LaggingRouter {
  return { url: entry, version: null, reason: `its routers are not known: ${reason}` };
}

/** The answer stays in a history, whatever number of routers there is. */
function bounded(lagging: readonly LaggingRouter[]): Lagging {
  const samples = lagging.slice(0, SAMPLES_MAX).map((each) => ({ ...each, reason: boundedText(each.reason) }));
  const more = lagging.length - samples.length;
  return more === 0 ? { lagging: samples } : { lagging: samples, more };
}

function wrongVersion(version: number, expected: number): string {
  const reason = `holds version ${version}, expected ${expected}`;
  if (version < expected) return reason;
  return `${reason}: a foreign version, from another coordinator or from a lost cluster, so point the router to this coordinator and restart it`;
}
