import { errors, type Dispatcher } from 'undici';
import { POINT_BYTES_MAX } from '../../domain/limits';
import type { ShardAddress } from '../../domain/shard-map';
import { traceHeaders } from '../../domain/trace';
import { AddressNotAllowedError, OPEN_REACH } from '../reach/reach';
import { ShardKeys, withEachKey, type Key } from '../reach/shard-keys';
import { CallTimer, type CallContext } from './call-timer';
import { ShardError, type ShardFailure } from '../errors';
import { currentTrace } from '../../tracing/current';
import { steadyNowMs } from '../steady-clock';
import type { ShardPath } from './paths';
import { codeOfStatus, reasonOf, retryAfterMs, type Refusal } from './refusals';

/** A request takes no longer than this, unless a client is made with another limit. */
export const REQUEST_TIMEOUT_MS = 20_000;
/** At most this much of an answer other than 2xx is read. */
const REFUSAL_BYTES_MAX = 8 * 1024;
/** An answer that is read as a whole is never longer than the largest point with some room around it. */
const ANSWER_BYTES_MAX = POINT_BYTES_MAX + 1024 * 1024;

/** Codes of failures before a connection existed: the shard has seen nothing of the request. */
const NOT_SENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'UND_ERR_CONNECT_TIMEOUT',
]);

export interface HttpOptions {
  readonly address: ShardAddress;
  /** Presented as bearer key; the next one when an address answers 401. */
  readonly key: Key;
  /** Makes the connections; without one, those of OPEN_REACH. No redirect is followed. */
  readonly dispatcher?: Dispatcher | undefined;
  readonly requestTimeoutMs?: number | undefined;
  readonly nowMs?: (() => number) | undefined;
}

export interface ShardRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: ShardPath;
  readonly body?: Buffer | string | undefined;
  /** Changes something, so that it matters whether it was carried out. */
  readonly isWrite?: boolean;
  /** Request or answer carries points, so a refusal may quote one. */
  readonly carriesPoints?: boolean;
}

/**
 * Requests to one shard, each sent once. A 421 and a 401 say that nothing was done. Only they send it again: on to the
 * shard's other addresses, or with the next key. The leader is remembered. Failures are ShardErrors. When the caller's signal ends a request, its reason is
 * thrown.
 *
 * Only writes are answered 421. A follower answers reads from what it holds, which may be old. So reads stay with the
 * address that `findLeader`, or a write, found last.
 */
export class ShardHttp {
  readonly #addresses: readonly string[];
  readonly #keys: ShardKeys;
  readonly #dispatcher: Dispatcher;
  readonly #requestTimeoutMs: number;
  readonly #nowMs: () => number;
  #leader = 0;
  /** Where the next write begins: with the leader, or with the primary after the leader was unreachable. */
  #writesFrom = 0;

  constructor({ address, key, dispatcher, requestTimeoutMs, nowMs }: HttpOptions) {
    this.#addresses = [...new Set([address.primary_url, ...address.replica_urls])];
    this.#keys = ShardKeys.of(key);
    this.#dispatcher = dispatcher ?? OPEN_REACH.dispatcher;
    this.#requestTimeoutMs = requestTimeoutMs ?? REQUEST_TIMEOUT_MS;
    this.#nowMs = nowMs ?? steadyNowMs;
  }

  /** The address that was last found to take writes. */
  get leaderUrl(): string {
    return this.#addresses[this.#leader] ?? '';
  }

  /** The whole body of a 2xx answer. @throws ShardError */
  async readAnswer(request: ShardRequest, ctx: CallContext): Promise<Buffer> {
    return this.#askLeader(request, (shardUrl) => this.#readFrom(shardUrl, request, ctx));
  }

  /**
   * From now on every call begins with the address that takes writes. `probe` is a write that changes nothing. So
   * unlike other writes it may go on to the next address, whatever the one before made of it. Without replicas there is
   * nothing to find.
   * @throws ShardError when no address leads
   */
  async findLeader(probe: ShardRequest, ctx: CallContext): Promise<void> {
    if (this.#addresses.length === 1) return;
    const first = this.#leader;
    let seen: ShardError | null = null;
    for (let turn = 0; turn < this.#addresses.length; turn++) {
      const index = (first + turn) % this.#addresses.length;
      try {
        await this.#readFrom(this.#addresses[index]!, probe, ctx);
        return this.#leads(index);
      } catch (error) {
        if (!(error instanceof ShardError)) throw error;
        // The shard looked for what the probe names, so it does take writes.
        if (error.code === 'NotFound') return this.#leads(index);
        // An address that did not answer 421 may be the leader: its answer is the better reason.
        if (seen === null || (seen.code === 'NotLeader' && error.code !== 'NotLeader')) seen = error;
      }
    }
    throw seen!;
  }

  /**
   * The body of a 2xx answer, as it comes. The next chunk is read when the consumer asks for it. The connection is
   * closed when the consumer stops early. @throws ShardError
   */
  async *stream(request: ShardRequest, ctx: CallContext): AsyncGenerator<Buffer> {
    const { call, body } = await this.#askLeader(request, (shardUrl) =>
      this.#withEachKey(shardUrl, async (key) => {
        const opened = new Call(request, shardUrl, this.#timer(request, shardUrl, ctx), ctx);
        try {
          const reply = await opened.send(optionsOf(request, shardUrl, { key, ctx }), this.#dispatcher, this.#nowMs);
          return { call: opened, body: reply.body };
        } catch (error) {
          opened.close();
          throw error;
        }
      }),
    );
    try {
      yield* call.chunks(body);
    } finally {
      // An unread rest is an error to undici, and nobody waits for it.
      body.on('error', () => undefined).destroy();
      call.close();
    }
  }

