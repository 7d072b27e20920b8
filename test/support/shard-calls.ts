import { isUtf8 } from 'node:buffer';
import { ChangeFeed } from './shard-changes';
import { JsonReader, JsonSyntaxError, JsonTypeError, renderF32, type VectorRead } from './shard-json';
import { StoredCollection, type CollectionSchema, type StoredPoint } from './shard-store';

/** The limits that a shard's settings allow; the defaults are Quiver's own. */
export interface ShardLimits {
  readonly fetchRowsMax: number;
  readonly upsertPointsMax: number;
  readonly bulkPointsMax: number;
  readonly bodyBytesMax: number;
  readonly payloadBytesMax: number;
  readonly searchResultsMax: number;
}

export const DEFAULT_LIMITS: ShardLimits = {
  fetchRowsMax: 10_000,
  upsertPointsMax: 1_000,
  bulkPointsMax: 50_000,
  bodyBytesMax: 32 * 1024 * 1024,
  payloadBytesMax: 64 * 1024,
  searchResultsMax: 10_000,
};

export interface Answer {
  readonly status: number;
  readonly type: string | null;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  409: 'Conflict',
  421: 'Misdirected Request',
  429: 'Too Many Requests',
  503: 'Service Unavailable',
};

export function problem(status: number, detail: string, type = 'application/problem+json'): Answer {
  const title = TITLES[status] ?? 'Error';
  return { status, type, body: JSON.stringify({ detail, status, title, type: 'about:blank' }) };
}
export const json = (body: string): Answer => ({ status: 200, type: 'application/json', body });
export const text = (status: number, body: string): Answer => ({ status, type: 'text/plain; charset=utf-8', body });
export const empty = (status: number, headers: Record<string, string> = {}): Answer => ({
  status,
  type: null,
  body: '',
  headers,
});

/** The answer to a request that was refused on the way. */
class Refusal extends Error {
  readonly answer: Answer;
  constructor(answer: Answer) {
    super('refused');
    this.answer = answer;
  }
}

const METRICS = ['l2', 'cosine', 'dot'];
const INDEXES = ['hnsw', 'vamana', 'disk_vamana', 'ivf', 'colbert'];

/** The calls of a shard's REST API on its collections: bytes in, answer out, no sockets. */
export class ShardCalls {
  readonly collections = new Map<string, StoredCollection>();
  readonly changes = new ChangeFeed();
  readonly limits: ShardLimits;
  private nextCollectionId = 0;

  constructor(limits: ShardLimits) {
    this.limits = limits;
  }

  list(): Answer {
    const names = [...this.collections.keys()].sort();
    return json(`[${names.map((name) => describe(this.require(name))).join(',')}]`);
  }

  describe(name: string): Answer {
    return this.run(() => json(describe(this.require(name))));
  }

  create(body: Buffer): Answer {
    return this.run(() => {
      const schema = readSchema(parse(body, readAny));
      if (this.collections.has(schema.name)) {
        throw new Refusal(problem(409, `already exists: collection ${schema.name}`));
      }
      return json(describe(this.add(schema)));
    });
  }

  /** Ids of collections are never used again. */
  add(schema: CollectionSchema): StoredCollection {
    const collection = new StoredCollection(schema, this.nextCollectionId, this.changes);
    this.nextCollectionId += 1;
    this.collections.set(schema.name, collection);
    this.changes.publish({ kind: 'create', collection });
    return collection;
  }

  drop(name: string): Answer {
    const collection = this.collections.get(name);
    if (collection !== undefined) {
      this.collections.delete(name);
      this.changes.publish({ kind: 'drop', collection });
    }
    return json(`{"existed":${collection !== undefined}}`);
  }

