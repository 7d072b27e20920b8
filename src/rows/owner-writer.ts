import { Pace } from './pace';
import { keptRow, rowBytes } from './row';
import type { Job, Row, Shards } from './ports';

/** One write holds the receiver's lock. Clients of the receiver should not feel it. */
const LONG_MS = 200;
const SHORT_MS = 100;
const ROWS_MIN = 250;
const ROWS_FIRST = 1_000;
const ROWS_MAX = 8_000;
const BYTES_MAX = 4 * 1024 * 1024;
/** Rows that wait in memory or are under way, of all jobs of a worker together. */
const HELD_BYTES_MAX = 8 * 1024 * 1024;

/** How many bytes of rows the writers of a worker hold together. */
export class HeldRows {
  readonly #bytesMax: number;
  bytes = 0;
  writers = 0;

  constructor(bytesMax = HELD_BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  /** Whether a writer that holds `ownBytes` must give some back. One with less than its share waits for no other one's shard. */
  areTooMany(ownBytes: number): boolean {
    return this.bytes > this.#bytesMax && ownBytes > this.#bytesMax / this.writers;
  }
}

interface Outbox {
  readonly ownerId: number;
  readonly collection: string;
  rows: Row[];
  bytes: number;
}

export interface Priming {
  /**
   * Called before anything else is written to an owner's collection. It has the first rows written, and builds the index on
   * them, when that helps. Returns how many rows those were, or 0.
   */
  prime(ownerId: number, collection: string, write: (rows: number) => Promise<void>): Promise<number>;
}

/**
 * Sends rows to their owners. One write is under way to each owner while the next one is collected, and its size
 * follows the time that it takes. Memory depends neither on how many owners there are nor on how many writers.
 */
export class OwnerWriter {
  points = 0;
  bytes = 0;
  readonly #job: Job;
  readonly #shards: Shards;
  readonly #priming: Priming | null;
  readonly #held: HeldRows;
  readonly #pace: Pace;
  readonly #outboxes = new Map<string, Outbox>();
  readonly #rowsMax = new Map<number, number>();
  readonly #underWay = new Map<number, Promise<void>>();
  readonly #primed = new Set<string>();
  /** This writer's part of what is held. */
  #ownBytes = 0;
  #failure: { readonly error: unknown } | null = null;

  constructor(job: Job, shards: Shards, { priming, held }: { priming: Priming | null; held: HeldRows }) {
    this.#job = job;
    this.#shards = shards;
    this.#priming = priming;
    this.#held = held;
    held.writers += 1;
    this.#pace = new Pace(job);
  }

  /** Returns when there is room for the next row. */
  async add(ownerId: number, collection: string, row: Row): Promise<void> {
    const key = `${ownerId} ${collection}`;
    let outbox = this.#outboxes.get(key);
    if (outbox === undefined) this.#outboxes.set(key, (outbox = { ownerId, collection, rows: [], bytes: 0 }));
    outbox.rows.push(keptRow(row));
    outbox.bytes += rowBytes(row);
    this.#hold(rowBytes(row));
    const most = this.#pace.atMost({ rows: this.#rowsMaxOf(ownerId), bytes: BYTES_MAX });
    if (outbox.rows.length >= most.rows || outbox.bytes >= most.bytes) await this.#send(outbox);
    while (this.#held.areTooMany(this.#ownBytes)) await this.#makeRoom();
  }

  /** When it returns, every row is written. */
  async flush(): Promise<void> {
    for (const outbox of this.#outboxes.values()) if (outbox.rows.length > 0) await this.#send(outbox);
    await this.#settled();
    this.#throwFailure();
  }

  /** To be called once. Never throws. When it returns, nothing is under way, and nothing is held. */
  async close(): Promise<void> {
    await this.#settled();
    this.#outboxes.clear();
    this.#hold(-this.#ownBytes);
    this.#held.writers -= 1;
  }

  /** Never throws. */
  async #settled(): Promise<void> {
    await Promise.all(this.#underWay.values());
  }

  #hold(bytes: number): void {
    this.#ownBytes += bytes;
    this.#held.bytes += bytes;
  }

  async #makeRoom(): Promise<void> {
    const largest = this.#largest();
    if (largest.rows.length > 0) await this.#send(largest);
    else await this.#settled();
    this.#throwFailure();
  }

  #rowsMaxOf(ownerId: number): number {
    return this.#rowsMax.get(ownerId) ?? ROWS_FIRST;
  }

  #largest(): Outbox {
    return [...this.#outboxes.values()].reduce((largest, each) => (each.bytes > largest.bytes ? each : largest));
  }

  async #send(outbox: Outbox): Promise<void> {
    const { ownerId, collection, rows, bytes } = outbox;
    outbox.rows = [];
    outbox.bytes = 0;
    await this.#underWay.get(ownerId);
    this.#throwFailure();
    this.#underWay.set(
      ownerId,
      this.#write(ownerId, collection, rows)
        .catch((error: unknown) => {
          this.#failure ??= { error };
        })
        .finally(() => {
          this.#hold(-bytes);
        }),
    );
    // What is under way is held too.
    if (this.#held.areTooMany(this.#ownBytes)) await this.#underWay.get(ownerId);
  }

  /** No owner gets more before its index is primed: the fewer points it holds, the faster the build. */
  async #write(ownerId: number, collection: string, rows: readonly Row[]): Promise<void> {
    const primed = await this.#prime(ownerId, collection, rows);
    if (rows.length > primed) await this.#upsert(ownerId, collection, rows.slice(primed));
  }

  async #prime(ownerId: number, collection: string, rows: readonly Row[]): Promise<number> {
    const key = `${ownerId} ${collection}`;
    if (this.#priming === null || this.#primed.has(key)) return 0;
    this.#primed.add(key);
    return this.#priming.prime(ownerId, collection, (first) => this.#upsert(ownerId, collection, rows.slice(0, first)));
  }

  async #upsert(ownerId: number, collection: string, rows: readonly Row[]): Promise<void> {
    await this.#pace.ready();
    this.#pace.owe(rows);
    const beganAtMs = this.#job.nowMs();
    await this.#shards(ownerId).upsert(collection, rows);
    this.points += rows.length;
    for (const row of rows) this.bytes += rowBytes(row);
    const tookMs = this.#job.nowMs() - beganAtMs;
    const rowsMax = this.#rowsMaxOf(ownerId);
    this.#job.slowness?.called('write_latency', ownerId, { tookMs, boundMs: LONG_MS });
    if (tookMs > LONG_MS) this.#rowsMax.set(ownerId, Math.max(ROWS_MIN, Math.floor(rowsMax / 2)));
    else if (tookMs < SHORT_MS && rows.length >= rowsMax) this.#rowsMax.set(ownerId, Math.min(ROWS_MAX, rowsMax * 2));
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure.error;
  }
}
