import { TextDecoder } from 'node:util';
import type { CallContext } from './call-timer';
import { ShardError } from '../errors';
import { isInternalCollection } from '../../domain/shard-identity';
import { paths } from './paths';
import { MalformedBodyError, PointScanner, scanPoints, type PointElement } from '../rows/point-stream';
import { namesCountLimit } from './refusals';
import { ShardHttp, type HttpOptions, type ShardRequest } from './shard-http';

export type { CallContext } from './call-timer';

/** A collection as a shard describes it. */
export interface ShardCollection {
  readonly name: string;
  readonly dim: number;
  readonly metric: string;
  readonly count: number;
  readonly index: string;
  readonly index_ready: boolean;
  readonly multivector?: boolean;
  /**
   * The body with which `POST /v1/collections` makes a collection like it: canonical JSON, keys sorted, unknown fields
   * kept.
   */
  readonly schema: string;
}

/** Rows [offset, offset + limit) in byte order of the id. */
export interface Page {
  readonly offset: number;
  readonly limit: number;
  readonly withPayload: boolean;
  readonly withVector: boolean;
}

const POINTS_OPEN = Buffer.from('{"points":[');
const POINTS_CLOSE = Buffer.from(']}');
const FIRST_ROW: Page = { offset: 0, limit: 1, withPayload: true, withVector: true };
const COMMA = ','.charCodeAt(0);
/** It need not exist. */
const PROBED = paths.points('leader-probe');

/**
 * One shard. Never retries, because Temporal does; only a 421 goes on to the shard's other addresses. A failed call
 * throws a ShardError, or the reason of `ctx.signal` when that ends it. Points are bytes throughout (INV-6).
 */
export class ShardClient {
  readonly #http: ShardHttp;

  constructor(options: HttpOptions) {
    this.#http = new ShardHttp(options);
  }

  /**
   * For a shard with replicas: finds the address that leads, and reads from it from then on (see ShardHttp). Quiver
   * 1.1.0 answers 421 to a delete before it looks at what to delete, so deleting nothing is enough.
   */
  async findLeader(ctx: CallContext): Promise<void> {
    const probe: ShardRequest = { method: 'DELETE', path: PROBED, body: '{"ids":[]}', isWrite: true };
    await this.#http.findLeader(probe, ctx);
  }

  /** What clients keep there. The coordinator's own collections are no data, so no list, count or copy sees them. */
  /** The address that `findLeader`, or a write, found last. */
  get leaderUrl(): string {
    return this.#http.leaderUrl;
  }

