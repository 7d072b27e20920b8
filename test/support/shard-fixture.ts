/** Stub shards and clients of them for the tests of the shard client, and what these tests send. */
import { Agent } from 'undici';
import type { ShardError } from '../../src/shards/errors';
import { ShardClient, type CallContext } from '../../src/shards/http/shard-client';
import { StubShard, type Behaviour } from './stub-shard';

export const KEY = 'the-shard-key';
export const ID = Buffer.from('the/id of%a pöint');
export const RAW = Buffer.from(
  '{"id":"the/id of%a pöint","payload":{"n":1.0,"m":18446744073709551615},"vector":[1e0]}',
);
export const PAGE = { offset: 0, limit: 10, withPayload: true, withVector: true };
export const DOCS = { name: 'docs', dim: 2, metric: 'l2', count: 3, index: 'hnsw', index_ready: true };

export interface ClientOptions {
  readonly replicas?: readonly string[];
  readonly requestTimeoutMs?: number;
  readonly nowMs?: () => number;
}

export interface ShardFixture {
  readonly shardThat: (behaviour: Behaviour) => Promise<StubShard>;
  readonly clientOf: (url: string, options?: ClientOptions) => ShardClient;
}

/** To be called at the top of a file: what a test starts ends with the test. */
export function shardFixture(): ShardFixture {
  const started: StubShard[] = [];
  let dispatcher: Agent;
  beforeEach(() => {
    dispatcher = new Agent();
  });
  afterEach(async () => {
    await dispatcher.destroy();
    await Promise.all(started.splice(0).map((shard) => shard.stop()));
  });
  return {
    shardThat: async (behaviour) => {
      const shard = await new StubShard(behaviour).start();
      started.push(shard);
      return shard;
    },
    clientOf: (url, { replicas = [], ...options } = {}) =>
      new ShardClient({ address: { primary_url: url, replica_urls: replicas }, key: KEY, dispatcher, ...options }),
  };
}

export const inTime = (): CallContext => ({ deadlineMs: Date.now() + 20_000 });

/** The ShardError that `call` ends in. */
export async function failureOf(call: Promise<unknown>): Promise<ShardError> {
  const outcome = await call.then(
    () => null,
    (error: unknown) => error,
  );
  expect(outcome).toMatchObject({ name: 'ShardError' });
  return outcome as ShardError;
}
