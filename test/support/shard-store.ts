import type { ChangeFeed } from './shard-changes';
import { compareIds } from './shard-json';

/** What `POST /v1/collections` takes, in the order in which a shard reports it. */
export interface CollectionSchema {
  readonly name: string;
  readonly dim: number;
  readonly metric: string;
  readonly index: string;
  readonly pq_subspaces?: number;
  readonly filterable?: readonly { path: string; field_type: string }[];
  readonly multivector?: true;
  readonly vector_encryption?: string;
  /** gRPC alone reports it. */
  readonly binary?: true;
}

/** A point as its shard writes it back. `vector` is without its brackets. */
export interface StoredPoint {
  readonly id: string;
  readonly payload: string;
  readonly vector: string;
  /** The 32-bit floats, where `vector` does not tell them: it shows what is not finite as null. */
  readonly floats?: Buffer | undefined;
}

/** Between a document's id and the number of its token. */
const TOKEN_MARK = '\x1f';

/**
 * `growing`: hnsw from the first row on, as long as rows are added, never in bulk, none is overwritten and few are
 * removed. `unbuilt`: the next search builds it. `built`: by a search; whatever comes later is added to it.
 */
type IndexState = 'growing' | 'unbuilt' | 'built';

/** A growing index is given up when one row in so many has been removed. */
const GROWING_TOMBSTONES_PART = 5;

/** Above this many changes at once, a new sort is cheaper than moving the tail once per change. */
const CHANGES_ONE_BY_ONE_MAX = 64;

/** The rows of one collection, in byte order of their ids. */
export class StoredCollection {
  readonly schema: CollectionSchema;
  readonly collectionId: number;
  private readonly changes: ChangeFeed;
  private index: IndexState;
  private tombstones = 0;
  private readonly byId = new Map<string, StoredPoint>();
  private sorted: string[] = [];
  private isSorted = true;

  constructor(schema: CollectionSchema, collectionId: number, changes: ChangeFeed) {
    this.schema = schema;
    this.collectionId = collectionId;
    this.changes = changes;
    this.index = schema.index === 'hnsw' ? 'growing' : 'unbuilt';
  }

  /** False: the next search pays for building the index. */
  get indexReady(): boolean {
    return this.count === 0 || this.index !== 'unbuilt';
  }

  /** Of points, or of documents. */
  get count(): number {
    if (this.schema.multivector !== true) return this.byId.size;
    return this.ids().filter((id) => id.endsWith(`${TOKEN_MARK}0`)).length;
  }

  get(id: string): StoredPoint | undefined {
    return this.byId.get(id);
  }

  /** All ids in byte order. */
  ids(): readonly string[] {
    if (!this.isSorted) {
      this.sorted = [...this.byId.keys()].sort(compareIds);
      this.isSorted = true;
    }
    return this.sorted;
  }

  /** In byte order of their ids. */
  points(): StoredPoint[] {
    return this.page(0, Infinity);
  }

  /** A document of a multivector collection: a row a token, the payload with the first one. */
  putDocument(id: string, tokens: readonly StoredPoint[]): void {
    this.put(tokens.map((token, index) => ({ ...token, id: `${id}${TOKEN_MARK}${index}` })));
  }

  put(points: readonly StoredPoint[], isBulk = false): void {
    if (isBulk || points.some((point) => this.byId.has(point.id))) this.stopGrowing();
    if (points.length > CHANGES_ONE_BY_ONE_MAX) this.isSorted = false;
    for (const point of points) {
      if (!this.byId.has(point.id) && this.isSorted) this.sorted.splice(this.place(point.id), 0, point.id);
      this.byId.set(point.id, point);
      this.changes.publish({ kind: 'upsert', collection: this, point });
    }
  }

  remove(ids: readonly string[]): number {
    if (ids.length > CHANGES_ONE_BY_ONE_MAX) this.isSorted = false;
    let removed = 0;
    for (const id of ids) {
      if (!this.byId.delete(id)) continue;
      this.changes.publish({ kind: 'delete', collection: this, id });
      removed += 1;
      this.tombstones += 1;
      if (this.tombstones * GROWING_TOMBSTONES_PART >= this.byId.size + this.tombstones) this.stopGrowing();
      if (this.isSorted) this.sorted.splice(this.place(id), 1);
    }
    return removed;
  }

  page(offset: number, limit: number): StoredPoint[] {
    const page: StoredPoint[] = [];
    for (const id of this.ids().slice(offset, offset + limit)) {
      const point = this.byId.get(id);
      if (point !== undefined) page.push(point);
    }
    return page;
  }

  /** The `k` nearest by brute force, best first; ties in byte order of the id. */
  search(vector: readonly number[], k: number): { point: StoredPoint; score: number }[] {
    if (!this.indexReady) this.index = 'built';
    const best = this.schema.metric === 'l2' ? 1 : -1;
    return this.ids()
      .map((id) => this.byId.get(id))
      .filter((point) => point !== undefined)
      .map((point) => ({ point, score: score(this.schema.metric, vector, point.vector) }))
      .sort((a, b) => best * (a.score - b.score))
      .slice(0, k);
  }

  private stopGrowing(): void {
    if (this.index === 'growing') this.index = 'unbuilt';
  }

  private place(id: string): number {
    let low = 0;
    let high = this.sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareIds(this.sorted[middle] ?? '', id) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function score(metric: string, query: readonly number[], text: string): number {
  const vector = JSON.parse(`[${text}]`) as (number | null)[];
  let dot = 0;
  let distance = 0;
  let querySize = 0;
  let vectorSize = 0;
  query.forEach((q, index) => {
    const v = vector[index] ?? 0;
    dot += q * v;
    distance += (q - v) ** 2;
    querySize += q * q;
    vectorSize += v * v;
  });
  if (metric === 'l2') return distance;
  if (metric === 'dot') return dot;
  return querySize === 0 || vectorSize === 0 ? 0 : dot / Math.sqrt(querySize * vectorSize);
}
