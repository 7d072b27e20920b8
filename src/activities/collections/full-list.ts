/**
 * What REST leaves out of a schema. `binary` (binary quantization of disk_vamana) is told over gRPC alone. Where no gRPC
 * can be reached it stays unknown: then the collection is created without it, as before. Documents of several vectors
 * are read and written over gRPC alone.
 */
import type { ShardAddress } from '../../domain/shard-map';
import { ShardError } from '../../shards/errors';
import type { CallContext, ShardCollection } from '../../shards/http/shard-client';
import { ShardGrpc, type GrpcCollection } from '../../shards/stream/shard-grpc';
import type { ActivityScope } from '../frame/run-activity';

const GRPC_TIMEOUT_MS = 1_500;
/** The only index that takes the flag. */
const BINARY_INDEX = 'disk_vamana';

/** A collection with all of its settings, as far as the shard tells them. */
export interface FullCollection extends ShardCollection {
  /** Null: not told. */
  readonly binary: boolean | null;
  /** Why its rows cannot be moved or compared, as half a sentence; null: they can. */
  readonly unreadable: string | null;
}

/** Documents are kept in memory while they are compared (document-mirror.ts). How many tokens they have is not known. */
const DOCUMENTS_BYTES_MAX = 256 * 1024 * 1024;
const TOKENS_ASSUMED = 128;

type Settings = Pick<FullCollection, 'schema' | 'binary'>;

export async function listFully(
  scope: ActivityScope,
  shard: ShardAddress,
  ctx: CallContext = scope.attempt.reading,
): Promise<FullCollection[]> {
  const listed = await scope.shards.client(shard).listCollections(ctx);
  const isAsked = listed.some((each) => mayBeBinary(each) || holdsDocuments(each));
  const overGrpc = isAsked ? await askOverGrpc(scope, shard, ctx) : [];
  return listed.map((each) => ({
    ...each,
    binary: mayBeBinary(each) ? (sameOverGrpc(each, overGrpc)?.binary ?? null) : false,
    unreadable: holdsDocuments(each) ? whyUnreadable(each, overGrpc) : null,
  }));
}

/** Alike as far as both are known. */
export function isAlike(a: Settings, b: Settings): boolean {
  return a.schema === b.schema && (a.binary === null || b.binary === null || a.binary === b.binary);
}

/** The body that makes a collection like these, which are alike. */
export function bodyToCreate(alike: readonly FullCollection[]): string {
  const schema = alike[0]?.schema ?? '';
  return alike.some(({ binary }) => binary === true) ? withBinary(schema, true) : schema;
}

/** The schema for a person to read. */
export function shownSchema(collection: FullCollection | null | undefined): string {
  if (collection == null) return 'absent';
  const { schema, binary } = collection;
  return mayBeBinary(collection) && binary !== null ? withBinary(schema, binary) : schema;
}

function mayBeBinary({ index }: ShardCollection): boolean {
  return index === BINARY_INDEX;
}

function holdsDocuments({ multivector, count }: ShardCollection): boolean {
  return multivector === true && count > 0;
}

function whyUnreadable(collection: ShardCollection, overGrpc: readonly GrpcCollection[]): string | null {
  if (sameOverGrpc(collection, overGrpc) === undefined) return 'are read over gRPC alone, which does not answer';
  const documentsMax = Math.floor(DOCUMENTS_BYTES_MAX / (collection.dim * 4 * TOKENS_ASSUMED));
  if (collection.count <= documentsMax) return null;
  return `are ${collection.count}, and no more than ${documentsMax} of them fit the worker's memory`;
}

function withBinary(schema: string, binary: boolean): string {
  return `{"binary":${binary},${schema.slice(1)}`;
}

/** An address that does not answer tells nothing: gRPC may be closed to us. */
async function askOverGrpc(
  { attempt, shards }: ActivityScope,
  shard: ShardAddress,
  ctx: CallContext,
): Promise<GrpcCollection[]> {
  const grpc = new ShardGrpc({ url: shards.grpcUrl(shard), key: shards.key, reach: shards.reach });
  try {
    const deadlineMs = Math.min(ctx.deadlineMs, attempt.nowMs() + GRPC_TIMEOUT_MS);
    return await grpc.listCollections({ ...ctx, deadlineMs });
  } catch (error) {
    attempt.signal.throwIfAborted();
    if (error instanceof ShardError) return [];
    throw error;
  } finally {
    grpc.close();
  }
}

/** Another process may listen at that port, so what both tell must agree. */
function sameOverGrpc(
  { name, dim, metric, index }: ShardCollection,
  overGrpc: readonly GrpcCollection[],
): GrpcCollection | undefined {
  return overGrpc.find(
    (each) => each.name === name && each.dim === dim && each.metric === metric && each.index === index,
  );
}
