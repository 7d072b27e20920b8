/**
 * A shard as a process with a volume. Everything that it is asked for waits for its turn: a scan stops it. What it has
 * acknowledged is on its volume, whatever becomes of the process.
 */
import { Process, type VirtualTime } from '../runtime/time';
import type { Random } from './random';

export interface Row {
  readonly id: Buffer;
  readonly vector: Buffer;
  readonly payload: Buffer;
}

interface Collection {
  /** As it was created: JSON. */
  readonly schema: string;
  readonly dim: number;
  readonly rows: Map<string, Row>;
}

export type Volume = Map<string, Collection>;

export type Change =
  | { readonly kind: 'upsert'; readonly collection: string; readonly row: Row }
  | { readonly kind: 'delete'; readonly collection: string; readonly id: Buffer }
  | { readonly kind: 'create'; readonly collection: string; readonly schema: string; readonly dim: number }
  | { readonly kind: 'drop'; readonly collection: string };

/** The address refused, or the connection broke before an answer came (`isCut`). */
export class Unanswered extends Error {
  readonly isCut: boolean;

  constructor(isCut: boolean) {
    super(isCut ? 'the connection broke' : 'connection refused');
    this.isCut = isCut;
  }
}

/** A shard that answers, and says no. */
export class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export interface ShardWorld {
  readonly time: VirtualTime;
  readonly random: Random;
  /** How long a message is under way. */
  latencyMs(): number;
}

/** Times in µs. */
const DELETE_MICROS = 300;

export class SimShard {
  readonly url: string;
  readonly name: string;
  volume: Volume = new Map();
  process: Process;
  isUp = true;
  /** One for each start of the process. */
  generation = 1;
  scanMicrosPerRow = 25;
  /** A stream's tail is lost behind so many changes that are not read yet. */
  tailChangesMax = 1_024;
  /** Chosen by the faults: what happens to the next streams. */
  nextStreams: ('whole' | 'cut' | 'tail-lost')[] = [];
  readonly followers: Follower[] = [];
  readonly #world: ShardWorld;
  readonly #streams = new Set<(change: Change | 'lost') => void>();
  #freeAtMs = 0;

  constructor(world: ShardWorld, name: string, url: string) {
    this.#world = world;
    this.name = name;
    this.url = url;
    this.process = new Process(name);
  }

  // ---- Its life ----

