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

  constructor(bytesMax = HELD_BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  get areTooMany(): boolean {
    return this.bytes > this.#bytesMax;
  }
}

interface Outbox {
  readonly ownerId: number;
  readonly collection: string;
  rows: Row[];
  bytes: number;
}

/** Called before the first write to an owner's collection, and after its first `rows` are there. */
export interface Priming {
  /** How many rows come first, or null when the index needs no priming. */
  rowsFirst(ownerId: number, collection: string): Promise<number | null>;
  prime(ownerId: number, collection: string): Promise<void>;
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
    while (this.#held.areTooMany && this.#ownBytes > 0) await this.#makeRoom();
  }

  /** When it returns, every row is written. */
  async flush(): Promise<void> {
    for (const outbox of this.#outboxes.values()) if (outbox.rows.length > 0) await this.#send(outbox);
    await this.#settled();
    this.#throwFailure();
  }

  /** Never throws. When it returns, nothing is under way, and nothing is held. */
  async close(): Promise<void> {
    await this.#settled();
    this.#outboxes.clear();
    this.#hold(-this.#ownBytes);
  }

  /** Never throws. */
  async #settled(): Promise<void> {
    await Promise.all(this.#underWay.values());
  }

  #hold(bytes: number): void {
    this.#ownBytes += bytes;
    this.#held.bytes += bytes;
  }

  /** A writer gives room of its own alone, so no two of them wait for each other. */
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
    const first = await this.#rowsToPrime(ownerId, collection);
    this.#underWay.set(
      ownerId,
      this.#write(ownerId, collection, rows, first)
        .catch((error: unknown) => {
          this.#failure ??= { error };
        })
        .finally(() => {
          this.#hold(-bytes);
        }),
    );
    // What is under way is held too.
    if (this.#held.areTooMany) await this.#underWay.get(ownerId);
  }

  async #rowsToPrime(ownerId: number, collection: string): Promise<number | null> {
    const key = `${ownerId} ${collection}`;
    if (this.#priming === null || this.#primed.has(key)) return null;
    this.#primed.add(key);
    return this.#priming.rowsFirst(ownerId, collection);
  }

  /** No owner gets more before its index is primed: the fewer points it holds, the faster the build. */
  async #write(ownerId: number, collection: string, rows: readonly Row[], first: number | null): Promise<void> {
    if (first === null) return this.#upsert(ownerId, collection, rows);
    await this.#upsert(ownerId, collection, rows.slice(0, first));
    await this.#priming?.prime(ownerId, collection);
    if (rows.length > first) await this.#upsert(ownerId, collection, rows.slice(first));
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
    if (tookMs > LONG_MS) this.#rowsMax.set(ownerId, Math.max(ROWS_MIN, Math.floor(rowsMax / 2)));
    else if (tookMs < SHORT_MS && rows.length >= rowsMax) this.#rowsMax.set(ownerId, Math.min(ROWS_MAX, rowsMax * 2));
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure.error;
  }
}
