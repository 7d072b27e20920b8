import { Context } from '@temporalio/activity';
import { newsOf, type SeenByHooks, type ToldNews, type Wait } from '../../domain/hooks';
import { HistoryStamps } from '../../client/operations/history-stamps';
import type { HookActivities } from '../../contract/activities';
import { clientFailure, clusterClients, type ClusterClientDeps } from '../frame/cluster-clients';

/** Below its start-to-close timeout. */
const LIFE_MS = 10 * 60_000;
const PAUSE_MS = 1_000;

/** Looks by stamps, as the lookouts of an API do: workflows are asked only when their history has changed. */
export function createAwaitHookNews(deps: ClusterClientDeps): HookActivities['awaitHookNews'] {
  const clientOf = clusterClients(deps);
  return async ({ cluster, told: first }) => {
    const { connection, options } = deps.client;
    const stamps = new HistoryStamps({ connection, namespace: options.namespace, cluster });
    const lookNow = lookBy(clientOf(cluster), stamps);
    const context = Context.current();
    const untilMs = Date.now() + LIFE_MS;
    let told: ToldNews | null = first;
    try {
      for (;;) {
        context.heartbeat();
        const look = lookNow();
        look.catch(() => undefined);
        const found = newsOf(told, await Promise.race([look, context.cancelled]), Date.now());
        if (told === null || found.news.length > 0 || Date.now() >= untilMs) return found;
        told = found.told;
        await context.sleep(PAUSE_MS);
      }
    } catch (error) {
      // A worker that stops must not wait for a query that it would have to answer itself: it hands over what it knows.
      if (context.cancellationSignal.aborted && told !== null) return { told, news: [] };
      throw clientFailure(error, cluster, 'retry');
    }
  };
}

function lookBy(
  client: ReturnType<ReturnType<typeof clusterClients>>,
  stamps: HistoryStamps,
): () => Promise<SeenByHooks> {
  let known: { readonly stamp: string; readonly seen: Omit<SeenByHooks, 'waits'> } | null = null;
  const waits = new Map<string, { readonly stamp: string; readonly wait: Wait | null }>();
  const waitOf = async (operationId: string): Promise<Wait | null> => {
    try {
      const stamp = await stamps.ofOperation(operationId);
      const last = waits.get(operationId);
      if (last?.stamp === stamp) return last.wait;
      const { waiting } = await client.queryProgress(operationId);
      const wait = waiting && { reason: waiting.reason, sinceMs: waiting.sinceMs };
      waits.set(operationId, { stamp, wait });
      return wait;
    } catch {
      // One that does not answer says nothing about a wait. Its end is in the cluster's record.
      return waits.get(operationId)?.wait ?? null;
    }
  };
  return async () => {
    const stamp = await stamps.ofCluster();
    if (known?.stamp !== stamp) {
      const { operations, notices } = await client.queryState();
      known = { stamp, seen: { operations, notices } };
    }
    const running = known.seen.operations.filter(({ end }) => end === null).map(({ operationId }) => operationId);
    for (const operationId of waits.keys()) if (!running.includes(operationId)) waits.delete(operationId);
    const found = await Promise.all(running.map(async (id) => [id, await waitOf(id)] as const));
    return { ...known.seen, waits: Object.fromEntries(found) };
  };
}
