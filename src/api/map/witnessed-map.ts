/**
 * The map as it is served: no version leaves this process before it is recorded outside of the cluster workflow's history (temporal/published.ts).
 *
 * 1. A map that this process has recorded already is served at once: a look costs once per version, not per read.
 * 2. Another one is looked into: what is recorded is read first, and the cluster's state after it, so a state that is behind the record
 *    was rewound (a workflow reset, an old backup) and is not merely older. It is pushed past the record and never served (INV-1).
 * 3. When recording takes long or fails, the map is served all the same, and recording is tried again with a later read.
 * 4. While reads come, there is a look every few seconds that no read waits for: another process may have recorded more than this one served.
 */
import type { Logger } from 'pino';
import type { ClusterState } from '../../domain/cluster-state';
import { isBehind, publishedPart, type PublishedState } from '../../domain/witnessed';
import { isSameMap, type ShardMap } from '../../domain/shard-map';
import type { Published } from '../../client/witness';
import type { ClusterGateway } from '../../client/cluster-client';
import { unavailable, type ApiError } from '../http/problem';

export interface PublishedMapOptions {
  readonly gateway: Pick<ClusterGateway, 'queryMap' | 'queryState' | 'applyTransition'>;
  readonly published: Pick<Published, 'lastPublished' | 'publish'>;
  readonly logger: Logger;
  readonly nowMs?: () => number;
  /** How long a read waits for a map to be recorded. */
  readonly patienceMs?: number;
  /** After a look that failed or took longer, none is begun for this long. */
  readonly pauseMs?: number;
  readonly lookIntervalMs?: number;
}

const PATIENCE_MS = 1_000;
const PAUSE_MS = 1_000;
const LOOK_INTERVAL_MS = 10_000;

export class PublishedMap {
  private readonly options: PublishedMapOptions;
  private readonly nowMs: () => number;
  /** The last map that is known not to be rewound, and the last one that is recorded. */
  private vouched: ShardMap | null = null;
  private recorded: ShardMap | null = null;
  /** Why the present map of the cluster may not be served: it is known to be behind, and is not pushed past the record yet. */
  private rewound: ApiError | null = null;
  private turn: Promise<unknown> = Promise.resolve();
  private lookedAtMs = Number.NEGATIVE_INFINITY;
  private pausedUntilMs = Number.NEGATIVE_INFINITY;
  private isTroubled = false;

  constructor(options: PublishedMapOptions) {
    this.options = options;
    this.nowMs = options.nowMs ?? Date.now;
  }

  /** @throws ApiError */
  async read(): Promise<ShardMap> {
    const map = await this.options.gateway.queryMap();
    if (this.isServable(map)) {
      this.lookNowAndThen();
      return map;
    }
    if (this.nowMs() >= this.pausedUntilMs) {
      const looked = this.inTurn(async () => {
        if (!this.isServable(map)) await this.look();
      });
      await this.withinPatience(looked);
    }
    if (this.rewound !== null) throw this.rewound;
    // A look asks for the state after `map` was read, and what was recorded once is never older than what is.
    return this.vouched !== null && this.vouched.version >= map.version ? this.vouched : map;
  }

  private isServable(map: ShardMap): boolean {
    return this.rewound === null && this.recorded !== null && isSameMap(this.recorded, map);
  }

  private lookNowAndThen(): void {
    const nowMs = this.nowMs();
    const { lookIntervalMs = LOOK_INTERVAL_MS } = this.options;
    if (nowMs < Math.max(this.lookedAtMs + lookIntervalMs, this.pausedUntilMs)) return;
    void this.inTurn(() => this.look());
  }

  /** One look at a time, and none fails: what went wrong is logged when it begins and when it is over. */
  private inTurn(look: () => Promise<void>): Promise<void> {
    this.lookedAtMs = this.nowMs();
    const mine = this.turn.then(async () => {
      try {
        await look();
        if (this.isTroubled) this.options.logger.info('published maps are recorded again');
        this.isTroubled = false;
      } catch (error) {
        this.pause();
        if (!this.isTroubled) {
          this.options.logger.warn({ err: error }, 'the map is served without being recorded outside of its workflow');
        }
        this.isTroubled = true;
      }
    });
    this.turn = mine;
    return mine;
  }

  private pause(): void {
    this.pausedUntilMs = this.nowMs() + (this.options.pauseMs ?? PAUSE_MS);
  }

  private async withinPatience(looked: Promise<void>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        this.pause();
        resolve();
      }, this.options.patienceMs ?? PATIENCE_MS);
    });
    await Promise.race([looked, patience]);
    clearTimeout(timer);
  }

  private async look(): Promise<void> {
    const { gateway, published } = this.options;
    const recorded = await published.lastPublished();
    let state = await gateway.queryState();
    if (recorded !== null && isBehind(state, recorded)) state = await this.catchUp(state, recorded);
    this.rewound = null;
    this.vouched = state.map;
    if (recorded === null || !isSameRecord(state, recorded)) await published.publish(publishedPart(state));
    this.recorded = state.map;
  }

  private async catchUp(state: ClusterState, recorded: PublishedState): Promise<ClusterState> {
    const { gateway, logger } = this.options;
    const [seen, known] = [state.map.version, recorded.map.version];
    this.rewound = unavailable(
      'TemporalUnreachable',
      `the cluster workflow was rewound to map version ${seen}, while version ${known} is published, and could not be brought forward yet`,
    );
    logger.warn(
      { version: seen, publishedVersion: known, nextId: state.nextId, publishedNextId: recorded.nextId },
      'the cluster workflow was rewound (reset, or an old backup): what was published is put back, one version above',
    );
    await gateway.applyTransition({ type: 'catchUp', published: recorded });
    return gateway.queryState();
  }
}

function isSameRecord(state: PublishedState, recorded: PublishedState): boolean {
  const isSameLock = JSON.stringify(state.lock) === JSON.stringify(recorded.lock);
  return isSameLock && state.nextId === recorded.nextId && isSameMap(state.map, recorded.map);
}
