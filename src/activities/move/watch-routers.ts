/** Routers are watched through a move, not asked before and after it: one that restarts writes by its seeds meanwhile. */
import type { OpenedWatch, OpenWatchInput, ReadWatchInput, WatchActivities, WatchReading } from '../../contract/watch';
import { boundedText } from '../../domain/bounded-text';
import { FRESH_ANSWER_MS, hasChanged, judgeList, judgeWatch, type WatchJudgement } from '../../domain/router-watch';
import { WatchRegistry } from '../../shards/http/watch-registry';
import type { ActivityDeps } from '../frame/deps';
import { activity, type ActivityRuntime, type ActivityScope } from '../frame/run-activity';

const CONNECT_PATIENCE_MS = 3_000;
/** Longer than an answer is fresh: what is not answered by then is told as silent, however lately it answered. */
const ASK_PATIENCE_MS = FRESH_ANSWER_MS + 500;
const NOT_CONNECTED_MAX = 8;

type Body<Input, Result> = (scope: ActivityScope, input: Input) => Promise<Result>;

/** Those of the process, which whoever gave them closes. */
export function watchesOf({ shards }: ActivityRuntime, { watches }: Pick<ActivityDeps, 'watches'>): WatchRegistry {
  return watches ?? new WatchRegistry({ reach: shards.reach });
}

export function watchActivities(
  runtime: ActivityRuntime,
  watches: WatchRegistry,
  worker: string | null,
): WatchActivities {
  return {
    openWatch: activity(runtime, openWatch(watches, worker)),
    readWatch: activity(runtime, readWatch(watches, worker)),
    closeWatch: activity(runtime, closeWatch(watches)),
  };
}

function openWatch(watches: WatchRegistry, worker: string | null): Body<OpenWatchInput, OpenedWatch> {
  return async ({ shards, findRouters }, { watchId, ...list }) => {
    const found = await findRouters(list);
    const routerUrls = found.routers.map(({ url }) => url);
    const watch = watches.open(watchId, { routerUrls, key: shards.key });
    await watch.connected(CONNECT_PATIENCE_MS);
    const mark = await watch.mark(CONNECT_PATIENCE_MS);
    const { atMs, routers } = watch.snapshot();
    const missing = routers.filter(({ connectedSinceMs, version }) => connectedSinceMs === null || version === null);
    const silent = missing.map(({ url, problem }) => ({
      url,
      reason: problem ?? `no answer in ${CONNECT_PATIENCE_MS} ms`,
    }));
    const unknown = found.unknown.map(({ entry, reason }) => ({ url: entry, reason: boundedText(reason) }));
    const notConnected = [...silent, ...unknown].slice(0, NOT_CONNECTED_MAX);
    const isAsGiven = routerUrls.join() === list.routerUrls.join();
    return { worker, openedAtMs: atMs, mark, notConnected, ...(isAsGiven ? {} : { routerUrls }) };
  };
}

/** Also for a step that relies on the watch, and asks again while it runs (step-watch.ts). */
export function readWatch(watches: WatchRegistry, worker: string | null): Body<ReadWatchInput, WatchReading> {
  return async ({ shards, findRouters }, { watchId, marked, list, ...question }) => {
    const found = list === undefined ? null : await findRouters(list);
    const known = watches.find(watchId);
    if (known === null && marked === undefined) return unknown(watches.clock.nowMs());
    const watch = known ?? watches.open(watchId, { routerUrls: marked?.routerUrls ?? [], key: shards.key });
    if (known === null) await watch.connected(CONNECT_PATIENCE_MS);
    await watch.ask(ASK_PATIENCE_MS);
    const snapshot = watch.snapshot();
    const isNewWatch = known === null;
    const reading = { readAtMs: snapshot.atMs, worker };
    const changed = found !== null && hasChanged(watch.routerUrls, found) ? ({ changed: true } as const) : {};
    const withList = (judged: WatchJudgement): WatchReading => ({
      ...(found === null ? judged : judgeList(judged, { watched: watch.routerUrls, found, question })),
      ...reading,
      ...changed,
    });
    const byConnection = judgeWatch(snapshot, question, { isNewWatch });
    if (byConnection.unbroken || marked === undefined) return withList(byConnection);
    const same = await watch.marked(marked.mark, ASK_PATIENCE_MS);
    return withList(judgeWatch(snapshot, question, { isNewWatch, marked: same }));
  };
}

function unknown(readAtMs: number): WatchReading {
  const reason =
    'the worker that watched the routers was restarted, or nobody read the watch for a day: routers may have restarted unseen';
  return { unbroken: false, unknown: true, reasons: [reason], suspects: [], readAtMs };
}

function closeWatch(watches: WatchRegistry): Body<{ watchId: string }, void> {
  return (_scope, { watchId }) => watches.close(watchId);
}
