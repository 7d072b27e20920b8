/**
 * What REST leaves out of a schema. `binary` (binary quantization of disk_vamana) is told over gRPC alone. Where no gRPC
 * can be reached it stays unknown: then the collection is created without it, as before.
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
}

type Settings = Pick<FullCollection, 'schema' | 'binary'>;

export async function listFully(
  scope: ActivityScope,
  shard: ShardAddress,
  ctx: CallContext = scope.attempt.reading,
): Promise<FullCollection[]> {
  const listed = await scope.shards.client(shard).listCollections(ctx);
  const overGrpc = listed.some(mayBeBinary) ? await askOverGrpc(scope, shard, ctx) : [];
  return listed.map((each) => ({ ...each, binary: mayBeBinary(each) ? binaryOf(each, overGrpc) : false }));
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

function withBinary(schema: string, binary: boolean): string {
  return `{"binary":${binary},${schema.slice(1)}`;
}

/** An address that does not answer tells nothing: gRPC may be closed to us. */
async function askOverGrpc(
  { attempt, shards }: ActivityScope,
  shard: ShardAddress,
  ctx: CallContext,
): Promise<GrpcCollection[]> {
  const grpc = new ShardGrpc({ url: shards.grpcUrl(shard), key: shards.key });
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
function binaryOf({ name, dim, metric, index }: ShardCollection, overGrpc: readonly GrpcCollection[]): boolean | null {
  const same = overGrpc.find(
    (each) => each.name === name && each.dim === dim && each.metric === metric && each.index === index,
  );
  return same?.binary ?? null;
}
