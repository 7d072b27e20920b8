/**
 * One pass of a check or a repair: every holder is scanned once, and what lies on a shard that does not own it is asked
 * for by id on all its holders, and on its owner last, whose answer decides.
 *
 *  1. The scans spool the misplaced ids of each holder. Rows that lie where they belong are only counted.
 *  2. A check reports what the holders answer. A repair leaves the rows alone for a settle time first, and acts:
 *     the owner holds the row: its value wins, and the copies are removed. The owner lacks it: it gets what the holders
 *     agree on, or what the preferred holder has. Else all is left as it is.
 *  3. Copies are removed only of rows that the owner showed in this same attempt (INV-5).
 *
 * A client may write the row between the last look at the owner and the write that follows, and is then overwritten.
 * Quiver has no conditional write, so this window can only be kept short: a few rows at a time, the owner asked last.
 */
import type { InspectedCollection } from '../../contract/repair';
import {
  addByHolder,
  COUNTED_AS,
  isClean,
  NOTHING_FOUND,
  NOTHING_HELD,
  withCollection,
  type Finding,
  type FindingSample,
  type Holder,
  type HolderFindings,
  type PassFindings,
} from '../../domain/findings';
import { FINDING_SAMPLES_MAX } from '../../domain/limits';
import { PlacementPlan } from '../../domain/placement-plan';
import type { PlacementSpec } from '../../domain/shard-map';
import { Pace } from '../pace';
import { PacedDelete } from '../paced-delete';
import { CollectionMissing, type Job, type Row, type RowShard } from '../ports';
import { scanCut } from '../scan';
import { merge } from '../spool/merge';
import type { Spool } from '../spool/spool';
import { Spooling } from '../spool/spooling';
import type { MoveParts } from './move-parts';
import { decide, findingsOf, type Copy } from './judge-copies';

export interface MisplacedJob {
  readonly placement: PlacementSpec;
  /** The primary URLs of shards that are not in the map. They own nothing. */
  readonly leftovers: readonly string[];
  readonly collections: readonly InspectedCollection[];
  /** Null in a check, which only looks. */
  readonly mend: { readonly settleMs: number; readonly prefer: readonly Holder[] } | null;
}

export interface MisplacedDone {
  readonly found: PassFindings;
  /** What a repair left as it is. */
  readonly left: PassFindings;
  readonly rowsRead: number;
  readonly moved: number;
  readonly removedByHolder: Readonly<Record<Holder, number>>;
  readonly stopMsByHolder: Readonly<Record<Holder, number>>;
}

const HOLDERS_AT_ONCE = 4;
/** Rows that are looked at together and written together, with nothing in between. */
const ROWS_AT_ONCE = 8;
const ROWS_PER_QUESTION = 100;

export async function findMisplaced(job: Job, input: MisplacedJob, parts: MoveParts): Promise<MisplacedDone> {
  const search = new Search(job, input, parts);
  try {
    return await search.run();
  } finally {
    search.close();
  }
}

interface HolderScan {
  readonly holder: Holder;
  readonly shard: RowShard;
  /** Rows by collection. */
  readonly rows: Map<string, number>;
  /** Ids of rows that belong elsewhere; the digest holds the row's place. */
  spools: ReadonlyMap<string, Spool>;
  stopMs: number;
}

interface Misplaced {
  readonly id: Buffer;
  readonly ownerId: number;
  readonly holders: readonly { readonly scan: HolderScan; readonly offset: number }[];
}

interface Look extends Misplaced {
  readonly copies: readonly (Copy & { readonly scan: HolderScan; readonly offset: number })[];
  readonly owned: Row | null;
}

type Counts = { -readonly [K in keyof HolderFindings]: HolderFindings[K] };

class Search {
  readonly #job: Job;
  readonly #input: MisplacedJob;
  readonly #parts: MoveParts;
  readonly #plan: PlacementPlan;
  readonly #pace: Pace;
  readonly #scans: HolderScan[] = [];
  #rowsRead = 0;
  #moved = 0;
  readonly #removed = new Map<Holder, number>();

