import type { Logger } from 'pino';
import {
  routerNotice,
  suspectOfShown,
  unknownRouterNotice,
  UNKNOWN_ROUTER_KEY,
  type NewNotice,
} from '../domain/notices';
import type { FoundRouters } from '../domain/router-entries';
import type { ShardMap } from '../domain/shard-map';
import { RefusedError } from '../client/calls/errors';
import type { AskRouter } from '../client/cluster/survey';
import type { ApiDeps } from './deps';
import type { SeenRouter } from './metrics/facts';
import type { RouterList } from './router-list';

/** The same trouble is recorded again after this long, so that it shows that it lasts. */
const RECORDED_AGAIN_MS = 10 * 60_000;
const ANSWER_TIMEOUT_MS = 2_000;

interface Looked {
  readonly seen: SeenRouter;
  readonly notice: ReturnType<typeof routerNotice>;
}

/**
 * Notices routers that serve their seeds while no operation watches them. One that restarts does so for a moment, which
 * a look now and then mostly misses. One that cannot reach its coordinator does so for ever, and that is found here.
 * Notices pollers of the map that no entry of the list explains, too.
 */
export class RouterLook {
  private readonly options: {
    readonly list: Pick<RouterList, 'entries' | 'find' | 'explained'>;
    readonly askRouter: AskRouter;
    readonly client: Pick<ApiDeps['client'], 'queryMap' | 'applyTransition'>;
    readonly logger: Logger;
    readonly nowMs?: () => number;
  };
  private readonly recordedAtMs = new Map<string, number>();
  /** What each router said when it was last asked, for the metrics. */
  seen: readonly SeenRouter[] = [];

  private readonly startedAtMs: number;
  private hasLookedForInherited = false;

  constructor(options: RouterLook['options']) {
    this.options = options;
    this.startedAtMs = this.nowMs();
  }

  async look(): Promise<void> {
    const { list, client } = this.options;
    const found = await list.find(await list.entries());
    // Before the routers are asked: a map that begins meanwhile must not make an older router look wrong.
    const map = found.routers.length === 0 ? null : await client.queryMap();
    const nowMs = this.nowMs();
    const [unknown, ...looked] = await Promise.all([
      this.noticeOfUnknown(found),
      ...found.routers.map(({ url }) => (map === null ? null : this.lookAt(url, map))),
    ]);
    const ofRouters = looked.filter((each) => each !== null);
    this.seen = ofRouters.map(({ seen }) => seen);
    const notices = [unknown, ...ofRouters.map(({ notice }) => notice)]
      .filter((notice) => notice !== null)
      .filter(({ key }) => nowMs - (this.recordedAtMs.get(key) ?? -Infinity) >= RECORDED_AGAIN_MS);
    if (notices.length > 0) {
      await client.applyTransition({ type: 'notice', notices });
      for (const { key } of notices) this.recordedAtMs.set(key, nowMs);
    }
    if (unknown === null) await this.endUnknown();
  }

  private async lookAt(url: string, map: ShardMap): Promise<Looked> {
    const { askRouter, logger } = this.options;
    const atMs = this.nowMs();
    try {
      const shown = await askRouter(url, atMs + ANSWER_TIMEOUT_MS);
      const suspect = suspectOfShown({ url, shown, atMs }, map);
      const seen = { url, version: shown.version, mapVersion: map.version };
      return { seen, notice: suspect === null ? null : routerNotice(suspect, null) };
    } catch (error) {
      logger.debug({ err: error, router: url }, 'a router could not be asked for its map');
      return { seen: { url, version: null, mapVersion: map.version }, notice: null };
    }
  }

  private async noticeOfUnknown(found: FoundRouters): Promise<NewNotice | null> {
    const pollers = await this.options.list.explained(found);
    const unknown = pollers.filter(({ isSteady, explainedBy }) => isSteady && explainedBy === null);
    return unknown.length === 0 ? null : unknownRouterNotice(unknown);
  }

  /** What another API has recorded stays: it may see pollers that this one does not. */
  private async endUnknown(): Promise<void> {
    const isOurs = this.recordedAtMs.delete(UNKNOWN_ROUTER_KEY);
    // One that a process before this one has recorded: nobody else would take it back.
    const isInherited = !this.hasLookedForInherited && this.nowMs() - this.startedAtMs > 2 * RECORDED_AGAIN_MS;
    if (isInherited) this.hasLookedForInherited = true;
    if (!isOurs && !isInherited) return;
    try {
      await this.options.client.applyTransition({ type: 'clearNotice', key: UNKNOWN_ROUTER_KEY });
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
    }
  }

  private nowMs(): number {
    return (this.options.nowMs ?? Date.now)();
  }
}