  fetch(name: string, body: Buffer): Answer {
    return this.run(() => {
      const fields = parse(body, readAny);
      const offset = readSize(fields, 'offset', 0);
      const limit = readSize(fields, 'limit', 100);
      const hasPayload = readFlag(fields, 'with_payload', true);
      const hasVector = readFlag(fields, 'with_vector', false);
      if (limit > this.limits.fetchRowsMax) {
        const most = this.limits.fetchRowsMax;
        throw new Refusal(
          problem(400, `limit (${limit}) exceeds the maximum of ${most} (raise QUIVER_MAX_FETCH_LIMIT)`),
        );
      }
      const points = this.requireSingleVector(name).page(offset, limit);
      return json(`{"points":[${points.map((point) => renderRow(point, hasPayload, hasVector)).join(',')}]}`);
    });
  }

  getPoint(name: string, id: string): Answer {
    return this.run(() => {
      const point = this.requireSingleVector(name).get(id);
      return point === undefined ? empty(404) : json(renderPoint(point));
    });
  }

  upsert(name: string, body: Buffer, isBulk: boolean): Answer {
    return this.run(() => {
      const points = parse(body, readPoints);
      const most = isBulk ? this.limits.bulkPointsMax : this.limits.upsertPointsMax;
      if (points.length > most) {
        const [what, setting] = isBulk
          ? ['bulk batch', 'QUIVER_MAX_BULK_BATCH_SIZE']
          : ['batch', 'QUIVER_MAX_BATCH_SIZE'];
        throw new Refusal(
          problem(400, `${what} of ${points.length} exceeds the maximum of ${most} (raise ${setting})`),
        );
      }
      const collection = this.requireSingleVector(name);
      for (const point of points) this.check(collection, point);
      collection.put(points, isBulk);
      return json(`{"upserted":${points.length}}`);
    });
  }

  deletePoints(name: string, body: Buffer): Answer {
    return this.run(() => {
      const fields = parse(body, readAny);
      const ids = fields['ids'];
      if (!Array.isArray(ids)) throw new JsonTypeError('missing field `ids`');
      if (!ids.every((id) => typeof id === 'string')) throw new JsonTypeError('ids: invalid type, expected a string');
      return json(`{"deleted":${this.requireSingleVector(name).remove(ids)}}`);
    });
  }

  search(name: string, body: Buffer): Answer {
    return this.run(() => {
      const fields = parse(body, readAny);
      const vector = fields['vector'];
      const k = readSize(fields, 'k', 10);
      if (!Array.isArray(vector) || !vector.every((each) => typeof each === 'number')) {
        throw new JsonTypeError('vector: invalid type, expected a sequence');
      }
      if (k > this.limits.searchResultsMax) {
        throw new Refusal(
          problem(400, `k (${k}) exceeds the maximum of ${this.limits.searchResultsMax} (raise QUIVER_MAX_K)`),
        );
      }
      const collection = this.requireSingleVector(name);
      const isSealed = collection.schema.vector_encryption === 'client_side';
      if (isSealed) throw new Refusal(problem(400, 'unsupported configuration: collection is client-side encrypted'));
      if (vector.length !== collection.schema.dim) {
        throw new Refusal(problem(400, `vector has ${vector.length} dims, index expects ${collection.schema.dim}`));
      }
      const hasVector = readFlag(fields, 'with_vector', false);
      const hasPayload = readFlag(fields, 'with_payload', true);
      const matches = collection.search(vector, k).map(({ point, score }) => {
        const head = `{"id":${JSON.stringify(point.id)},"score":${renderF32(score)}`;
        const payload = hasPayload ? `,"payload":${point.payload}` : '';
        return `${head}${payload}${hasVector ? `,"vector":[${point.vector}]` : ''}}`;
      });
      return json(`{"matches":[${matches.join(',')}]}`);
    });
  }

  private check(collection: StoredCollection, point: StoredPoint & { dim: number }): void {
    const { dim } = collection.schema;
    if (point.dim !== dim) {
      throw new Refusal(problem(400, `invalid argument: vector has ${point.dim} dims, collection expects ${dim}`));
    }
    const bytes = Buffer.byteLength(point.payload);
    const most = this.limits.payloadBytesMax;
    if (bytes > most) {
      throw new Refusal(
        problem(400, `payload of ${bytes} bytes exceeds the maximum of ${most} (raise QUIVER_MAX_PAYLOAD_BYTES)`),
      );
    }
  }

