import { constants, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2';
import { traceHeaders } from '../../domain/trace';
import { currentTrace } from '../../tracing/current';
import { ShardError, type ShardFailure } from '../errors';
import type { ShardKeys } from '../reach/shard-keys';
import { AddressNotAllowedError } from '../reach/reach';
import { CallTimer, type CallContext } from '../http/call-timer';
import { codeOfStatus as codeOfHttpStatus, retryAfterMs } from '../http/refusals';
import type { Connection, OpenedStream } from './connection';
import { closeFrame, FrameReader, WireError } from './protobuf';
import { codeOfStatus, mayBeDone, OK, reasonOf, type GrpcStatus } from './statuses';

/** What a call is, apart from its messages. */
export interface GrpcMethod {
  readonly name: string;
  readonly isWrite: boolean;
  /** Details of a refusal may quote a point. */
  readonly carriesPoints: boolean;
}

export interface GrpcCallOptions {
  /** For this call alone when it is a write: the end of the call closes it. */
  readonly connection: Connection;
  readonly url: string;
  readonly keys: ShardKeys;
  readonly method: GrpcMethod;
  readonly ctx: CallContext;
  /** How long the shard may take for one answer. */
  readonly requestTimeoutMs: number;
  readonly nowMs: () => number;
}

const SERVICE = '/quiver.v1.Quiver/';
/** What ends the wait for room: the room, an answer before the end of what was sent, or the end of the stream. */
const GOES_ON = ['drain', 'response', 'trailers', 'close'] as const;

/** What went wrong, without what the call already says. */
type Seen = Omit<ShardFailure, 'method' | 'path' | 'shardUrl'>;

/**
 * One call on Node's own HTTP/2. @grpc/grpc-js would do all of this but one thing. When a stream ends with another
 * status than OK, it throws away what was received and not yet read. Replicate ends with DATA_LOSS after a whole
 * bootstrap, so its last rows would be missing without a trace. Here the status counts only after the last message.
 */
export class GrpcCall {
  readonly #options: GrpcCallOptions;
  readonly #key: string | null;
  readonly #timer: CallTimer;
  readonly #opened: OpenedStream;
  readonly #stream: ClientHttp2Stream;
  #httpStatus: number | null = null;
  #isGrpc = false;
  #status: GrpcStatus | null = null;
  #streamError: unknown = null;
  /** The shard has sent all that there was, and so have we. */
  #isOver = false;
  readonly #onAbort = (): void => this.#cancel();

  /** @throws ShardError TimedOut when the deadline has passed, AddressNotAllowed; the reason of `ctx.signal` when that is aborted */
  constructor(options: GrpcCallOptions) {
    this.#options = options;
    const { connection, keys, url, method, ctx, requestTimeoutMs, nowMs } = options;
    if (nowMs() >= ctx.deadlineMs) {
      throw this.failure({ code: 'TimedOut', status: null, reason: 'not sent, its deadline had passed' });
    }
    this.#timer = new CallTimer(ctx, requestTimeoutMs, nowMs);
    const key = keys.keyFor(url);
    this.#key = key;
    this.#opened = this.#open(connection, {
      ':method': 'POST',
      ':path': pathOf(method),
      'content-type': 'application/grpc',
      te: 'trailers',
      ...(key === null ? {} : { authorization: `Bearer ${key}` }),
      ...traceHeaders(ctx.trace ?? currentTrace()),
    });
    this.#stream = this.#opened.stream;
    this.#stream.on('response', (headers) => this.#takeHead(headers));
    this.#stream.on('trailers', (headers: IncomingHttpHeaders) => this.#takeStatus(headers));
    this.#stream.on('error', (error: unknown) => void (this.#streamError ??= error));
    this.#timer.signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  #open(connection: Connection, headers: Readonly<Record<string, string>>): OpenedStream {
    try {
      return connection.open(headers);
    } catch (error) {
      this.#timer.stop();
      throw error instanceof AddressNotAllowedError ? this.#notAllowed(error) : error;
    }
  }

  /** Sends a message that was written behind FRAME_HEAD_BYTES of room. Resolves when there is room for the next. */
  async send(frame: Buffer): Promise<void> {
    this.#assertOpen();
    if (this.#stream.write(closeFrame(frame))) return;
    this.#timer.waitForShard();
    await new Promise<void>((resolve) => {
      const go = (): void => {
        for (const event of GOES_ON) this.#stream.off(event, go);
        resolve();
      };
      for (const event of GOES_ON) this.#stream.on(event, go);
    });
    this.#assertOpen();
    this.#timer.waitForCaller();
  }

  /** Says that no more messages follow. */
  halfClose(): void {
    this.#stream.end();
  }

  /** From now on only the deadline ends the call, as long as this is not called with another limit. */
  waitForCaller(): void {
    this.#timer.waitForCaller();
  }

  /**
   * The messages as they arrive, together those that arrived together. While the consumer is busy nothing is read.
   * Returns the status that the shard sent. @throws ShardError when it sent none
   */
  async *messages(): AsyncGenerator<Buffer[], GrpcStatus> {
    const frames = new FrameReader();
    // Destroying a stream that has ended would reset it: a shard takes only so many resets a second.
    const chunks = this.#stream.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer, undefined>;
    for (;;) {
      let messages: Buffer[];
      try {
        const next = await chunks.next();
        if (next.done === true) break;
        messages = frames.push(next.value);
      } catch (error) {
        if (error instanceof WireError) throw this.malformed(error);
        this.#streamError ??= error;
        throw this.#broken();
      }
      if (messages.length > 0) yield messages;
    }
    if (this.#status === null || !frames.isBetweenMessages) throw this.#broken();
    this.#isOver = this.#stream.writableEnded;
    return this.#status;
  }

  /** The only message of the answer. @throws ShardError for any other status than OK, and for any other count */
  async answer(): Promise<Buffer> {
    const messages: Buffer[] = [];
    const arriving = this.messages();
    this.#timer.waitForShard();
    const relax = this.#opened.hurry();
    try {
      for (;;) {
        const next = await arriving.next();
        if (next.done !== true) {
          messages.push(...next.value);
          continue;
        }
        if (next.value.code !== OK) throw this.refusal(next.value);
        if (messages.length === 1) return messages[0]!;
        throw this.malformed(new WireError(`one message was expected, and ${messages.length} came`));
      }
    } finally {
      relax();
    }
  }

  /** Gives up what is still under way. To be called at the end of every call. */
  close(): void {
    this.#timer.stop();
    this.#timer.signal.removeEventListener('abort', this.#onAbort);
    this.#cancel();
  }

  refusal(status: GrpcStatus): ShardError {
    const { keys, url } = this.#options;
    if (codeOfStatus(status) === 'Unauthorized') keys.refused(url, this.#key);
    return this.failure({
      code: codeOfStatus(status),
      status: status.code,
      reason: reasonOf(status, this.#options.method.carriesPoints),
      retryAfterMs: status.retryAfterMs,
      outcomeUnknown: mayBeDone(status),
    });
  }

  malformed(error: WireError): ShardError {
    return this.failure({ code: 'MalformedReply', status: OK, reason: error.message, outcomeUnknown: true });
  }

  failure(seen: Seen): ShardError {
    const { method, url } = this.#options;
    const outcomeUnknown = method.isWrite && seen.outcomeUnknown === true;
    return new ShardError({ ...seen, method: 'GRPC', path: pathOf(method), shardUrl: url, outcomeUnknown });
  }

  /** An answer before the end of what is sent can only be a refusal. */
  #assertOpen(): void {
    if (this.#status !== null || this.#stream.destroyed || this.#stream.closed) throw this.#broken();
  }

  /**
   * Quiver 1.1.0 may take a reset for the end of what is sent, and write what has come: 30 of 30 tries with CANCEL, 23
   * with INTERNAL_ERROR. When the connection is gone it writes nothing: 0 of 90. So a write has a connection of its own.
   */
  #cancel(): void {
    if (this.#options.method.isWrite) this.#options.connection.close();
    else if (!this.#isOver && !this.#stream.closed) this.#stream.close(constants.NGHTTP2_CANCEL);
  }

  #takeHead(headers: IncomingHttpHeaders & { ':status'?: number | undefined }): void {
    this.#httpStatus = headers[':status'] ?? null;
    this.#isGrpc = headers['content-type']?.startsWith('application/grpc') === true;
    // A refusal without any message comes as the head alone.
    if (headers['grpc-status'] !== undefined) this.#takeStatus(headers);
  }

  #takeStatus(headers: IncomingHttpHeaders): void {
    const code = headers['grpc-status'];
    if (typeof code !== 'string' || !this.#isGrpc) return;
    const details = one(headers['grpc-message']) ?? '';
    const retryAfter = retryAfterMs(one(headers['retry-after']), this.#options.nowMs());
    this.#status = { code: Number(code), details: decodeDetails(details), retryAfterMs: retryAfter };
  }

  /** What it means that no status came, or that it came while we were still sending. */
  #broken(): unknown {
    const { ctx } = this.#options;
    if (ctx.signal?.aborted === true) return ctx.signal.reason;
    const limit = this.#timer.exceeded;
    if (limit !== null) {
      this.#opened.abandon();
      const reason = this.#httpStatus === null ? `no answer ${limit}` : `the answer did not come to its end ${limit}`;
      return this.failure({ code: 'TimedOut', status: null, reason, outcomeUnknown: true });
    }
    const refusal = this.#opened.refusal();
    if (refusal !== null) return this.#notAllowed(refusal);
    if (this.#status !== null && this.#status.code !== OK) return this.refusal(this.#status);
    if (this.#httpStatus !== null && !this.#isGrpc) return this.#notGrpc(this.#httpStatus);
    return this.failure({
      code: 'Unreachable',
      status: null,
      reason:
        this.#httpStatus === null ? `no answer${this.#errorCode()}` : `the answer was cut off${this.#errorCode()}`,
      outcomeUnknown: this.#opened.wasConnected(),
      cause: this.#streamError ?? undefined,
    });
  }

  #notAllowed(error: AddressNotAllowedError): ShardError {
    return this.failure({ code: 'AddressNotAllowed', status: null, reason: `not sent, ${error.message}` });
  }

  #notGrpc(status: number): ShardError {
    const code = codeOfHttpStatus({ status, contentType: '', body: '' });
    return this.failure({ code, status, reason: 'the answer is not gRPC', outcomeUnknown: status >= 500 });
  }

  /** The code of the socket's or the protocol's error. Its message may name anything. */
  #errorCode(): string {
    const error = this.#streamError;
    const cause = error instanceof Error ? (error.cause ?? error) : error;
    const hasCode = typeof cause === 'object' && cause !== null && 'code' in cause && typeof cause.code === 'string';
    return hasCode ? ` (${cause.code as string})` : '';
  }
}

function pathOf(method: GrpcMethod): string {
  return SERVICE + method.name;
}

function one(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}

/** Details come percent-encoded. */
function decodeDetails(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}
