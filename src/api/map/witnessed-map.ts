/**
 * The map as it is served: no version leaves this process before the witness remembers it (client/cluster/witness.ts).
 *
 * 1. A map that the witness remembers from this process is served at once: a look costs once per version, not per read.
 * 2. For another map, the witness is read first and the cluster's state after it. So a state that is behind the witness was rewound (a
 *    workflow reset, an old backup) and is not merely older. It is pushed past the witness and never served (INV-1).
 * 3. When the witness takes long or fails, the map is served all the same, and a later read tries the witness again.
 * 4. While reads come, there is a look every few seconds that no read waits for: another process may have told the witness more.
 */
import type { Logger } from 'pino';
import type { ClusterState } from '../../domain/cluster-state';
import { isBehind, witnessedPart, type WitnessedState } from '../../domain/witnessed';
import { isSameMap, type ShardMap } from '../../domain/shard-map';
import type { Witness } from '../../client/cluster/witness';
import type { ClusterClient } from '../../client/cluster-client';
import { ApiError } from '../http/problem';

export interface WitnessedMapOptions {
  readonly client: Pick<ClusterClient, 'queryMap' | 'queryState' | 'applyTransition'>;
  readonly witness: Pick<Witness, 'lastRemembered' | 'remember'>;
  readonly logger: Logger;
  readonly nowMs?: () => number;
  /** How long a read waits for the witness. */
  readonly patienceMs?: number;
  /** After a look that failed or took longer, the next one begins no sooner than this. */
  readonly pauseMs?: number;
  readonly lookIntervalMs?: number;
}

const PATIENCE_MS = 1_000;
const PAUSE_MS = 1_000;
const LOOK_INTERVAL_MS = 10_000;

export class WitnessedMap {
  private readonly options: WitnessedMapOptions;
  private readonly nowMs: () => number;
  /** The last map that is known not to be rewound, and the last one that the witness remembers. */
  private vouched: ShardMap | null = null;
  private witnessed: ShardMap | null = null;
  private rememberedAtMs: number | null = null;
  /** Why the present map of the cluster may not be served: it is behind the witness, and is not pushed past it yet. */
  private rewound: ApiError | null = null;
  private turn: Promise<unknown> = Promise.resolve();
  private lookedAtMs = Number.NEGATIVE_INFINITY;
  private pausedUntilMs = Number.NEGATIVE_INFINITY;
  private isTroubled = false;

  constructor(options: WitnessedMapOptions) {
    this.options = options;
    this.nowMs = options.nowMs ?? Date.now;
  }

  /** Since the witness was last known to remember the cluster's map; null before the first time. */
  get rememberedAgeMs(): number | null {
    return this.rememberedAtMs === null ? null : Math.max(0, this.nowMs() - this.rememberedAtMs);
  }

  /** @throws ClientError, ApiError */
  async readMap(): Promise<ShardMap> {
    const map = await this.options.client.queryMap();
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
    // A look asks for the state after `map` was read, and a state that was witnessed once is never older.
    return this.vouched !== null && this.vouched.version >= map.version ? this.vouched : map;
  }

  private isServable(map: ShardMap): boolean {
    return this.rewound === null && this.witnessed !== null && isSameMap(this.witnessed, map);
  }

  private lookNowAndThen(): void {
    const nowMs = this.nowMs();
    const { lookIntervalMs = LOOK_INTERVAL_MS } = this.options;
    if (nowMs < Math.max(this.lookedAtMs + lookIntervalMs, this.pausedUntilMs)) return;
    void this.inTurn(() => this.look());
  }

  /** One look at a time, and none fails: trouble is logged when it begins and when it is over. */
  private inTurn(look: () => Promise<void>): Promise<void> {
    this.lookedAtMs = this.nowMs();
    const mine = this.turn.then(async () => {
      try {
        await look();
        if (this.isTroubled) this.options.logger.info('the witness remembers served maps again');
        this.isTroubled = false;
      } catch (error) {
        this.pause();
        if (!this.isTroubled) {
          this.options.logger.warn({ err: error }, 'the map is served although the witness does not remember it');
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
    const { client, witness } = this.options;
    const witnessed = await witness.lastRemembered();
    let state = await client.queryState();
    if (witnessed !== null && isBehind(state, witnessed)) state = await this.catchUp(state, witnessed);
    this.rewound = null;
    this.vouched = state.map;
    if (witnessed === null || !isRemembered(state, witnessed)) await witness.remember(witnessedPart(state));
    this.witnessed = state.map;
    this.rememberedAtMs = this.nowMs();
  }

  private async catchUp(state: ClusterState, witnessed: WitnessedState): Promise<ClusterState> {
    const { client, logger } = this.options;
    const [seen, known] = [state.map.version, witnessed.map.version];
    this.rewound = new ApiError(
      'TemporalUnreachable',
      `the cluster workflow was rewound to map version ${seen}, while version ${known} was served already, and it could not be brought forward yet`,
    );
    logger.warn(
      { version: seen, witnessedVersion: known, nextId: state.nextId, witnessedNextId: witnessed.nextId },
      'the cluster workflow was rewound (reset, or an old backup): the state of the witness is put back, one version above',
    );
    await client.applyTransition({ type: 'catchUp', published: witnessed });
    return client.queryState();
  }
}

function isRemembered(state: WitnessedState, witnessed: WitnessedState): boolean {
  const isSameLock = JSON.stringify(state.lock) === JSON.stringify(witnessed.lock);
  const isSameUid = state.identity?.uid === witnessed.identity?.uid;
  const { routers } = witnessedPart(state);
  const isSameList = routers === undefined || JSON.stringify(routers) === JSON.stringify(witnessed.routers);
  const isSame = isSameLock && isSameUid && isSameList && state.nextId === witnessed.nextId;
  return isSame && isSameMap(state.map, witnessed.map);
}
