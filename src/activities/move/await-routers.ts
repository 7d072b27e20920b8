import { boundedText } from '../../domain/bounded-text';
import { SAMPLES_MAX } from '../../domain/limits';
import { ShardError } from '../../shards/errors';
import { routerVersion } from '../../shards/http/router-client';
import type { CoordinatorActivities } from '../../contract/activities';
import type { LaggingRouter } from '../../contract/move';
import type { ActivityScope } from '../frame/run-activity';

const POLL_INTERVAL_MS = 100;
const PROBE_TIMEOUT_MS = 2_000;

type AwaitInput = Parameters<CoordinatorActivities['awaitRouters']>[0];
type Lagging = Awaited<ReturnType<CoordinatorActivities['awaitRouters']>>;

/**
 * Waits until the routers hold the map. A router that showed the version is not asked again: its version changes only
 * with the cluster's map.
 */
export async function awaitRouters({ attempt, shards }: ActivityScope, input: AwaitInput): Promise<Lagging> {
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
  let urls = input.routerUrls;
  for (;;) {
    const lagging = (await Promise.all(urls.map(ask))).filter((router) => router !== null);
    attempt.signal.throwIfAborted();
    if (lagging.length === 0 || attempt.nowMs() + POLL_INTERVAL_MS > endsAtMs) return bounded(lagging);
    urls = lagging.map((router) => router.url);
    await attempt.sleep(POLL_INTERVAL_MS);
  }
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
