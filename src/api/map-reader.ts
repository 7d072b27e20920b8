/**
 * Serves the map to any number of readers.
 *
 * 1. Every answer comes from a workflow query that began after the reader asked: it is as fresh as its own request.
 * 2. All readers that wait when a query begins share it, so the cost is per batch, not per reader.
 * 3. A few queries may be under way at once, begun apart from each other; a query that hangs holds up nobody but its own batch.
 * 4. When Temporal does not answer in time, the last known map is the answer, marked as stale: a router may always hold an
 *    older map. A map that was never known is no answer.
 */
import { createHash } from 'node:crypto';
import type { ShardMap } from '../domain/shard-map';
import { ApiError, unavailable } from './problem';

/** A map as it goes over the wire, made once per version. */
export interface ServedMap {
  readonly map: ShardMap;
  readonly body: Buffer;
  readonly etag: string;
}

export type MapReading =
  | { readonly kind: 'fresh'; readonly served: ServedMap }
  | { readonly kind: 'stale'; readonly served: ServedMap; readonly ageMs: number; readonly reason: ApiError }
  | { readonly kind: 'unknown'; readonly reason: ApiError };

export interface MapReaderOptions {
  /** Asks the cluster workflow. Must settle within its own deadline; it rejects with an ApiError that says why there is no map. */
  readonly queryMap: () => Promise<ShardMap>;
  readonly nowMs?: () => number;
  readonly queriesInFlightMax?: number;
  /** A batch that waits this long begins its query whatever is under way. */
  readonly batchWaitMaxMs?: number;
}

const QUERIES_IN_FLIGHT_MAX = 2;
const BATCH_WAIT_MAX_MS = 250;

type Resolve = (reading: MapReading) => void;

export class MapReader {
  private readonly queryMap: () => Promise<ShardMap>;
  private readonly nowMs: () => number;
  private readonly queriesInFlightMax: number;
  private readonly batchWaitMaxMs: number;
  private waiting: Resolve[] = [];
  private queriesInFlight = 0;
  private queriesBegun = 0;
  private overdue: NodeJS.Timeout | null = null;
  private known: { served: ServedMap; atMs: number; query: number } | null = null;

  constructor(options: MapReaderOptions) {
    this.queryMap = options.queryMap;
    this.nowMs = options.nowMs ?? Date.now;
    this.queriesInFlightMax = options.queriesInFlightMax ?? QUERIES_IN_FLIGHT_MAX;
    this.batchWaitMaxMs = options.batchWaitMaxMs ?? BATCH_WAIT_MAX_MS;
  }

  /** Never rejects. */
  read(): Promise<MapReading> {
    return new Promise((resolve) => {
      this.waiting.push(resolve);
      if (this.waiting.length > 1) return;
      if (this.queriesInFlight < this.queriesInFlightMax) this.begin();
      else this.overdue = setTimeout(() => this.begin(), this.batchWaitMaxMs);
    });
  }

  /** Begins a query for all who wait now. Whoever comes later waits for a later one. */
  private begin(): void {
    if (this.overdue !== null) clearTimeout(this.overdue);
    this.overdue = null;
    const batch = this.waiting;
    this.waiting = [];
    const query = ++this.queriesBegun;
    this.queriesInFlight += 1;
    void this.ask(query).then((reading) => {
      this.queriesInFlight -= 1;
      for (const resolve of batch) resolve(reading);
      if (this.waiting.length > 0 && this.queriesInFlight < this.queriesInFlightMax) this.begin();
    });
  }

  private async ask(query: number): Promise<MapReading> {
    try {
      const served = this.serve(await this.queryMap());
      // Queries may end out of order: the one that began last knows best.
      if (this.known === null || query > this.known.query) this.known = { served, atMs: this.nowMs(), query };
      return { kind: 'fresh', served };
    } catch (error) {
      const reason =
        error instanceof ApiError ? error : unavailable('TemporalUnreachable', 'the map could not be read', error);
      if (this.known === null) return { kind: 'unknown', reason };
      return { kind: 'stale', served: this.known.served, ageMs: this.nowMs() - this.known.atMs, reason };
    }
  }

  private serve(map: ShardMap): ServedMap {
    const text = JSON.stringify(map);
    const body = Buffer.from(text);
    if (this.known?.served.body.equals(body)) return this.known.served;
    // The version alone would call a map unchanged after its workflow was replaced.
    const digest = createHash('sha256').update(body).digest('hex').slice(0, 8);
    return { map, body, etag: `"${map.version}-${digest}"` };
  }
}