  async listCollections(ctx: CallContext): Promise<ShardCollection[]> {
    return (await this.#list(ctx)).filter(({ name }) => !isInternalCollection(name));
  }

  /** The coordinator's own collections alone (see isInternalCollection). */
  async listInternalCollections(ctx: CallContext): Promise<ShardCollection[]> {
    return (await this.#list(ctx)).filter(({ name }) => isInternalCollection(name));
  }

  async #list(ctx: CallContext): Promise<ShardCollection[]> {
    const request: ShardRequest = { method: 'GET', path: paths.collections };
    const listed = this.#parse(request, await this.#http.readAnswer(request, ctx));
    if (!Array.isArray(listed)) throw this.#malformed(request, 'a list of collections was expected');
    return listed.map((each) => this.#collection(request, each));
  }

  /** Null when the shard itself says that it has no such collection. */
  async getCollection(name: string, ctx: CallContext): Promise<ShardCollection | null> {
    const request: ShardRequest = { method: 'GET', path: paths.collection(name) };
    try {
      return this.#collection(request, this.#parse(request, await this.#http.readAnswer(request, ctx)));
    } catch (error) {
      if (error instanceof ShardError && error.code === 'NotFound') return null;
      throw error;
    }
  }

  async createCollection(schema: string, ctx: CallContext): Promise<'created' | 'exists'> {
    const request: ShardRequest = { method: 'POST', path: paths.collections, body: schema, isWrite: true };
    try {
      this.#record(request, await this.#http.readAnswer(request, ctx));
      return 'created';
    } catch (error) {
      if (error instanceof ShardError && error.code === 'Conflict') return 'exists';
      throw error;
    }
  }

  /** Whether it existed. */
  async dropCollection(name: string, ctx: CallContext): Promise<boolean> {
    const request: ShardRequest = { method: 'DELETE', path: paths.collection(name), isWrite: true };
    const { existed } = this.#record(request, await this.#http.readAnswer(request, ctx));
    if (typeof existed !== 'boolean') throw this.#malformed(request, 'whether it existed was expected');
    return existed;
  }

  /**
   * A page, in batches as they arrive. Only the end of the iteration says that it was whole. While the consumer is
   * busy, nothing more is read; when it stops early, the request is cancelled. The elements are views, see
   * `PointElement`.
   */
  async *fetchPage(collection: string, page: Page, ctx: CallContext): AsyncGenerator<PointElement[]> {
    const { offset, limit, withPayload, withVector } = page;
    const body = JSON.stringify({ offset, limit, with_payload: withPayload, with_vector: withVector });
    const request: ShardRequest = { method: 'POST', path: paths.fetch(collection), body, carriesPoints: true };
    try {
      yield* scanPoints(this.#http.stream(request, ctx));
    } catch (error) {
      throw this.#asShardError(request, error);
    }
  }

  /**
   * The point's bytes as the shard gives them, or null when the collection is there and the point is not.
   * @throws ShardError NotFound when the collection is not there
   */
  async getPoint(collection: string, id: Buffer, ctx: CallContext): Promise<Buffer | null> {
    // An empty id makes a path that belongs to no point. It is the first in byte order, so a page shows it.
    if (id.length === 0) return this.#firstPoint(collection, id, ctx);
    const request: ShardRequest = { method: 'GET', path: paths.point(collection, id), carriesPoints: true };
    let element: Buffer;
    try {
      element = await this.#http.readAnswer(request, ctx);
    } catch (error) {
      if (!(error instanceof ShardError) || error.status !== 404) throw error;
      // A 404 does not say what is missing, and an unknown route answers the same (INV-8).
      if ((await this.getCollection(collection, ctx)) !== null) return null;
      throw this.#http.failure(request, {
        code: 'NotFound',
        status: 404,
        reason: `the collection ${collection} is missing`,
        cause: error,
      });
    }
    return this.#onlyPoint(request, id, element);
  }

  /**
   * Sends the elements as they are, in one request; in halves where the shard's own limits ask for that. When it
   * throws, earlier halves may have been written.
   */
  async upsert(
    collection: string,
    rawElements: readonly Buffer[],
    ctx: CallContext,
  ): Promise<{ readonly requests: number }> {
    if (rawElements.length === 0) return { requests: 0 };
    const path = paths.bulk(collection);
    const request: ShardRequest = {
      method: 'POST',
      path,
      body: pointsBody(rawElements),
      isWrite: true,
      carriesPoints: true,
    };
    try {
      const { upserted } = this.#record(request, await this.#http.readAnswer(request, ctx));
      if (typeof upserted !== 'number') throw this.#malformed(request, 'a count of upserted points was expected');
      return { requests: 1 };
    } catch (error) {
      if (rawElements.length === 1 || !asksForLess(error)) throw error;
    }
    const middle = Math.ceil(rawElements.length / 2);
    const first = await this.upsert(collection, rawElements.slice(0, middle), ctx);
    const second = await this.upsert(collection, rawElements.slice(middle), ctx);
    return { requests: 1 + first.requests + second.requests };
  }

  /**
   * Returns how many of them were there. Absent ones are no error. Deletes in halves where the shard's own limits ask
   * for that. When it throws, earlier halves may have been deleted.
   */
  async deletePoints(collection: string, ids: readonly Buffer[], ctx: CallContext): Promise<number> {
    if (ids.length === 0) return 0;
    const request = deleteRequest(paths.points(collection), ids);
    try {
      const { deleted } = this.#record(request, await this.#http.readAnswer(request, ctx));
      if (typeof deleted !== 'number') throw this.#malformed(request, 'a count of deleted points was expected');
      return deleted;
    } catch (error) {
      if (ids.length === 1 || !asksForLess(error)) throw error;
    }
    const middle = Math.ceil(ids.length / 2);
    const first = await this.deletePoints(collection, ids.slice(0, middle), ctx);
    return first + (await this.deletePoints(collection, ids.slice(middle), ctx));
  }

  /** Of a multivector collection. The shard syncs its disk for every token, under one lock for the whole call. */
  async deleteDocuments(collection: string, ids: readonly Buffer[], ctx: CallContext): Promise<number> {
    if (ids.length === 0) return 0;
    const request = deleteRequest(paths.documents(collection), ids);
    const { deleted } = this.#record(request, await this.#http.readAnswer(request, ctx));
    if (typeof deleted !== 'number') throw this.#malformed(request, 'a count of deleted documents was expected');
    return deleted;
  }

  /** Searches for one neighbour of the first unit vector. That makes the shard build its index. */
  async search(collection: string, dim: number, ctx: CallContext): Promise<void> {
    const vector = Array.from({ length: dim }, (_, index) => (index === 0 ? 1 : 0));
    const body = JSON.stringify({ vector, k: 1 });
    await this.#http.readAnswer({ method: 'POST', path: paths.query(collection), body, carriesPoints: true }, ctx);
  }

  /** False for every answer but a 2xx, and for none. */
  async isHealthy(ctx: CallContext): Promise<boolean> {
    try {
      await this.#http.readAnswer({ method: 'GET', path: paths.health }, ctx);
      return true;
    } catch (error) {
      if (error instanceof ShardError) return false;
      throw error;
    }
  }

  async #firstPoint(collection: string, id: Buffer, ctx: CallContext): Promise<Buffer | null> {
    for await (const elements of this.fetchPage(collection, FIRST_ROW, ctx)) {
      const found = elements.find((element) => element.id.equals(id));
      if (found !== undefined) return Buffer.from(found.raw);
    }
    return null;
  }

