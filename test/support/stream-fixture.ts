/** In-process shards, gRPC clients of them, and rows, for the tests of the streams. */
import { ShardGrpc, type GrpcOptions, type Row, type StreamEvent } from '../../src/shards/stream/shard-grpc';
import { SHARD_KEY, startShard, type InProcessShard, type ShardOptions } from './in-process-shard';

export interface StreamFixture {
  readonly shardWith: (options?: ShardOptions) => Promise<InProcessShard>;
  readonly clientOf: (url: string, options?: Partial<GrpcOptions>) => ShardGrpc;
}

/** To be called at the top of a file: what a test starts ends with the test. */
export function streamFixture(): StreamFixture {
  const shards: InProcessShard[] = [];
  const clients: ShardGrpc[] = [];
  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    await Promise.all(shards.splice(0).map((shard) => shard.stop()));
  });
  return {
    shardWith: async (options) => {
      const shard = await startShard(options);
      shards.push(shard);
      return shard;
    },
    clientOf: (url, options = {}) => {
      const client = new ShardGrpc({ url, key: SHARD_KEY, ...options });
      clients.push(client);
      return client;
    },
  };
}

export function rowOf(id: string, vector: readonly number[] | Buffer, payload = ''): Row {
  const floats = Buffer.isBuffer(vector) ? vector : Buffer.from(Float32Array.from(vector).buffer);
  return { id: Buffer.from(id), vector: floats, payload: Buffer.from(payload) };
}

/** A row as text, so that a failed comparison can be read. */
export function shown({ id, vector, payload }: Row): string {
  return `${id.toString()} ${vector.toString('hex')} ${payload.toString()}`;
}

/** Events as text, rows one by one; without descriptors, which differ from process to process. */
export function shownEvents(events: readonly StreamEvent[]): string[] {
  return events.flatMap((event) => {
    if (event.kind === 'rows') return event.rows.map((row) => `row ${event.collection} ${shown(row)}`);
    if (event.kind === 'collection') return [`collection ${event.name}`];
    if (event.kind === 'tail-upsert') return [`upsert ${event.collection} ${shown(event.row)}`];
    if (event.kind === 'tail-delete') return [`delete ${event.collection} ${event.id.toString()}`];
    if (event.kind === 'tail-create' || event.kind === 'tail-drop') return [`${event.kind} ${event.collection}`];
    return [event.kind];
  });
}
