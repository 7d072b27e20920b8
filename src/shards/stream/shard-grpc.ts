import type { CallContext } from '../http/call-timer';
import { steadyNowMs } from '../steady-clock';
import { OPEN_REACH, type Reach } from '../reach/reach';
import { ShardKeys, withEachKey, type Key } from '../reach/shard-keys';
import { ShardError } from '../errors';
import { Connection, type Pace } from './connection';
import { GrpcCall, type GrpcMethod } from './grpc-call';
import { upsertDocumentsRequest } from './documents';
import {
  emptyRequest,
  getPointsRequest,
  readCollections,
  readCount,
  readPoints,
  type GrpcCollection,
  type Row,
} from './points';
import { WireError } from './protobuf';
import { Replication } from './replication';
import { UpsertStream } from './upsert-stream';

export type { GrpcCollection, Row } from './points';
export type { StreamEvent } from './replication';

/** As long as a request over REST may take. */
const REQUEST_TIMEOUT_MS = 20_000;

const REPLICATE: GrpcMethod = { name: 'Replicate', isWrite: false, carriesPoints: true };
const GET_POINTS: GrpcMethod = { name: 'GetPoints', isWrite: false, carriesPoints: true };
const UPSERT_STREAM: GrpcMethod = { name: 'UpsertStream', isWrite: true, carriesPoints: true };
const UPSERT_DOCUMENTS: GrpcMethod = { name: 'UpsertMultiVector', isWrite: true, carriesPoints: true };
const LIST_COLLECTIONS: GrpcMethod = { name: 'ListCollections', isWrite: false, carriesPoints: false };

export interface GrpcOptions {
  /** Of the gRPC address: `http://host:port`, or `https://…` for TLS. */
  readonly url: string;
  /** Presented as bearer key; the next one after a refusal. A stream that was refused is the caller's to begin again. */
  readonly key: Key;
  readonly reach?: Reach | undefined;
  readonly requestTimeoutMs?: number | undefined;
  readonly nowMs?: (() => number) | undefined;
}

/**
 * The gRPC side of one address of a shard. Never retries, because Temporal does. A failed call throws a ShardError, or
 * the reason of `ctx.signal` when that ends it. Rows are bytes throughout (INV-6).
 */
export class ShardGrpc {
  readonly url: string;
  readonly #keys: ShardKeys;
  readonly #reach: Reach;
  readonly #requestTimeoutMs: number;
  readonly #nowMs: () => number;
  readonly #connection: Connection;
  readonly #writes = new Set<Connection>();
  readonly #pace: Pace = { mayHurry: true };

  constructor({ url, key, reach, requestTimeoutMs, nowMs }: GrpcOptions) {
    this.url = url;
    this.#keys = ShardKeys.of(key);
    this.#reach = reach ?? OPEN_REACH;
    this.#requestTimeoutMs = requestTimeoutMs ?? REQUEST_TIMEOUT_MS;
    this.#nowMs = nowMs ?? steadyNowMs;
    this.#connection = new Connection(url, this.#reach, { pace: this.#pace });
  }

  /**
   * One cut of everything that the shard holds, and then what changes. The shard stops for the time of one scan. Only
   * the deadline of `ctx` bounds the whole: how long a scan takes depends on the shard's size. The key needs the role
   * admin.
   */
  replicate(ctx: CallContext): Replication {
    return new Replication(() => this.#call(REPLICATE, this.#connection, ctx), this.#nowMs);
  }

  /**
   * In the order of `ids`; without those that are absent, and twice those that were asked for twice.
   * @throws ShardError NotFound when the collection is absent, BadRequest when it is a multivector one
   */
  async getPoints(
    collection: string,
    ids: readonly Buffer[],
    options: { readonly withVector: boolean },
    ctx: CallContext,
  ): Promise<Row[]> {
    return this.#ask(GET_POINTS, getPointsRequest(collection, ids, options.withVector), readPoints, ctx);
  }

  /** Sends nothing before the first full message. `ctx` bounds the whole stream. */
  upsertStream(collection: string, ctx: CallContext): UpsertStream {
    return new UpsertStream(collection, () => {
      const connection = new Connection(this.url, this.#reach, {
        pace: this.#pace,
        onClose: () => this.#writes.delete(connection),
      });
      const call = this.#call(UPSERT_STREAM, connection, ctx);
      this.#writes.add(connection);
      return call;
    });
  }

  /** Documents of several vectors (see documents.ts). The shard syncs its disk for every token. */
  async upsertDocuments(collection: string, documents: readonly Row[], ctx: CallContext): Promise<number> {
    return this.#ask(UPSERT_DOCUMENTS, upsertDocumentsRequest(collection, documents), readCount, ctx);
  }

  /** With probes. A key with a scope gets only the collections of its scope. */
  async listCollections(ctx: CallContext): Promise<GrpcCollection[]> {
    return this.#ask(LIST_COLLECTIONS, emptyRequest(), readCollections, ctx);
  }

  /** Cuts every call. A later call connects again. */
  close(): void {
    for (const connection of [this.#connection, ...this.#writes]) connection.close();
  }

  async #ask<T>(method: GrpcMethod, request: Buffer, read: (message: Buffer) => T, ctx: CallContext): Promise<T> {
    return await withEachKey(this.#keys, this.url, {
      isUnauthorized: (error) => error instanceof ShardError && error.code === 'Unauthorized',
      call: async () => {
        const call = this.#call(method, this.#connection, ctx);
        try {
          await call.send(request);
          call.halfClose();
          return read(await call.answer());
        } catch (error) {
          throw error instanceof WireError ? call.malformed(error) : error;
        } finally {
          call.close();
        }
      },
    });
  }

  #call(method: GrpcMethod, connection: Connection, ctx: CallContext): GrpcCall {
    return new GrpcCall({
      connection,
      url: this.url,
      keys: this.#keys,
      method,
      ctx,
      requestTimeoutMs: this.#requestTimeoutMs,
      nowMs: this.#nowMs,
    });
  }
}

/** The gRPC address of the process at `primaryUrl`, when its port is so far above that of REST. */
export function grpcUrlOf(primaryUrl: string, portOffset: number): string {
  const url = new URL(primaryUrl);
  const restPort = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  return `${url.protocol}//${url.hostname}:${restPort + portOffset}`;
}