  /** An error about an answer that did arrive, from the address that gave it. */
  failure(request: ShardRequest, seen: Seen): ShardError {
    return failure(request, this.#addresses[this.#leader]!, seen);
  }

  async #readFrom(shardUrl: string, request: ShardRequest, ctx: CallContext): Promise<Buffer> {
    return await this.#withEachKey(shardUrl, async (key) => {
      const call = new Call(request, shardUrl, this.#timer(request, shardUrl, ctx), ctx);
      try {
        const reply = await call.send(optionsOf(request, shardUrl, { key, ctx }), this.#dispatcher, this.#nowMs);
        return await call.readAll(reply.body);
      } finally {
        call.close();
      }
    });
  }

  #withEachKey<T>(shardUrl: string, call: (key: string | null) => Promise<T>): Promise<T> {
    return withEachKey(this.#keys, shardUrl, { call, isUnauthorized });
  }

  #leads(index: number): void {
    this.#leader = index;
    this.#writesFrom = index;
  }

  async #askLeader<T>(request: ShardRequest, ask: (shardUrl: string) => Promise<T>): Promise<T> {
    const isWrite = request.isWrite === true;
    const first = isWrite ? this.#writesFrom : this.#leader;
    let notLeading: ShardError | null = null;
    for (let turn = 0; turn < this.#addresses.length; turn++) {
      const index = (first + turn) % this.#addresses.length;
      try {
        const answer = await ask(this.#addresses[index]!);
        // A read that was answered where it began says nothing about the leader. It may be older than what a write
        // found.
        if (isWrite || index !== first) this.#leads(index);
        return answer;
      } catch (error) {
        if (!(error instanceof ShardError)) throw error;
        // An unreachable leader may have been replaced, so the next write begins with the primary again. Reads do not,
        // because the primary may be a follower by now.
        if (error.code === 'Unreachable' && index === first && isWrite) this.#writesFrom = 0;
        const isSkipped = error.code === 'Unreachable' && !error.outcomeUnknown && notLeading !== null;
        if (error.code !== 'NotLeader' && !isSkipped) throw error;
        notLeading ??= error;
      }
    }
    throw notLeading!;
  }

  /** @throws ShardError TimedOut when the deadline has passed: a late attempt must not begin a write. */
  #timer(request: ShardRequest, shardUrl: string, ctx: CallContext): CallTimer {
    if (this.#nowMs() >= ctx.deadlineMs) {
      throw failure(request, shardUrl, { code: 'TimedOut', status: null, reason: 'not sent, its deadline had passed' });
    }
    return new CallTimer(ctx, this.#requestTimeoutMs, this.#nowMs);
  }
}

function optionsOf(
  { method, path, body }: ShardRequest,
  shardUrl: string,
  { key, ctx }: { key: string | null; ctx: CallContext },
): Dispatcher.RequestOptions {
  const url = new URL(shardUrl);
  return {
    origin: url.origin,
    path: url.pathname.replace(/\/+$/, '') + path.path,
    method,
    headers: {
      accept: 'application/json',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(key === null ? {} : { authorization: `Bearer ${key}` }),
      ...traceHeaders(ctx.trace ?? currentTrace()),
    },
    body: body ?? null,
    // CallTimer bounds the whole.
    headersTimeout: 0,
    bodyTimeout: 0,
  };
}

function isUnauthorized(error: unknown): boolean {
  return error instanceof ShardError && error.code === 'Unauthorized';
}

/** One request to one address, with its clock. */
class Call {
  readonly #request: ShardRequest;
  readonly #shardUrl: string;
  readonly #timer: CallTimer;
  readonly #ctx: CallContext;

  constructor(request: ShardRequest, shardUrl: string, timer: CallTimer, ctx: CallContext) {
    this.#request = request;
    this.#shardUrl = shardUrl;
    this.#timer = timer;
    this.#ctx = ctx;
  }

  close(): void {
    this.#timer.stop();
  }

