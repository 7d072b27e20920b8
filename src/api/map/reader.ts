/**
 * Serves the map to any number of readers.
 *
 * 1. An answer of `readMap` comes from a workflow query that began after the reader asked: it is as fresh as its own request.
 * 2. All readers that wait when a query begins share it, so the cost is per batch, not per reader.
 * 3. A query begins a moment after its first reader came, so that all readers of one burst share it. One query is under way at a
 *    time, unless it is slow: a query that hangs holds up only its own batch.
 * 4. `readRecentMap` answers from a query that began at most `maxAgeMs` before, and begins the next one long before that. So polls
 *    cost a query per `REFRESH_AGE_MS`, whoever polls, and wait for none that takes less than the rest of `maxAgeMs`. What this
 *    API itself changes shows at once (`changeBegins`).
 * 5. When Temporal does not answer in time, the last known map is the answer, marked as stale: a router may always hold an
 *    older map. Before the first map is known, there is no answer.
 */
import { createHash } from 'node:crypto';
import type { ShardMap } from '../../domain/shard-map';
import { ApiError, asApiError } from '../http/problem';

/** A map as it goes over the wire, made once per version. */
export interface ServedMap {
  readonly map: ShardMap;
  /** As text, which Node sends with the head in one write. */
  readonly body: string;
  readonly bytes: number;
  readonly etag: string;
}

export type MapReading =
  | { readonly kind: 'fresh'; readonly served: ServedMap }
  | { readonly kind: 'stale'; readonly served: ServedMap; readonly ageMs: number; readonly reason: ApiError }
  | { readonly kind: 'unknown'; readonly reason: ApiError };

export interface MapReaderOptions {
  /** Asks the cluster workflow. Must settle within its own deadline; its error says why there is no map. */
  readonly queryMap: () => Promise<ShardMap>;
  readonly nowMs?: () => number;
  /** How old the answer to a poll may be. 0: as fresh as its request. */
  readonly maxAgeMs?: number;
  /** How long the first reader of a batch waits for others to share its query. */
  readonly gatherMs?: number;
  /** How long a batch waits for the query before its own until it begins beside it. */
  readonly slowQueryMs?: number;
}

/**
 * Measured with 64 connections in a closed loop: without it the first reader after each burst takes a whole query for itself, and
 * throughput halves.
 */
const GATHER_MS = 2;
const SLOW_QUERY_MS = 250;

/** How old the map of a poll is when the next query begins, or half of the highest age. */
const REFRESH_AGE_MS = 50;

type Resolve = (reading: MapReading) => void;

export class MapReader {
  private readonly queryMap: () => Promise<ShardMap>;
  private readonly nowMs: () => number;
  private readonly maxAgeMs: number;
  private readonly gatherMs: number;
  private readonly slowQueryMs: number;
  private waiting: Resolve[] = [];
  private nextBegin: NodeJS.Timeout | null = null;
  private queriesInFlight = 0;
  private queriesBegun = 0;
  private changesUnderWay = 0;
  /** A query that began before is too old: a change has ended since. */
  private changedAtMs = Number.NEGATIVE_INFINITY;
  private known: { served: ServedMap; beganAtMs: number; atMs: number; query: number } | null = null;

  constructor(options: MapReaderOptions) {
    this.queryMap = options.queryMap;
    // Monotonic: a clock that is set back must not make a map look young.
    this.nowMs = options.nowMs ?? (() => performance.now());
    this.maxAgeMs = options.maxAgeMs ?? 0;
    this.gatherMs = options.gatherMs ?? GATHER_MS;
    this.slowQueryMs = options.slowQueryMs ?? SLOW_QUERY_MS;
  }

  /** For polls. Never rejects. */
  readRecentMap(): MapReading | Promise<MapReading> {
    const { known } = this;
    if (known === null || this.changesUnderWay > 0 || known.beganAtMs <= this.changedAtMs) return this.readMap();
    const ageMs = this.nowMs() - known.beganAtMs;
    if (ageMs >= this.maxAgeMs) return this.readMap();
    const isNextDue =
      ageMs >= Math.min(REFRESH_AGE_MS, this.maxAgeMs / 2) && this.queriesInFlight === 0 && this.waiting.length === 0;
    if (isNextDue) void this.readMap();
    return { kind: 'fresh', served: known.served };
  }

  /** Until the function that is returned is called, polls are read anew. */
  changeBegins(): () => void {
    this.changesUnderWay += 1;
    return () => {
      this.changesUnderWay -= 1;
      this.changedAtMs = this.nowMs();
    };
  }

  /** The map that was read last, and how long ago its query began; null before the first one. */
  lastRead(): { readonly version: number; readonly ageMs: number } | null {
    if (this.known === null) return null;
    return { version: this.known.served.map.version, ageMs: this.nowMs() - this.known.beganAtMs };
  }

  /** Never rejects. */
  readMap(): Promise<MapReading> {
    return new Promise((resolve) => {
      this.waiting.push(resolve);
      if (this.waiting.length === 1) this.beginIn(this.queriesInFlight === 0 ? this.gatherMs : this.slowQueryMs);
    });
  }

  private beginIn(delayMs: number): void {
    if (this.nextBegin !== null) clearTimeout(this.nextBegin);
    this.nextBegin = setTimeout(() => this.begin(), delayMs);
  }

  /** Begins a query for all readers that wait now. Later readers wait for a later query. */
  private begin(): void {
    this.nextBegin = null;
    const batch = this.waiting;
    this.waiting = [];
    const query = ++this.queriesBegun;
    this.queriesInFlight += 1;
    void this.ask(query).then((reading) => {
      this.queriesInFlight -= 1;
      for (const resolve of batch) resolve(reading);
      if (this.waiting.length > 0) this.beginIn(this.gatherMs);
    });
  }

  private async ask(query: number): Promise<MapReading> {
    const beganAtMs = this.nowMs();
    try {
      const served = this.serve(await this.queryMap());
      // Queries may end out of order: the one that began last has the newest map.
      if (this.known === null || query > this.known.query)
        this.known = { served, beganAtMs, atMs: this.nowMs(), query };
      return { kind: 'fresh', served };
    } catch (error) {
      const reason =
        asApiError(error) ?? new ApiError('TemporalUnreachable', 'the map could not be read', { cause: error });
      if (this.known === null) return { kind: 'unknown', reason };
      return { kind: 'stale', served: this.known.served, ageMs: this.nowMs() - this.known.atMs, reason };
    }
  }

  private serve(map: ShardMap): ServedMap {
    const body = JSON.stringify(map);
    if (this.known?.served.body === body) return this.known.served;
    // The version alone would call a map unchanged after its workflow was replaced.
    const digest = createHash('sha256').update(body).digest('hex').slice(0, 8);
    return { map, body, bytes: Buffer.byteLength(body), etag: `"${map.version}-${digest}"` };
  }
}