  private require(name: string): StoredCollection {
    const collection = this.collections.get(name);
    if (collection === undefined) throw new Refusal(problem(404, `collection not found: ${name}`));
    return collection;
  }

  private requireSingleVector(name: string): StoredCollection {
    const collection = this.require(name);
    if (collection.schema.multivector === true) {
      throw new Refusal(problem(400, 'unsupported configuration: collection is multi-vector'));
    }
    return collection;
  }

  private run(call: () => Answer): Answer {
    try {
      return call();
    } catch (error) {
      if (error instanceof Refusal) return error.answer;
      if (error instanceof JsonSyntaxError)
        return text(400, `Failed to parse the request body as JSON: ${error.message}`);
      if (error instanceof JsonTypeError) {
        return text(422, `Failed to deserialize the JSON body into the target type: ${error.message}`);
      }
      throw error;
    }
  }
}

/** The element of a fetch. Its keys stand in another order than those of `renderPoint`, as they do in Quiver. */
function renderRow(point: StoredPoint, hasPayload: boolean, hasVector: boolean): string {
  const payload = hasPayload ? `,"payload":${point.payload}` : '';
  return `{"id":${JSON.stringify(point.id)}${payload}${hasVector ? `,"vector":[${point.vector}]` : ''}}`;
}

export function renderPoint(point: StoredPoint): string {
  return `{"id":${JSON.stringify(point.id)},"vector":[${point.vector}],"payload":${point.payload}}`;
}

function describe(collection: StoredCollection): string {
  const { name, dim, metric, index, binary: _binary, ...rest } = collection.schema;
  return JSON.stringify({
    name,
    dim,
    metric,
    count: collection.count,
    index,
    ...rest,
    index_ready: collection.indexReady,
  });
}

function parse<T>(body: Buffer, read: (reader: JsonReader) => T): T {
  if (!isUtf8(body)) throw new JsonSyntaxError('invalid unicode code point');
  const reader = new JsonReader(body.toString('utf8'));
  if (reader.peek() === '') throw new JsonSyntaxError('EOF while parsing a value');
  const value = read(reader);
  reader.end();
  return value;
}

function readAny(reader: JsonReader): Record<string, unknown> {
  const value = JSON.parse(reader.canonical()) as unknown;
  if (typeof value !== 'object' || value === null) throw new JsonTypeError('invalid type, expected a struct');
  return value as Record<string, unknown>;
}

export function readPoints(reader: JsonReader): (StoredPoint & { dim: number })[] {
  const points: (StoredPoint & { dim: number })[] = [];
  const seen = new Set<string>();
  requireType(reader, '{', 'invalid type, expected struct UpsertBody');
  reader.object((key) => {
    seen.add(key);
    if (key !== 'points') return void reader.canonical();
    requireType(reader, '[', 'points: invalid type, expected a sequence');
    reader.array((index) => {
      requireType(reader, '{', `points[${index}]: invalid type, expected struct UpsertPoint`);
      points.push(readPoint(reader, index));
    });
  });
  if (!seen.has('points')) throw new JsonTypeError('missing field `points`');
  return points;
}

/** What is not even JSON is reported as that. */
function requireType(reader: JsonReader, first: string, message: string): void {
  if (reader.peek() === first) return;
  reader.canonical();
  throw new JsonTypeError(message);
}

