import type { Spool } from './spool/spool';
import type { Tail } from './tail';

/** Sessions that nobody has used for this long belong to operations that are over: longer than a step may live. */
const IDLE_MS = 72 * 60 * 60_000;

/** The rows of a donor after the flip, by what is known of them, each kind spooled in order. */
export interface SortedRows {
  /** Unchanged since the proof; the digest is that of both. */
  readonly sure: Map<string, Spool>;
  /** Changed since, or never seen by a pass; the digest is that of the proof, or NO_PROOF. */
  readonly doubtful: Map<string, Spool>;
  /** In the proof, and not on the donor any more. */
  readonly gone: Map<string, Spool>;
  /** Of others, on a leaver. */
  readonly strays: Map<string, Spool>;
}

export interface ReadForDrop {
  readonly sorted: SortedRows;
  /** All rows of the donor, by collection. */
  readonly rowsBy: ReadonlyMap<string, number>;
}

/**
 * What this process knows of one donor in one operation: the ids that the operation may have written to the owners, and
 * what a pass has proven of them. It goes with the process, and then a pass begins anew.
 */
export class DonorSession {
  /** Runs of ids, sorted, by collection. Later runs hold later digests. */
  readonly spools = new Map<string, Spool[]>();
  /** True when the runs are what a pass has seen on both sides, each id in one of them. */
  isProof = false;
  readonly #came = { late: new IdSet(), unsure: new IdSet() };
  #tail: Tail | null = null;
  /** Runs of the cut that the tail goes on from, or of a pass since then. */
  readonly #asDonor = new Set<Spool>();
  /** When the last pass ended: until then every row was on both sides, or on none. */
  comparedAtMs: number | null = null;
  /** When what arrives behind the flip was last looked at. */
  followedAtMs: number | null = null;
  /** The operation itself has deleted rows of the proof from the donor: that they are gone says nothing any more. */
  hasDropped = false;
  usedAtMs = 0;
  #readForDrop: ReadForDrop | null = null;
  #knowsAllWritten = true;
  #lastAttempt: string | null = null;

  get tail(): Tail | null {
    return this.#tail;
  }

  /** Goes on from a new cut: what older runs say of the donor may be out of date. */
  async follow(tail: Tail | null): Promise<void> {
    await this.#tail?.close();
    this.#tail = tail;
    this.#asDonor.clear();
  }

  /** The rows of this run are on the donor just so, but for those that the tail names. */
  isAsDonor(run: Spool): boolean {
    return this.#asDonor.has(run);
  }

  get readForDrop(): ReadForDrop | null {
    return this.#readForDrop;
  }

  set readForDrop(read: ReadForDrop | null) {
    this.#closeReadForDrop();
    this.#readForDrop = read;
  }

  /** Its spools are the caller's from now on. */
  takeForDrop(): ReadForDrop {
    const read = this.#readForDrop;
    if (read === null) throw new Error('nothing was read for a drop');
    this.#readForDrop = null;
    return read;
  }

  /** A row that came behind the flip; see LeftRow. */
  noteCame(collection: string, id: Buffer, how: 'late' | 'unsure'): void {
    this.#came[how].add(collection, id);
  }

  cameOf(collection: string, id: Buffer): 'late' | 'unsure' | null {
    if (this.#came.late.has(collection, id)) return 'late';
    return this.#came.unsure.has(collection, id) ? 'unsure' : null;
  }

  /** False: an attempt whose ids are spooled nowhere in this process may have written rows. */
  get knowsAllWritten(): boolean {
    return this.#knowsAllWritten;
  }

  /** `before`: the attempt before this one, which must have run here for its ids to be known. */
  beginAttempt(attempt: string, before: string | null): void {
    if (before !== this.#lastAttempt) this.#knowsAllWritten = false;
    this.#lastAttempt = attempt;
  }

  get hasKeptTail(): boolean {
    return this.tail?.isKept === true;
  }

  /** Rows in all runs; an id that stands in several counts several times. */
  get rows(): number {
    let rows = 0;
    for (const runs of this.spools.values()) for (const run of runs) rows += run.count;
    return rows;
  }

  /** `of`: the tail that goes on from the cut that it is of. Null: it says nothing of the donor. */
  add(collection: string, spool: Spool, { of }: { readonly of: Tail | null }): void {
    const runs = this.spools.get(collection);
    if (runs === undefined) this.spools.set(collection, [spool]);
    else runs.push(spool);
    // An attempt that was given up may end its cut when a later one is followed already.
    if (of !== null && of === this.#tail) this.#asDonor.add(spool);
    this.isProof = false;
  }

  /** In place of all runs: a pass has looked at everything. */
  replace(proof: readonly ReadonlyMap<string, Spool>[], { of }: { readonly of: Tail | null }): void {
    this.#knowsAllWritten = true;
    this.#closeSpools();
    for (const runs of proof) for (const [name, spool] of runs) this.add(name, spool, { of });
    this.isProof = true;
  }

  async close(): Promise<void> {
    await this.follow(null);
    this.#closeReadForDrop();
    this.#closeSpools();
  }

  #closeReadForDrop(): void {
    if (this.#readForDrop === null) return;
    const { sure, doubtful, gone, strays } = this.#readForDrop.sorted;
    for (const spools of [sure, doubtful, gone, strays]) for (const spool of spools.values()) spool.close();
    this.#readForDrop = null;
  }

  #closeSpools(): void {
    for (const runs of this.spools.values()) for (const run of runs) run.close();
    this.spools.clear();
    this.#asDonor.clear();
  }
}

class IdSet {
  /** By collection; the ids as latin1 text. */
  readonly #ids = new Map<string, Set<string>>();

  add(collection: string, id: Buffer): void {
    const key = id.toString('latin1');
    const known = this.#ids.get(collection);
    if (known === undefined) this.#ids.set(collection, new Set([key]));
    else known.add(key);
  }

  has(collection: string, id: Buffer): boolean {
    return this.#ids.get(collection)?.has(id.toString('latin1')) === true;
  }
}

/** All sessions of a process. */
export class Sessions {
  readonly #sessions = new Map<string, DonorSession>();
  readonly #nowMs: () => number;

  constructor(nowMs: () => number = Date.now) {
    this.#nowMs = nowMs;
  }

  find(operationId: string, donorId: number | string): DonorSession | null {
    const session = this.#sessions.get(keyOf(operationId, donorId)) ?? null;
    if (session !== null) session.usedAtMs = this.#nowMs();
    return session;
  }

  /** The one that there is, or a new one. */
  open(operationId: string, donorId: number | string): DonorSession {
    this.#closeIdle();
    const known = this.find(operationId, donorId);
    if (known !== null) return known;
    const session = new DonorSession();
    session.usedAtMs = this.#nowMs();
    this.#sessions.set(keyOf(operationId, donorId), session);
    return session;
  }

  /** Of all donors of an operation that is over. */
  async end(operationId: string): Promise<void> {
    for (const [key, session] of this.#sessions) {
      if (!key.startsWith(`${operationId} `)) continue;
      this.#sessions.delete(key);
      await session.close();
    }
  }

  async closeAll(): Promise<void> {
    for (const session of this.#sessions.values()) await session.close();
    this.#sessions.clear();
  }

  #closeIdle(): void {
    for (const [key, session] of this.#sessions) {
      if (this.#nowMs() - session.usedAtMs < IDLE_MS) continue;
      this.#sessions.delete(key);
      void session.close();
    }
  }
}

function keyOf(operationId: string, donorId: number | string): string {
  return `${operationId} ${donorId}`;
}
