/** How the product reaches simulated shards: in the place of ShardClient (REST), ShardGrpc, and what hands them out. */
import { isInternalCollection } from '../../../../src/domain/shard-identity';
import { defaultGrpcUrl, type Shard, type ShardAddress } from '../../../../src/domain/shard-map';
import { ShardError, type ShardErrorCode } from '../../../../src/shards/errors';
import type { CallContext, ShardClient, ShardCollection } from '../../../../src/shards/http/shard-client';
import type { RemoteClients } from '../../../../src/rows/remote/clients';
import type { ShardGrpc } from '../../../../src/shards/stream/shard-grpc';
import { elementOfRow, rowOfElement } from '../../../../src/rows/remote/json-rows';
import { processes } from '../runtime/time';
import { replicate } from './replicate';
import { Refusal, SimShard, Unanswered, type Row } from './shard';
import type { World } from './world';

/** As the real clients: a request that is not answered by then may still be carried out. */
export const REQUEST_TIMEOUT_MS = 20_000;
const LATE_MAX_MS = 18_000;

interface Call {
  readonly method: string;
  readonly path: string;
  readonly isWrite: boolean;
  readonly costMicros?: number;
}

const CODES: Readonly<Record<number, ShardErrorCode>> = { 403: 'Forbidden', 404: 'NotFound', 409: 'Conflict' };

/** Bounded like a request of the real clients, with their errors. */
export async function call<T>(
  world: World,
  url: string,
  of: Call,
  ctx: CallContext,
  serve: (shard: SimShard) => T,
): Promise<T> {
  const { method, path, isWrite, costMicros = 0 } = of;
  const { time } = world;
  const fail = (code: ShardErrorCode, reason: string, status: number | null, outcomeUnknown: boolean): ShardError =>
    new ShardError({ code, method, shardUrl: url, path, status, reason, outcomeUnknown: isWrite && outcomeUnknown });
  ctx.signal?.throwIfAborted();
  const leftMs = Math.min(REQUEST_TIMEOUT_MS, ctx.deadlineMs - time.nowMs);
  if (leftMs <= 0) throw fail('TimedOut', 'its time was over before it began', null, false);
  const owner = processes.getStore() ?? null;
  const shard = world.shardAt(url);
  // The product takes a write that was given up for over after the time of a request (Attempt.write).
  const lateMs = isWrite ? Math.min(world.lateWriteMs(), leftMs + LATE_MAX_MS) : 0;
  const answer: Promise<T> =
    shard === null ? refuse(world) : shard.request(() => serve(shard), { owner, costMicros, lateMs });
  const limit = new AbortController();
  try {
    return await Promise.race([
      answer,
      time.sleepUnless(leftMs, limit.signal).then(() => {
        throw fail('TimedOut', `no answer within ${leftMs} ms`, null, true);
      }),
      aborted(ctx.signal, limit.signal),
    ]);
  } catch (error) {
    if (error instanceof Unanswered) throw fail('Unreachable', error.message, null, error.isCut);
    if (error instanceof Refusal) throw fail(CODES[error.status] ?? 'BadRequest', error.message, error.status, false);
    throw error;
  } finally {
    answer.catch(() => undefined);
    limit.abort(new Error('over'));
  }
}

async function refuse(world: World): Promise<never> {
  await world.time.sleep(world.latencyMs(), processes.getStore() ?? null);
  throw new Unanswered(false);
}

function aborted(signal: AbortSignal | undefined, over: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal === undefined) return;
    const abort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
    over.addEventListener('abort', () => signal.removeEventListener('abort', abort), { once: true });
    over.addEventListener('abort', () => reject(new Error('over')), { once: true });
  });
}

export class SimShardClient {
  readonly #world: World;
  readonly #url: string;

  constructor(world: World, url: string) {
    this.#world = world;
    this.#url = url;
  }

  async findLeader(): Promise<void> {
    // No shard here is a group that elects a leader.
  }

  async listCollections(ctx: CallContext): Promise<ShardCollection[]> {
    return (await this.#list(ctx)).filter(({ name }) => !isInternalCollection(name));
  }

  async listInternalCollections(ctx: CallContext): Promise<ShardCollection[]> {
    return (await this.#list(ctx)).filter(({ name }) => isInternalCollection(name));
  }

  getCollection(name: string, ctx: CallContext): Promise<ShardCollection | null> {
    return this.#ask('GET', `/v1/collections/${name}`, ctx, (shard) =>
      shard.volume.has(name) ? described(shard, name) : null,
    );
  }

  createCollection(schema: string, ctx: CallContext): Promise<'created' | 'exists'> {
    const { name, dim } = JSON.parse(schema) as { name: string; dim: number };
    return this.#ask('POST', '/v1/collections', ctx, (shard) =>
      shard.create(name, schema, dim) ? 'created' : 'exists',
    );
  }

  dropCollection(name: string, ctx: CallContext): Promise<boolean> {
    return this.#ask('DELETE', `/v1/collections/${name}`, ctx, (shard) => shard.drop(name));
  }

