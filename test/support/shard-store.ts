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
}

/** A point as its shard writes it back. `vector` is without its brackets. */
export interface StoredPoint {
  readonly id: string;
  readonly payload: string;
  readonly vector: string;
}

/** Above this many changes at once, sorting anew is cheaper than moving the tail once per change. */
const CHANGES_ONE_BY_ONE_MAX = 64;

/** The rows of one collection, in byte order of their ids. */
export class StoredCollection {
  readonly schema: CollectionSchema;
  /** False: the next search pays for building the index. */
  indexReady = true;
  /** A search has built it; rows that come later are added to it. */
  hasIndex = false;
  private readonly points = new Map<string, StoredPoint>();
  private sorted: string[] = [];
  private isSorted = true;

  constructor(schema: CollectionSchema) {
    this.schema = schema;
  }

  buildIndex(): void {
    this.hasIndex = true;
    this.indexReady = true;
  }

  get count(): number {
    return this.points.size;
  }

  get(id: string): StoredPoint | undefined {
    return this.points.get(id);
  }

  /** All ids in byte order. */
  ids(): readonly string[] {
    if (!this.isSorted) {
      this.sorted = [...this.points.keys()].sort(compareIds);
      this.isSorted = true;
    }
    return this.sorted;
  }

  /** An index that was there before the rows stays ready; one that was not has to be built by a search. */
  put(points: readonly StoredPoint[]): void {
    if (points.length > CHANGES_ONE_BY_ONE_MAX) this.isSorted = false;
    for (const point of points) {
      if (!this.points.has(point.id) && this.isSorted) this.sorted.splice(this.place(point.id), 0, point.id);
      this.points.set(point.id, point);
    }
  }

  remove(ids: readonly string[]): number {
    if (ids.length > CHANGES_ONE_BY_ONE_MAX) this.isSorted = false;
    let removed = 0;
    for (const id of ids) {
      if (!this.points.delete(id)) continue;
      removed += 1;
      if (this.isSorted) this.sorted.splice(this.place(id), 1);
    }
    return removed;
  }

  page(offset: number, limit: number): StoredPoint[] {
    const page: StoredPoint[] = [];
    for (const id of this.ids().slice(offset, offset + limit)) {
      const point = this.points.get(id);
      if (point !== undefined) page.push(point);
    }
    return page;
  }

  /** The `k` nearest by brute force, best first; ties in byte order of the id. */
  search(vector: readonly number[], k: number): { point: StoredPoint; score: number }[] {
    const best = this.schema.metric === 'l2' ? 1 : -1;
    return this.ids()
      .map((id) => this.points.get(id))
      .filter((point) => point !== undefined)
      .map((point) => ({ point, score: score(this.schema.metric, vector, point.vector) }))
      .sort((a, b) => best * (a.score - b.score))
      .slice(0, k);
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