  /** Sends it and waits for the head of the answer. @throws ShardError for anything but 2xx */
  async send(
    options: Dispatcher.RequestOptions,
    dispatcher: Dispatcher,
    nowMs: () => number,
  ): Promise<Dispatcher.ResponseData> {
    let reply: Dispatcher.ResponseData;
    try {
      reply = await dispatcher.request({ ...options, signal: this.#timer.signal });
    } catch (error) {
      throw this.#broken(error, null);
    }
    if (reply.statusCode >= 200 && reply.statusCode < 300) return reply;
    const refusal: Refusal = {
      status: reply.statusCode,
      contentType: one(reply.headers['content-type']) ?? '',
      body: await this.#readSome(reply.body),
    };
    throw failure(this.#request, this.#shardUrl, {
      code: codeOfStatus(refusal),
      status: refusal.status,
      reason: reasonOf(refusal, this.#request.carriesPoints === true),
      retryAfterMs: retryAfterMs(one(reply.headers['retry-after']), nowMs()),
      // A server, or a proxy on its behalf, may fail after the work was done.
      outcomeUnknown: refusal.status >= 500 || refusal.status === 408,
    });
  }

  async *chunks(body: Dispatcher.ResponseData['body']): AsyncGenerator<Buffer> {
    const chunks = body[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    for (;;) {
      let next: IteratorResult<Buffer>;
      this.#timer.waitForShard();
      try {
        next = await chunks.next();
      } catch (error) {
        throw this.#broken(error, 200);
      }
      if (next.done === true) return;
      this.#timer.waitForCaller();
      yield next.value;
    }
  }

  async readAll(body: Dispatcher.ResponseData['body']): Promise<Buffer> {
    const parts: Buffer[] = [];
    const bytes = await collect(body, ANSWER_BYTES_MAX, parts).catch((error: unknown) => {
      throw this.#broken(error, 200);
    });
    if (bytes <= ANSWER_BYTES_MAX) return Buffer.concat(parts, bytes);
    throw failure(this.#request, this.#shardUrl, {
      code: 'MalformedReply',
      status: 200,
      reason: `the answer has more than ${ANSWER_BYTES_MAX} bytes`,
      outcomeUnknown: true,
    });
  }

  /** The beginning of a refusal. If reading it fails, that does not matter: its status has said enough. */
  async #readSome(body: Dispatcher.ResponseData['body']): Promise<string> {
    const parts: Buffer[] = [];
    await collect(body, REFUSAL_BYTES_MAX, parts).catch(() => this.#ctx.signal?.throwIfAborted());
    return Buffer.concat(parts).toString('utf8', 0, REFUSAL_BYTES_MAX);
  }

  /** What it means that no answer came, or that it ended too early. */
  #broken(error: unknown, status: number | null): unknown {
    if (this.#ctx.signal?.aborted === true) return this.#ctx.signal.reason;
    const limit = this.#timer.exceeded;
    if (limit !== null) {
      const reason = status === null ? `no answer ${limit}` : `the answer did not come to its end ${limit}`;
      return failure(this.#request, this.#shardUrl, { code: 'TimedOut', status, reason, outcomeUnknown: true });
    }
    if (error instanceof errors.HTTPParserError) {
      // Without its cause, which quotes the answer.
      const reason = 'the answer is not HTTP';
      return failure(this.#request, this.#shardUrl, { code: 'MalformedReply', status, reason, outcomeUnknown: true });
    }
    if (error instanceof AddressNotAllowedError) {
      const seen: Seen = { code: 'AddressNotAllowed', status: null, reason: `not sent, ${error.message}` };
      return failure(this.#request, this.#shardUrl, seen);
    }
    const errorCode = codeOfError(error);
    // Not an error of the connection but a defect of ours, which waiting would hide.
    if (errorCode === null || errorCode === 'UND_ERR_INVALID_ARG') return error;
    return failure(this.#request, this.#shardUrl, {
      code: 'Unreachable',
      status,
      reason:
        status === null
          ? `no answer (${errorCode})`
          : `the connection broke in the middle of the answer (${errorCode})`,
      outcomeUnknown: !NOT_SENT.has(errorCode),
      cause: error,
    });
  }
}

/** Reads chunks into `parts` until the body ends or more than `bytesMax` are there. Returns how many came. */
async function collect(body: Dispatcher.ResponseData['body'], bytesMax: number, parts: Buffer[]): Promise<number> {
  let bytes = 0;
  for await (const part of body as AsyncIterable<Buffer>) {
    parts.push(part);
    bytes += part.length;
    if (bytes > bytesMax) break;
  }
  return bytes;
}

/** What went wrong, without what the request already says. */
export type Seen = Omit<ShardFailure, 'method' | 'path' | 'shardUrl'>;

function failure(request: ShardRequest, shardUrl: string, seen: Seen): ShardError {
  const outcomeUnknown = request.isWrite === true && seen.outcomeUnknown === true;
  return new ShardError({ ...seen, method: request.method, path: request.path.shown, shardUrl, outcomeUnknown });
}

function codeOfError(error: unknown): string | null {
  const hasCode = typeof error === 'object' && error !== null && 'code' in error;
  return hasCode && typeof error.code === 'string' ? error.code : null;
}

function one(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}