  stop(): void {
    this.isUp = false;
    this.generation += 1;
    for (const tell of [...this.#streams]) tell('lost');
    this.#streams.clear();
    for (const follower of this.followers) follower.isFrozen = true;
  }

  start(): void {
    this.isUp = true;
    this.#freeAtMs = this.#world.time.nowMs;
  }

  /** It does nothing until then; what it is asked waits. */
  standStillUntil(atMs: number): void {
    this.#freeAtMs = Math.max(this.#freeAtMs, atMs);
  }

  // ---- Its clients ----

  /**
   * One request: its way here, its turn, what it does, and the way back. What it does happens whether or not somebody
   * still waits for the answer.
   */
  async request<T>(
    serve: () => T,
    { owner, costMicros = 0, lateMs = 0 }: { owner: Process | null; costMicros?: number; lateMs?: number },
  ): Promise<T> {
    const { time } = this.#world;
    await time.sleep(this.#world.latencyMs() + lateMs);
    if (!this.isUp) throw new Unanswered(false);
    const { generation } = this;
    while (this.#freeAtMs > time.nowMs) {
      await time.sleep(this.#freeAtMs - time.nowMs);
      if (generation !== this.generation) throw new Unanswered(true);
    }
    let outcome: { readonly value: T } | { readonly refusal: unknown };
    try {
      outcome = { value: serve() };
    } catch (refusal) {
      outcome = { refusal };
    }
    if (costMicros > 0) this.#freeAtMs = time.nowMs + Math.ceil(costMicros / 1000);
    await time.sleep(this.#world.latencyMs(), owner);
    if (generation !== this.generation) throw new Unanswered(true);
    if ('refusal' in outcome) throw outcome.refusal;
    return outcome.value;
  }

  get isFollower(): boolean {
    return false;
  }

  // ---- What it holds ----

  collection(name: string): Collection {
    const found = this.volume.get(name);
    if (found === undefined) throw new Refusal(404, `collection ${name} is missing`);
    return found;
  }

  /** False: it exists. */
  create(name: string, schema: string, dim: number): boolean {
    this.#refuseWrites();
    if (this.volume.has(name)) return false;
    this.apply({ kind: 'create', collection: name, schema, dim });
    return true;
  }

  drop(name: string): boolean {
    this.#refuseWrites();
    if (!this.volume.has(name)) return false;
    this.apply({ kind: 'drop', collection: name });
    return true;
  }

  upsert(name: string, rows: readonly Row[]): void {
    this.#refuseWrites();
    this.collection(name);
    for (const row of rows) this.apply({ kind: 'upsert', collection: name, row });
  }

  delete(name: string, ids: readonly Buffer[]): number {
    this.#refuseWrites();
    const { rows } = this.collection(name);
    let deleted = 0;
    for (const id of ids) {
      if (!rows.has(id.toString('latin1'))) continue;
      deleted += 1;
      this.apply({ kind: 'delete', collection: name, id });
    }
    return deleted;
  }

  static deleteMicros(ids: number): number {
    return ids * DELETE_MICROS;
  }

  #refuseWrites(): void {
    if (this.isFollower) throw new Refusal(403, 'this is a read-only follower');
  }

  apply(change: Change): void {
    if (change.kind === 'create') {
      const { collection, schema, dim } = change;
      this.volume.set(collection, { schema, dim, rows: new Map() });
    } else if (change.kind === 'drop') this.volume.delete(change.collection);
    else if (change.kind === 'upsert') {
      this.volume.get(change.collection)?.rows.set(change.row.id.toString('latin1'), change.row);
    } else this.volume.get(change.collection)?.rows.delete(change.id.toString('latin1'));
    for (const tell of [...this.#streams]) tell(change);
    for (const follower of this.followers) follower.follow(change);
  }

  snapshot(): Volume {
    return new Map(
      [...this.volume].map(([name, { schema, dim, rows }]) => [name, { schema, dim, rows: new Map(rows) }]),
    );
  }

  rowCount(): number {
    let rows = 0;
    for (const collection of this.volume.values()) rows += collection.rows.size;
    return rows;
  }

  /** Cut and subscription are one. The shard stands still for the scan. Returns how long. */
  beginScan(tell: (change: Change | 'lost') => void): { cut: Volume; stopMs: number; end: () => void } {
    const stopMs = Math.ceil((this.rowCount() * this.scanMicrosPerRow) / 1000);
    this.#freeAtMs = Math.max(this.#freeAtMs, this.#world.time.nowMs + stopMs);
    this.#streams.add(tell);
    return { cut: this.snapshot(), stopMs, end: () => void this.#streams.delete(tell) };
  }
}

/** Applies what its primary does, in order and some time later. Once its stream has broken it never follows again. */
export class Follower extends SimShard {
  isFrozen = false;
  lagMs = 2;
  readonly #time: VirtualTime;
  #lastAtMs = 0;

  constructor(world: ShardWorld, name: string, url: string, primary: SimShard) {
    super(world, name, url);
    this.#time = world.time;
    this.volume = primary.snapshot();
    primary.followers.push(this);
  }

  override get isFollower(): boolean {
    return true;
  }

  follow(change: Change): void {
    if (this.isFrozen) return;
    this.#lastAtMs = Math.max(this.#lastAtMs, this.#time.nowMs + this.lagMs);
    this.#time.at(this.#lastAtMs, null, () => {
      if (!this.isFrozen) this.apply(change);
    });
  }
}
