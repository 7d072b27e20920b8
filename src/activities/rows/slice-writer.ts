import { UPSERT_BODY_BYTES_MAX, UPSERT_POINTS_MAX } from '../../domain/limits';
import type { CopyPageInput } from '../../contract/move';
import { isPrimingUseful, PRIME_POINTS, primeIndex } from './prime-index';
import type { ActivityScope } from '../frame/run-activity';

/** What is collected for one owner. `primes` is null until it is known whether its index needs priming, then false. */
interface Outbox {
  readonly ownerId: number;
  points: Buffer[];
  bytes: number;
  primes: boolean | null;
}

/**
 * Sends points to their owners in bodies cut by bytes and by count. One body is under way while the next one is filled,
 * so reads and writes overlap. Memory: two bodies, however many owners there are and however large a point is.
 */
export class SliceWriter {
  points = 0;
  bytes = 0;
  readonly #scope: ActivityScope;
  readonly #input: CopyPageInput;
  readonly #outboxes = new Map<number, Outbox>();
  #collectedBytes = 0;
  #hasFull = false;
  #underWay: Promise<void> = Promise.resolve();
  #failure: { readonly error: unknown } | null = null;

  constructor(scope: ActivityScope, input: CopyPageInput) {
    this.#scope = scope;
    this.#input = input;
  }

  /** Keeps a copy: `raw` is a view into a chunk that is much larger than the points kept of it. */
  add(ownerId: number, raw: Buffer): void {
    let outbox = this.#outboxes.get(ownerId);
    if (outbox === undefined) {
      outbox = { ownerId, points: [], bytes: 0, primes: null };
      this.#outboxes.set(ownerId, outbox);
    }
    outbox.points.push(Buffer.from(raw));
    outbox.bytes += raw.length;
    this.#collectedBytes += raw.length;
    const pointsMax = outbox.primes === false ? UPSERT_POINTS_MAX : PRIME_POINTS;
    if (outbox.points.length >= pointsMax) this.#hasFull = true;
  }

  hasRoomFor(raw: Buffer): boolean {
    return !this.#hasFull && (this.#collectedBytes === 0 || this.#collectedBytes + raw.length <= UPSERT_BODY_BYTES_MAX);
  }

  /** Sends what is full. Returns as soon as the next points can be collected. */
  async makeRoomFor(raw: Buffer): Promise<void> {
    for (const outbox of this.#outboxes.values()) {
      const isPriming = outbox.primes !== false && outbox.points.length >= PRIME_POINTS;
      if (isPriming || outbox.points.length >= UPSERT_POINTS_MAX) await this.#send(outbox);
    }
    this.#hasFull = false;
    while (!this.hasRoomFor(raw)) await this.#send(this.#largest());
  }

  async flushAll(): Promise<void> {
    for (const outbox of this.#outboxes.values()) if (outbox.points.length > 0) await this.#send(outbox);
    await this.#previous();
  }

  /** Never throws. When it returns, nothing is under way. */
  async settled(): Promise<void> {
    await this.#underWay;
  }

  #largest(): Outbox {
    let largest: Outbox | null = null;
    for (const outbox of this.#outboxes.values())
      if (largest === null || outbox.bytes > largest.bytes) largest = outbox;
    if (largest === null) throw new Error('bytes were collected for nobody');
    return largest;
  }

  /** Waits for the body before this one, then begins this one. */
  async #send(outbox: Outbox): Promise<void> {
    await this.#previous();
    const { points, bytes, ownerId } = outbox;
    outbox.points = [];
    outbox.bytes = 0;
    this.#collectedBytes -= bytes;
    outbox.primes ??= await isPrimingUseful(this.#scope, this.#input, ownerId);
    const primesNow = outbox.primes;
    outbox.primes = false;
    this.#underWay = this.#upsert(ownerId, points, bytes, primesNow).catch((error: unknown) => {
      this.#failure ??= { error };
    });
    // No owner gets more before this index is primed: the fewer points it holds, the faster the build.
    if (primesNow) await this.#previous();
  }

  async #previous(): Promise<void> {
    await this.#underWay;
    if (this.#failure !== null) throw this.#failure.error;
  }

  async #upsert(ownerId: number, points: readonly Buffer[], bytes: number, primes: boolean): Promise<void> {
    const { attempt, shards } = this.#scope;
    const owner = shards.ofMove(this.#input, ownerId);
    for (const body of cutToBodies(points)) {
      await attempt.write((ctx) => owner.upsert(this.#input.collection, body, ctx));
    }
    this.points += points.length;
    this.bytes += bytes;
    if (primes) await primeIndex(this.#scope, this.#input, ownerId);
  }
}

/** Bodies within both limits. A point that is larger than a body goes alone. */
export function* cutToBodies(points: readonly Buffer[]): Generator<readonly Buffer[]> {
  let body: Buffer[] = [];
  let bytes = 0;
  for (const point of points) {
    if (body.length > 0 && (bytes + point.length > UPSERT_BODY_BYTES_MAX || body.length >= UPSERT_POINTS_MAX)) {
      yield body;
      body = [];
      bytes = 0;
    }
    body.push(point);
    bytes += point.length;
  }
  if (body.length > 0) yield body;
}