  /** In byte order of the ids, as a shard answers. */
  async *fetchPage(
    name: string,
    { offset, limit }: { offset: number; limit: number },
    ctx: CallContext,
  ): AsyncGenerator<{ id: Buffer; raw: Buffer }[]> {
    const rows = await this.#ask('GET', `/v1/collections/${name}/fetch`, ctx, (shard) => [
      ...shard.collection(name).rows.values(),
    ]);
    const page = rows.sort((a, b) => a.id.compare(b.id)).slice(offset, offset + limit);
    yield page.map((row) => ({ id: row.id, raw: elementOfRow(row) }));
  }

  async upsert(name: string, elements: readonly Buffer[], ctx: CallContext): Promise<void> {
    const rows = elements.map((element) => {
      const { id } = JSON.parse(element.toString()) as { id: string };
      return rowOfElement(Buffer.from(id), element);
    });
    await this.#ask('POST', `/v1/collections/${name}/points:bulk`, ctx, (shard) => shard.upsert(name, rows));
  }

  async getPoint(name: string, id: Buffer, ctx: CallContext): Promise<Buffer | null> {
    const path = `/v1/collections/${name}/points/{id}`;
    const row = await this.#ask(
      'GET',
      path,
      ctx,
      (shard) => shard.collection(name).rows.get(id.toString('latin1')) ?? null,
    );
    return row === null ? null : elementOfRow(row);
  }

  deletePoints(name: string, ids: readonly Buffer[], ctx: CallContext): Promise<number> {
    const call = {
      method: 'DELETE',
      path: `/v1/collections/${name}/points`,
      costMicros: SimShard.deleteMicros(ids.length),
    };
    return this.#send({ ...call, isWrite: true }, ctx, (shard) => shard.delete(name, ids));
  }

  #list(ctx: CallContext): Promise<ShardCollection[]> {
    return this.#ask('GET', '/v1/collections', ctx, (shard) =>
      [...shard.volume.keys()].map((name) => described(shard, name)),
    );
  }

  #ask<T>(method: string, path: string, ctx: CallContext, serve: (shard: SimShard) => T): Promise<T> {
    return this.#send({ method, path, isWrite: method !== 'GET' }, ctx, serve);
  }

  #send<T>(of: Call, ctx: CallContext, serve: (shard: SimShard) => T): Promise<T> {
    return call(this.#world, this.#url, of, ctx, serve);
  }
}

function described(shard: SimShard, name: string): ShardCollection {
  const { schema, dim, rows } = shard.collection(name);
  return { name, dim, metric: 'l2', count: rows.size, index: 'ivf', index_ready: true, schema };
}

class SimShardGrpc {
  readonly url: string;
  readonly #world: World;
  readonly #restUrl: string;

  constructor(world: World, restUrl: string) {
    this.#world = world;
    this.#restUrl = restUrl;
    this.url = restUrl;
  }

  async listCollections(ctx: CallContext): Promise<readonly object[]> {
    return this.#ask('ListCollections', false, ctx, () => []);
  }

  getPoints(name: string, ids: readonly Buffer[], _options: object, ctx: CallContext): Promise<Row[]> {
    return this.#ask('GetPoints', false, ctx, (shard) => {
      const { rows } = shard.collection(name);
      return ids.map((id) => rows.get(id.toString('latin1'))).filter((row) => row !== undefined);
    });
  }

  upsertStream(name: string, ctx: CallContext): object {
    const all: Row[] = [];
    return {
      write: async (rows: readonly Row[]) => {
        for (const { id, vector, payload } of rows) {
          all.push({ id: Buffer.from(id), vector: Buffer.from(vector), payload: Buffer.from(payload) });
        }
      },
      end: () => this.#ask('UpsertStream', true, ctx, (shard) => shard.upsert(name, all)),
      abort: () => undefined,
    };
  }

  replicate(ctx: CallContext): object {
    return replicate(this.#world, this.#restUrl, ctx);
  }

  #ask<T>(path: string, isWrite: boolean, ctx: CallContext, serve: (shard: SimShard) => T): Promise<T> {
    return call(this.#world, this.#restUrl, { method: 'GRPC', path, isWrite }, ctx, serve);
  }
}

/** What a worker's engine uses. gRPC answers at the address of REST. */
export function simClients(world: World): RemoteClients {
  const clients = {
    grpcPortOffset: 0,
    slowestScans: new Map<string, number>(),
    rest: ({ primary_url }: ShardAddress) => new SimShardClient(world, primary_url) as unknown as ShardClient,
    grpc: (url: string) => new SimShardGrpc(world, url) as unknown as ShardGrpc,
    grpcUrlOf: (url: string) => url,
    close: () => undefined,
  };
  return clients as unknown as RemoteClients;
}

/** In the place of activities/frame/shard-directory. */
export function shardDirectoryModule(worldNow: () => World): object {
  class ShardDirectory {
    readonly key = 'key';
    readonly dispatcher = undefined;

    grpcUrl({ primary_url }: ShardAddress): string {
      return defaultGrpcUrl(primary_url, 0);
    }

    client({ primary_url }: ShardAddress): SimShardClient {
      return new SimShardClient(worldNow(), primary_url);
    }

    ofMove({ shards }: { shards: readonly Shard[] }, id: number): SimShardClient {
      return this.client(shards.find((shard) => shard.id === id)!);
    }
  }
  return { ShardDirectory };
}
