/** The in-process shard's gRPC calls on its store: messages in, messages out, no sockets. */
import { isUtf8 } from 'node:buffer';
import {
  fieldSize,
  FRAME_HEAD_BYTES,
  closeFrame,
  varintSize,
  WireReader,
  WireWriter,
} from '../../src/shards/stream/protobuf';
import type { NumberedChange } from './shard-changes';
import type { ShardCalls } from './shard-calls';
import { floatBytes, JsonReader, JsonSyntaxError, renderF32 } from './shard-json';
import type { StoredCollection, StoredPoint } from './shard-store';

export const Status = {
  Ok: 0,
  InvalidArgument: 3,
  NotFound: 5,
  PermissionDenied: 7,
  FailedPrecondition: 9,
  OutOfRange: 11,
  Unimplemented: 12,
  Internal: 13,
  Unavailable: 14,
  DataLoss: 15,
  Unauthenticated: 16,
} as const;

/** A status other than OK. */
export class GrpcRefusal extends Error {
  readonly code: number;
  /** In seconds, as in the header of that name. */
  readonly retryAfter: string | undefined;
  constructor(code: number, details: string, retryAfter?: string) {
    super(details);
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

const METRICS = ['', 'l2', 'cosine', 'dot'];
const INDEXES = ['', 'hnsw', 'vamana', 'disk_vamana', 'ivf', 'colbert'];
const FIELD_TYPES = ['', 'keyword', 'numeric'];
const ENCRYPTIONS = ['none', 'dcpe', 'client_side'];

/** The collection that a request names: its first field, in all calls that have one. */
export function collectionOf(request: Buffer): string {
  const reader = new WireReader(request);
  while (reader.next()) {
    if (reader.field === 1) return reader.text();
    reader.skip();
  }
  return '';
}

export function listCollections(calls: ShardCalls): Buffer {
  const names = [...calls.collections.keys()].sort();
  return join(names.map((name) => part(1, describe(requireCollection(calls, name)))));
}

export function getPoints(calls: ShardCalls, request: Buffer): Buffer {
  const ids: string[] = [];
  let hasVector = false;
  const reader = new WireReader(request);
  while (reader.next()) {
    if (reader.field === 2) ids.push(textOf(reader.bytes()));
    else if (reader.field === 3) hasVector = reader.boolean();
    else reader.skip();
  }
  const collection = requireSingleVector(calls, collectionOf(request));
  const found = ids.map((id) => collection.get(id)).filter((point) => point !== undefined);
  return join(
    found.map((point) => {
      const vector = hasVector ? part(2, floatsOf(point)) : NOTHING;
      return part(1, join([part(1, point.id), vector, part(3, point.payload)]));
    }),
  );
}

/** All of the chunks, or none of them. */
export function upsert(calls: ShardCalls, chunks: readonly Buffer[]): Buffer {
  const [first] = chunks;
  if (first === undefined) throw invalid('upsert stream contained no chunks');
  const name = collectionOf(first);
  if (chunks.some((chunk) => !['', name].includes(collectionOf(chunk)))) {
    throw invalid('every chunk in an upsert stream must target the same collection');
  }
  const points = chunks.flatMap(readChunk);
  const { bulkPointsMax } = calls.limits;
  if (points.length > bulkPointsMax)
    throw invalid(`upsert stream exceeds the bulk batch cap of ${bulkPointsMax} points`);
  const collection = requireSingleVector(calls, name);
  for (const point of points) check(calls, collection, point);
  collection.put(points.map(storedPoint), true);
  return number(1, points.length);
}

/** `created` is a collection of the bootstrap, or of the tail. */
export function createOp(collection: StoredCollection, lsn = 0): Buffer {
  const { name, ...schema } = collection.schema;
  const create = [number(1, collection.collectionId), part(2, name), part(3, JSON.stringify(schema))];
  return op(lsn, 2, create);
}

export function upsertOp(collection: StoredCollection, point: StoredPoint, lsn = 0): Buffer {
  const fields = [part(2, point.id), part(3, floatsOf(point)), part(4, point.payload)];
  return op(lsn, 4, [number(1, collection.collectionId), ...fields]);
}

export function changeOp({ lsn, change }: NumberedChange): Buffer {
  const { collection } = change;
  if (change.kind === 'create') return createOp(collection, lsn);
  if (change.kind === 'upsert') return upsertOp(collection, change.point, lsn);
  const id = number(1, collection.collectionId);
  return change.kind === 'delete' ? op(lsn, 5, [id, part(2, change.id)]) : op(lsn, 3, [id]);
}

export function framed(message: Buffer): Buffer {
  return closeFrame(join([Buffer.alloc(FRAME_HEAD_BYTES), message]));
}

// ---- Reading ----

interface ReadPoint {
  readonly id: string;
  readonly vector: Buffer;
  readonly payload: Buffer;
}

function readChunk(chunk: Buffer): ReadPoint[] {
  const points: ReadPoint[] = [];
  const reader = new WireReader(chunk);
  while (reader.next()) {
    if (reader.field === 2) points.push(readPoint(reader.message()));
    else reader.skip();
  }
  return points;
}

function readPoint(reader: WireReader): ReadPoint {
  let [id, vector, payload] = [NOTHING, NOTHING, NOTHING];
  while (reader.next()) {
    if (reader.field === 1) id = reader.bytes();
    else if (reader.field === 2) vector = reader.bytes();
    else if (reader.field === 3) payload = reader.bytes();
    else reader.skip();
  }
  return { id: textOf(id), vector, payload };
}

function check(calls: ShardCalls, collection: StoredCollection, { vector, payload }: ReadPoint): void {
  const { dim } = collection.schema;
  if (vector.length !== dim * 4) {
    throw invalid(`invalid argument: vector has ${vector.length / 4} dims, collection expects ${dim}`);
  }
  const most = calls.limits.payloadBytesMax;
  if (payload.length > most) {
    throw invalid(`payload of ${payload.length} bytes exceeds the maximum of ${most} (raise QUIVER_MAX_PAYLOAD_BYTES)`);
  }
}

function storedPoint({ id, vector, payload }: ReadPoint): StoredPoint {
  const numbers = Array.from({ length: vector.length / 4 }, (_, index) => vector.readFloatLE(4 * index));
  const point = { id, payload: storedPayload(payload), vector: numbers.map(renderF32).join(',') };
  return numbers.every(Number.isFinite) ? point : { ...point, floats: Buffer.from(vector) };
}

function storedPayload(payload: Buffer): string {
  if (payload.length === 0) return 'null';
  try {
    const reader = new JsonReader(textOf(payload));
    const canonical = reader.canonical();
    reader.end();
    return canonical;
  } catch (error) {
    if (error instanceof JsonSyntaxError) throw invalid(`invalid payload json: ${error.message}`);
    throw error;
  }
}

function textOf(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8');
  throw new GrpcRefusal(Status.Internal, 'failed to decode Protobuf message: invalid string value');
}

function requireCollection(calls: ShardCalls, name: string): StoredCollection {
  const collection = calls.collections.get(name);
  if (collection === undefined) throw new GrpcRefusal(Status.NotFound, `collection not found: ${name}`);
  return collection;
}

function requireSingleVector(calls: ShardCalls, name: string): StoredCollection {
  const collection = requireCollection(calls, name);
  if (collection.schema.multivector !== true) return collection;
  throw invalid('unsupported configuration: collection is multi-vector; use upsert_document / search_multi_vector');
}

function invalid(details: string): GrpcRefusal {
  return new GrpcRefusal(Status.InvalidArgument, details);
}

// ---- Writing ----

const NOTHING: Buffer = Buffer.alloc(0);

function join(parts: readonly Buffer[]): Buffer {
  return Buffer.concat(parts);
}

/** Nothing when it is empty, as in proto3. */
function part(field: number, content: string | Buffer): Buffer {
  const bytes = Buffer.from(content as string);
  return bytes.length === 0 ? NOTHING : message(field, bytes);
}

function message(field: number, bytes: Buffer): Buffer {
  return new WireWriter(fieldSize(bytes.length)).bytes(field, bytes).finish();
}

function number(field: number, value: number): Buffer {
  return value === 0 ? NOTHING : new WireWriter(1 + varintSize(value)).number(field, value).finish();
}

function op(lsn: number, kind: number, fields: readonly Buffer[]): Buffer {
  return join([number(1, lsn), message(kind, join(fields))]);
}

function floatsOf({ floats, vector }: StoredPoint): Buffer {
  return floats ?? floatBytes(JSON.parse(`[${vector}]`) as number[]);
}

function describe(collection: StoredCollection): Buffer {
  const { schema } = collection;
  return join([
    part(1, schema.name),
    number(2, schema.dim),
    number(3, METRICS.indexOf(schema.metric)),
    number(4, collection.count),
    number(5, INDEXES.indexOf(schema.index)),
    number(6, schema.pq_subspaces ?? 0),
    ...(schema.filterable ?? []).map(({ path, field_type }) =>
      message(7, join([part(1, path), number(2, FIELD_TYPES.indexOf(field_type))])),
    ),
    number(8, Number(schema.multivector ?? false)),
    number(9, ENCRYPTIONS.indexOf(schema.vector_encryption ?? 'none')),
    number(10, Number(schema.binary ?? false)),
    number(11, Number(collection.indexReady)),
  ]);
}
