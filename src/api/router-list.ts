/** The cluster's list of routers as the API sees it: where its routers are, which map they hold, and who else polls. */
import type { Logger } from 'pino';
import type { ClusterRouters, FoundRouters } from '../domain/router-entries';
import { boundedText } from '../domain/bounded-text';
import type { ClusterClient } from '../client/cluster-client';
import type { AskRouter } from '../client/cluster/survey';
import type { RoutersView } from '../wire/routers';
import { comparing, type MapPollers, type Poller } from './map/pollers';
import { onceAtStart } from './once-at-start';
import { isoOf } from './views/times';

/** Who answers within a few seconds, and not more of them at once. */
const ASKED_AT_ONCE_MAX = 16;
const ANSWER_TIMEOUT_MS = 2_000;
const VIEW_TIMEOUT_MS = 10_000;
const POLLERS_SHOWN_MAX = 1_000;

export interface RouterListOptions {
  /** COORDINATOR_ROUTER_URLS, in normal form. */
  readonly seed: readonly string[];
  readonly client: Pick<ClusterClient, 'queryState' | 'queryRouters' | 'applyTransition'>;
  /** Never rejects. */
  readonly findRouters: (entries: readonly string[]) => Promise<FoundRouters>;
  /** Never rejects; none where a name does not resolve. */
  readonly addressesOf: (url: string) => Promise<readonly string[]>;
  readonly askRouter: AskRouter;
  readonly pollers: Pick<MapPollers, 'list'>;
  readonly logger: Logger;
}

export interface ExplainedPoller extends Poller {
  readonly explainedBy: string | null;
}

export class RouterList {
  readonly #options: RouterListOptions;
  #lastKnown: readonly string[];
  #shared: Promise<RoutersView> | null = null;

  constructor(options: RouterListOptions) {
    this.#options = options;
    this.#lastKnown = options.seed;
  }

  get seed(): readonly string[] {
    return this.#options.seed;
  }

  /** For when the cluster itself does not answer any more. */
  get lastKnown(): readonly string[] {
    return this.#lastKnown;
  }

  /** Of a state of the cluster. Without a list in it, the setting's. */
  entriesIn({ routers }: { readonly routers?: ClusterRouters }): readonly string[] {
    this.#lastKnown = routers?.entries ?? this.#options.seed;
    return this.#lastKnown;
  }

  /** As the cluster has them now. @throws ClientError */
  async entries(): Promise<readonly string[]> {
    this.#lastKnown = (await this.#options.client.queryRouters()) ?? this.#options.seed;
    return this.#lastKnown;
  }

  find(entries: readonly string[]): Promise<FoundRouters> {
    return this.#options.findRouters(entries);
  }

  /** Gives the cluster the list of the setting, unless it was changed by hand. Once, at the start of an API. Never throws. */
  start(stopping: AbortSignal): Promise<void> {
    const { seed, logger } = this.#options;
    return onceAtStart(() => this.#seedOnce(seed), { what: 'the list of routers', logger, stopping });
  }

  async #seedOnce(seed: readonly string[]): Promise<void> {
    const { client, logger } = this.#options;
    const { routers } = await client.queryState();
    const isSame = (routers?.entries ?? []).join() === seed.join();
    if (isSame) return;
    if (routers?.isByHand === true) {
      logger.warn(
        { setting: seed, list: routers.entries },
        'COORDINATOR_ROUTER_URLS differs from the list of routers, which was changed by hand and counts: see GET /cluster/routers',
      );
      return;
    }
    if (seed.length === 0) {
      logger.warn(
        { list: routers?.entries },
        'COORDINATOR_ROUTER_URLS names no router, and the list of routers counts as it was: see GET /cluster/routers',
      );
      return;
    }
    await client.applyTransition({ type: 'seedRouters', entries: seed });
  }

  /** One for all who ask at once: it asks every router. @throws ClientError */
  sharedView(): Promise<RoutersView> {
    this.#shared ??= this.view().finally(() => {
      this.#shared = null;
    });
    return this.#shared;
  }

  /** Asks all routers, within about 10 s. @throws ClientError */
  async view(risk: string | null = null): Promise<RoutersView> {
    const state = await this.#options.client.queryState();
    const entries = this.entriesIn(state);
    const found = await this.find(entries);
    const [routers, pollers] = await Promise.all([this.#ask(found, state.map.version), this.explained(found)]);
    return {
      entries: [...entries],
      routers,
      pollers: pollers.slice(0, POLLERS_SHOWN_MAX).map(({ address, keyId, lastMs, version, explainedBy }) => ({
        address,
        key_id: keyId,
        last_poll: isoOf(lastMs),
        version,
        explained_by: explainedBy,
      })),
      risk,
    };
  }

  /** The pollers of this API, with the entry that has a router at their address. */
  async explained(found: FoundRouters): Promise<ExplainedPoller[]> {
    const { pollers, addressesOf } = this.#options;
    const polling = pollers.list();
    if (polling.length === 0) return [];
    const comparable = comparing();
    const entryOf = new Map<string, string>();
    await Promise.all(
      found.routers.map(async ({ url, entry }) => {
        for (const address of await addressesOf(url)) entryOf.set(comparable(address), entry);
      }),
    );
    return polling.map((poller) => ({
      ...poller,
      explainedBy: entryOf.get(comparable(poller.address)) ?? null,
    }));
  }

  async #ask({ routers, unknown }: FoundRouters, mapVersion: number): Promise<RoutersView['routers']> {
    const endsAtMs = Date.now() + VIEW_TIMEOUT_MS;
    const asked: RoutersView['routers'] = [];
    // All lanes take from one iterator.
    const left = routers.entries();
    const lane = async (): Promise<void> => {
      for (const [index, { url, entry }] of left) {
        asked[index] = { url, entry, ...(await this.#versionOf(url, mapVersion, endsAtMs)) };
      }
    };
    await Promise.all(Array.from({ length: Math.min(ASKED_AT_ONCE_MAX, routers.length) }, lane));
    const notKnown = unknown.map(({ entry, reason }) => ({
      url: entry,
      entry,
      version: null,
      lag: null,
      error: boundedText(`its routers are not known: ${reason}`),
    }));
    return [...asked, ...notKnown];
  }

  async #versionOf(url: string, mapVersion: number, endsAtMs: number) {
    const untilMs = Math.min(Date.now() + ANSWER_TIMEOUT_MS, endsAtMs);
    try {
      if (untilMs <= Date.now()) throw new Error('was not asked: the other routers took too long');
      const { version } = await this.#options.askRouter(url, untilMs);
      return { version, lag: mapVersion - version, error: null };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      return { version: null, lag: null, error: boundedText(reason) };
    }
  }
}