  constructor(job: Job, input: MisplacedJob, parts: MoveParts) {
    this.#job = job;
    this.#input = input;
    this.#parts = parts;
    this.#plan = new PlacementPlan(input.placement);
    this.#pace = new Pace(job);
  }

  async run(): Promise<MisplacedDone> {
    const holders = [...this.#input.placement.shards, ...this.#input.leftovers];
    for (let start = 0; start < holders.length; start += HOLDERS_AT_ONCE) {
      await Promise.all(holders.slice(start, start + HOLDERS_AT_ONCE).map((each) => this.#scan(each)));
    }
    this.#scans.sort((a, b) => holders.indexOf(a.shard.id) - holders.indexOf(b.shard.id));
    let [found, left] = [NOTHING_FOUND, NOTHING_FOUND];
    for (const inspected of this.#input.collections) {
      const seen = await this.#compare(inspected);
      found = withCollection(found, { ...inspectedOf(inspected), ...seen.all }, seen.samples);
      const rest = { ...inspectedOf(inspected), points: seen.all.points, byHolder: seen.left };
      if (!isClean(withCollection(NOTHING_FOUND, rest, []))) left = withCollection(left, rest, seen.samples);
    }
    return {
      found,
      left,
      rowsRead: this.#rowsRead,
      moved: this.#moved,
      removedByHolder: Object.fromEntries(this.#removed),
      stopMsByHolder: Object.fromEntries(this.#scans.map(({ holder, stopMs }) => [holder, stopMs])),
    };
  }

  close(): void {
    for (const { spools } of this.#scans) for (const spool of spools.values()) spool.close();
  }

  // ---- Scan ----

  async #scan(of: number | string): Promise<void> {
    const shard = this.#parts.shards(of);
    await shard.confirmIdentity();
    const compared = new Set(
      this.#input.collections.flatMap((each) => (each.notCompared === null ? [each.collection] : [])),
    );
    const scan: HolderScan = { holder: String(of), shard, rows: new Map(), spools: new Map(), stopMs: 0 };
    const spooling = new Spooling(this.#parts.spoolFolder);
    try {
      const cut = await scanCut(await shard.source(), this.#job, (collection, rows) => {
        if (!compared.has(collection)) return;
        let offset = scan.rows.get(collection) ?? 0;
        for (const { id } of rows) {
          if (this.#plan.ownerOf(id) !== of) spooling.add(collection, id, placeOf(offset));
          offset += 1;
        }
        scan.rows.set(collection, offset);
        this.#rowsRead += rows.length;
        this.#report();
      });
      cut.end();
      scan.stopMs = cut.stopMs;
    } finally {
      scan.spools = spooling.finish();
      this.#scans.push(scan);
    }
  }

  #report(): void {
    const expected = this.#input.collections.reduce((sum, { rows }) => sum + rows, 0);
    this.#job.report({ rowsRead: this.#rowsRead, points: this.#rowsRead, bytes: 0, expected });
  }

  // ---- Compare ----

  async #compare(inspected: InspectedCollection): Promise<{
    all: { points: number; byHolder: Record<Holder, HolderFindings> };
    left: Record<Holder, HolderFindings>;
    samples: FindingSample[];
  }> {
    const { collection } = inspected;
    const tally = new Tally(collection);
    for (const { holder, rows } of this.#scans) tally.holds(holder, rows.get(collection) ?? 0);
    let batch: Misplaced[] = [];
    for (const misplaced of this.#misplaced(collection)) {
      tally.misplaced(misplaced.holders.length);
      batch.push(misplaced);
      if (batch.length < ROWS_PER_QUESTION) continue;
      await this.#judge(collection, batch, tally);
      batch = [];
    }
    await this.#judge(collection, batch, tally);
    return tally.result();
  }

  *#misplaced(collection: string): Generator<Misplaced> {
    const holding = this.#scans.flatMap((scan) => {
      const spool = scan.spools.get(collection);
      return spool === undefined ? [] : [{ scan, spool }];
    });
    for (const { id, rows } of merge(holding.map(({ spool }) => spool.read()))) {
      const holders = holding.flatMap(({ scan }, index) => {
        const row = rows[index] ?? null;
        return row === null ? [] : [{ scan, offset: offsetAt(row.digest) }];
      });
      yield { id: Buffer.from(id), ownerId: this.#plan.ownerOf(id), holders };
    }
  }

  async #judge(collection: string, batch: readonly Misplaced[], tally: Tally): Promise<void> {
    if (batch.length === 0) return;
    const { mend } = this.#input;
    if (mend === null) {
      for (const look of await this.#look(collection, batch)) tally.found(look);
      return;
    }
    await this.#job.sleep(mend.settleMs);
    const removals: Look[] = [];
    for (let start = 0; start < batch.length; start += ROWS_AT_ONCE) {
      await this.#pace.ready();
      const looks = await this.#look(collection, batch.slice(start, start + ROWS_AT_ONCE));
      removals.push(...(await this.#mend(collection, looks, { prefer: mend.prefer, tally })));
    }
    await this.#remove(collection, removals, tally);
  }

  /** The owner is asked last, because its answer decides. Rows whose copies are all gone are left out. */
  async #look(collection: string, batch: readonly Misplaced[]): Promise<Look[]> {
    const copies = new Map<Misplaced, (Copy & { scan: HolderScan; offset: number })[]>(batch.map((each) => [each, []]));
    for (const scan of new Set(batch.flatMap(({ holders }) => holders.map((each) => each.scan)))) {
      const held = batch.filter(({ holders }) => holders.some((each) => each.scan === scan));
      const rows = await rowsOf(scan.shard, collection, held);
      held.forEach((each, index) => {
        const row = rows[index] ?? null;
        const offset = each.holders.find((holder) => holder.scan === scan)?.offset ?? 0;
        if (row !== null) copies.get(each)?.push({ holder: scan.holder, row, scan, offset });
      });
    }
    const left = batch.filter((each) => (copies.get(each) ?? []).length > 0);
    const owned = new Map<Misplaced, Row | null>();
    for (const ownerId of new Set(left.map((each) => each.ownerId))) {
      const ofOwner = left.filter((each) => each.ownerId === ownerId);
      const rows = await rowsOf(this.#parts.shards(ownerId), collection, ofOwner);
      ofOwner.forEach((each, index) => owned.set(each, rows[index] ?? null));
    }
    return left.map((each) => ({ ...each, copies: copies.get(each) ?? [], owned: owned.get(each) ?? null }));
  }

  /** Returns those whose copies may go. */
  async #mend(
    collection: string,
    looks: readonly Look[],
    { prefer, tally }: { prefer: readonly Holder[]; tally: Tally },
  ): Promise<Look[]> {
    const removals: Look[] = [];
    const moves: { look: Look; row: Row }[] = [];
    for (const look of looks) {
      const decision = decide(look.owned, look.copies, prefer);
      if (decision.kind === 'remove') removals.push(look);
      else if (decision.kind === 'move') moves.push({ look, row: decision.row });
      else tally.found(look);
    }
    for (const ownerId of new Set(moves.map(({ look }) => look.ownerId))) {
      const ofOwner = moves.filter(({ look }) => look.ownerId === ownerId);
      const owner = this.#parts.shards(ownerId);
      const rows = ofOwner.map(({ row }) => row);
      await owner.upsert(collection, rows);
      this.#pace.owe(rows);
      this.#moved += ofOwner.length;
      // A client may have deleted a row at once: then its copies stay for the next pass, which looks at them again.
      const shown = await rowsOf(
        owner,
        collection,
        ofOwner.map(({ look }) => look),
      );
      ofOwner.forEach(({ look }, index) => {
        if (shown[index] != null) removals.push(look);
      });
    }
    return removals;
  }

  async #remove(collection: string, looks: readonly Look[], tally: Tally): Promise<void> {
    for (const scan of new Set(looks.flatMap(({ copies }) => copies.map((each) => each.scan)))) {
      const held = looks.filter(({ copies }) => copies.some((each) => each.scan === scan));
      const deletes = new PacedDelete(this.#job, scan.shard);
      try {
        const removed = await deletes.delete(
          collection,
          held.map(({ id }) => id),
        );
        this.#removed.set(scan.holder, (this.#removed.get(scan.holder) ?? 0) + removed);
      } catch (error) {
        // A client dropped it meanwhile: nothing is left of it.
        if (!(error instanceof CollectionMissing)) throw error;
      }
    }
    for (const look of looks) tally.mended(look);
  }
}

/** What is found in one collection, and what of it stays. */
class Tally {
  readonly #collection: string;
  readonly #all = new Map<Holder, Counts>();
  readonly #left = new Map<Holder, Counts>();
  readonly #samples: FindingSample[] = [];
  #points = 0;

  constructor(collection: string) {
    this.#collection = collection;
  }

  holds(holder: Holder, rows: number): void {
    if (rows === 0) return;
    this.#points += rows;
    this.#all.set(holder, { ...NOTHING_HELD, points: rows });
    this.#left.set(holder, { ...NOTHING_HELD, points: rows });
  }

  /** Copies are no points of their own. Whether the owner holds one too is known later. */
  misplaced(holders: number): void {
    this.#points -= holders;
  }

  found(look: Look): void {
    this.#count(look, true);
  }

  mended(look: Look): void {
    this.#count(look, false);
  }

  result(): {
    all: { points: number; byHolder: Record<Holder, HolderFindings> };
    left: Record<Holder, HolderFindings>;
    samples: FindingSample[];
  } {
    const all = { points: this.#points, byHolder: addByHolder({}, Object.fromEntries(this.#all)) };
    return { all, left: addByHolder({}, Object.fromEntries(this.#left)), samples: this.#samples };
  }

  #count({ owned, copies }: Look, stays: boolean): void {
    if (owned === null) this.#points += 1;
    const findings = findingsOf(owned, copies);
    copies.forEach(({ holder, offset }, index) => {
      const finding = findings[index] ?? 'conflicting';
      countFinding(this.#all, holder, finding);
      if (!stays) return;
      countFinding(this.#left, holder, finding);
      if (this.#samples.length < FINDING_SAMPLES_MAX) {
        this.#samples.push({ collection: this.#collection, finding, holder, offset });
      }
    });
  }
}

function countFinding(of: Map<Holder, Counts>, holder: Holder, finding: Finding): void {
  const counts = of.get(holder);
  if (counts !== undefined) counts[COUNTED_AS[finding]] += 1;
}

/** A shard that lacks the collection holds nothing of it. A shard that does not answer fails the attempt (INV-8). */
async function rowsOf(shard: RowShard, collection: string, of: readonly { id: Buffer }[]): Promise<(Row | null)[]> {
  try {
    return await shard.getRows(
      collection,
      of.map(({ id }) => id),
    );
  } catch (error) {
    if (error instanceof CollectionMissing) return of.map(() => null);
    throw error;
  }
}

function inspectedOf({
  collection,
  notCompared,
  missingOn,
  otherSchemaOn,
}: InspectedCollection): Omit<InspectedCollection, 'rows'> {
  return { collection, notCompared, missingOn, otherSchemaOn };
}

function placeOf(offset: number): Buffer {
  const place = Buffer.alloc(16);
  place.writeUIntLE(offset, 0, 6);
  return place;
}

function offsetAt(place: Buffer): number {
  return place.readUIntLE(0, 6);
}
