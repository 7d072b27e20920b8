import type { Logger } from 'pino';
import { routerNotice, suspectOfShown } from '../domain/notices';
import type { ShardMap } from '../domain/shard-map';
import type { AskRouter } from '../client/survey';
import type { ApiDeps } from './deps';
import type { SeenRouter } from './metrics/facts';

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
 */
export class RouterLook {
  private readonly options: {
    readonly routerUrls: readonly string[];
    readonly askRouter: AskRouter;
    readonly client: Pick<ApiDeps['client'], 'queryMap' | 'applyTransition'>;
    readonly logger: Logger;
    readonly nowMs?: () => number;
  };
  private readonly recordedAtMs = new Map<string, number>();
  /** What each router said when it was last asked, for the metrics. */
  seen: readonly SeenRouter[] = [];

  constructor(options: RouterLook['options']) {
    this.options = options;
  }

  async look(): Promise<void> {
    const { routerUrls, client } = this.options;
    if (routerUrls.length === 0) return;
    // Before the routers are asked: a map that begins meanwhile must not make an older router look wrong.
    const map = await client.queryMap();
    const nowMs = this.nowMs();
    const found = await Promise.all(routerUrls.map((url) => this.lookAt(url, map)));
    this.seen = found.map(({ seen }) => seen);
    const notices = found
      .map(({ notice }) => notice)
      .filter((notice) => notice !== null)
      .filter(({ key }) => nowMs - (this.recordedAtMs.get(key) ?? -Infinity) >= RECORDED_AGAIN_MS);
    if (notices.length === 0) return;
    await client.applyTransition({ type: 'notice', notices });
    for (const { key } of notices) this.recordedAtMs.set(key, nowMs);
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

  private nowMs(): number {
    return (this.options.nowMs ?? Date.now)();
  }
}