  /** `element` when it is one whole point with this id. */
  #onlyPoint(request: ShardRequest, id: Buffer, element: Buffer): Buffer {
    const scanner = new PointScanner();
    try {
      const found = [POINTS_OPEN, element, POINTS_CLOSE].flatMap((part) => scanner.push(part));
      scanner.end();
      if (found.length === 1 && found[0]!.id.equals(id)) return element;
    } catch (error) {
      throw this.#asShardError(request, error);
    }
    throw this.#malformed(request, 'the point that was asked for was expected');
  }

  #collection(request: ShardRequest, described: unknown): ShardCollection {
    const { count, index_ready, ...schema } = asRecord(described) ?? {};
    const { name, dim, metric, index, multivector } = schema;
    if (
      typeof name !== 'string' ||
      typeof dim !== 'number' ||
      typeof metric !== 'string' ||
      typeof count !== 'number' ||
      typeof index !== 'string' ||
      typeof index_ready !== 'boolean'
    ) {
      throw this.#malformed(request, 'a collection was expected: name, dim, metric, count, index, index_ready');
    }
    const isMultivector = typeof multivector === 'boolean' ? { multivector } : {};
    return { name, dim, metric, count, index, index_ready, ...isMultivector, schema: canonicalJson(schema) };
  }

  #record(request: ShardRequest, body: Buffer): Record<string, unknown> {
    const record = asRecord(this.#parse(request, body));
    if (record === null) throw this.#malformed(request, 'a JSON object was expected');
    return record;
  }

  /**
   * For answers about collections and counts, never for points. The message of JSON.parse may quote the answer, so it
   * is not shown.
   */
  #parse(request: ShardRequest, body: Buffer): unknown {
    try {
      return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body));
    } catch {
      throw this.#malformed(request, `JSON was expected, and the ${body.length} bytes of the answer are not`);
    }
  }

  /** A write that was answered with nonsense may have been carried out. */
  #malformed(request: ShardRequest, reason: string): ShardError {
    return this.#http.failure(request, { code: 'MalformedReply', status: 200, reason, outcomeUnknown: true });
  }

  #asShardError(request: ShardRequest, error: unknown): unknown {
    if (!(error instanceof MalformedBodyError)) return error;
    const code = error.isPointTooLarge ? 'TooLarge' : 'MalformedReply';
    return this.#http.failure(request, { code, status: 200, reason: error.message, cause: error });
  }
}

function deleteRequest(path: ShardRequest['path'], ids: readonly Buffer[]): ShardRequest {
  const body = JSON.stringify({ ids: ids.map((id) => id.toString('utf8')) });
  return { method: 'DELETE', path, body, isWrite: true, carriesPoints: true };
}

/** The body of an upsert, copied together once. */
function pointsBody(rawElements: readonly Buffer[]): Buffer {
  const bytes = rawElements.reduce((sum, raw) => sum + raw.length + 1, POINTS_OPEN.length + POINTS_CLOSE.length - 1);
  const body = Buffer.allocUnsafe(bytes);
  let at = POINTS_OPEN.copy(body);
  rawElements.forEach((raw, index) => {
    if (index > 0) at = body.writeUInt8(COMMA, at);
    at += raw.copy(body, at);
  });
  POINTS_CLOSE.copy(body, at);
  return body;
}

/** The body is over the shard's limit, or has more points than the shard takes at once. */
function asksForLess(error: unknown): boolean {
  if (!(error instanceof ShardError)) return false;
  return error.code === 'TooLarge' || (error.code === 'BadRequest' && namesCountLimit(error.message));
}

function asRecord(value: unknown): Record<string, unknown> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null;
}

/** Keys sorted at every depth, so that equal schemas are equal texts. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, each: unknown) => {
    const record = asRecord(each);
    if (record === null) return each;
    return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