function readPoint(reader: JsonReader, index: number): StoredPoint & { dim: number } {
  let id: string | null = null;
  let vector: VectorRead | null = null;
  let payload: string | null = null;
  const refuseSecond = (name: string, value: unknown): void => {
    if (value !== null) throw new JsonTypeError(`points[${index}]: duplicate field \`${name}\``);
  };
  reader.object((key) => {
    if (key === 'id') {
      refuseSecond(key, id);
      requireType(reader, '"', `points[${index}].id: invalid type, expected a string`);
      id = reader.string();
    } else if (key === 'vector') {
      refuseSecond(key, vector);
      vector = reader.vector();
    } else if (key === 'payload') {
      refuseSecond(key, payload);
      payload = reader.canonical();
    } else {
      reader.canonical();
    }
  });
  // TypeScript does not see that the callback has run.
  const read = { id, vector, payload } as {
    id: string | null;
    vector: VectorRead | null;
    payload: string | null;
  };
  if (read.id === null) throw new JsonTypeError(`points[${index}]: missing field \`id\``);
  if (read.vector === null) throw new JsonTypeError(`points[${index}]: missing field \`vector\``);
  const { text: vectorText, dim, floats } = read.vector;
  return { id: read.id, payload: read.payload ?? 'null', vector: vectorText, dim, floats };
}

function readSize(fields: Record<string, unknown>, name: string, otherwise: number): number {
  const value = fields[name];
  if (value === undefined) return otherwise;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0) {
    throw new JsonTypeError(`${name}: invalid type, expected usize`);
  }
  return value;
}

function readFlag(fields: Record<string, unknown>, name: string, otherwise: boolean): boolean {
  const value = fields[name];
  if (value === undefined) return otherwise;
  if (typeof value !== 'boolean') throw new JsonTypeError(`${name}: invalid type, expected a boolean`);
  return value;
}

function readOneOf(fields: Record<string, unknown>, name: string, allowed: readonly string[]): string {
  const value = fields[name] ?? allowed[0];
  if (typeof value !== 'string') throw new JsonTypeError(`${name}: invalid type, expected a string`);
  if (!allowed.includes(value)) throw new JsonTypeError(`${name}: unknown variant \`${value}\``);
  return value;
}

function readSchema(fields: Record<string, unknown>): CollectionSchema {
  const { name, dim, pq_subspaces, filterable, multivector, vector_encryption, binary } = fields;
  if (typeof name !== 'string') throw new JsonTypeError('missing field `name`');
  if (dim === undefined) throw new JsonTypeError('missing field `dim`');
  if (typeof dim !== 'number' || !Number.isInteger(dim) || dim < 0)
    throw new JsonTypeError('dim: invalid type, expected u32');
  const metric = readOneOf(fields, 'metric', METRICS);
  const index = readOneOf(fields, 'index', INDEXES);
  if (filterable !== undefined && !isFilterable(filterable)) throw new JsonTypeError('filterable: invalid type');
  if (name === '') throw new Refusal(problem(400, 'invalid argument: collection name must not be empty'));
  if (!/^[A-Za-z0-9._-]+$/.test(name)) {
    throw new Refusal(problem(400, 'invalid argument: collection name contains an invalid character'));
  }
  if (dim === 0) throw new Refusal(problem(400, 'invalid argument: dim must be non-zero'));
  if (metric === 'dot' && !['hnsw', 'colbert'].includes(index)) {
    throw new Refusal(problem(400, `unsupported configuration: ${index} does not support dot`));
  }
  return {
    name,
    dim,
    metric,
    index,
    ...(typeof pq_subspaces === 'number' ? { pq_subspaces } : {}),
    ...(filterable !== undefined && filterable.length > 0
      ? { filterable: filterable.map(({ path, field_type }) => ({ path, field_type })) }
      : {}),
    ...(multivector === true ? { multivector } : {}),
    ...(typeof vector_encryption === 'string' ? { vector_encryption } : {}),
    ...(binary === true ? { binary } : {}),
  };
}

function isFilterable(value: unknown): value is { path: string; field_type: string }[] {
  return (
    Array.isArray(value) &&
    value.every((each: unknown) => typeof each === 'object' && each !== null && 'path' in each && 'field_type' in each)
  );
}
