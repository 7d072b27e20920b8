/** The gRPC side of the in-process shard: four calls of `quiver.v1.Quiver` on a port of its own. */
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import {
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { setTimeout as delay } from 'node:timers/promises';
import { FrameReader } from '../../src/shards/stream/protobuf';
import type { ShardCalls } from './shard-calls';
import { traceOf, type Attempt, type Fault } from './shard-faults';
import {
  changeOp,
  collectionOf,
  createOp,
  framed,
  getPoints,
  GrpcRefusal,
  listCollections,
  Status,
  upsert,
  upsertOp,
} from './shard-grpc-messages';
import type { KeyRole } from './in-process-shard';

const SERVICE = '/quiver.v1.Quiver/';
/** Changes that a stream may lag behind before its tail is lost. */
const TAIL_CHANGES_MAX = 1_024;
const MESSAGE_BYTES_MAX = 4 * 1024 * 1024;
const WRITE_BYTES = 64 * 1024;

const ROLES: readonly KeyRole[] = ['read', 'write', 'admin'];
const ROLE_OF: Readonly<Record<string, KeyRole>> = {
  Replicate: 'admin',
  GetPoints: 'read',
  UpsertStream: 'write',
  ListCollections: 'read',
};

/** What the calls need of their shard. */
export interface GrpcHost {
  calls(): ShardCalls;
  /** Null when the key is missing or wrong. */
  role(authorization: string | undefined): KeyRole | null;
  /** Logs the attempt, and says which faults strike it. */
  begin(attempt: Attempt): readonly Fault[];
  /** Why this shard takes no writes, or null. */
  refusesWrites(): 'not the leader' | 'follower' | null;
}

interface Call {
  readonly name: string;
  readonly authorization: string | undefined;
  readonly chunks: AsyncIterable<Buffer> | Iterable<Buffer>;
  readonly first: Buffer | null;
  readonly faults: readonly Fault[];
  readonly reply: Reply;
}

export class ShardGrpcServer {
  private readonly host: GrpcHost;
  /** Differs from process to process, as Quiver's order of collections does. */
  private readonly seed = randomUUID();
  /** How much of answers the sockets have taken: what flow control lets through, and no more. */
  bytesSent = 0;
  private server: Http2Server | null = null;
  private readonly sessions = new Set<ServerHttp2Session>();

  constructor(host: GrpcHost) {
    this.host = host;
  }

  /** Rejects when the port is taken. */
  async listen(port: number): Promise<void> {
    const server = createServer();
    server.on('session', (session) => {
      this.sessions.add(session);
      session.on('error', () => undefined).once('close', () => this.sessions.delete(session));
    });
    server.on('stream', (stream, headers) => void this.handle(stream, headers));
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
    this.server = server;
  }

  /** Cuts every connection, as a killed process does. */
  async stop(): Promise<void> {
    const server = this.server;
    if (server === null) return;
    this.server = null;
    const closed = new Promise((resolve) => server.close(resolve));
    for (const session of this.sessions) session.destroy();
    await closed;
  }

  private async handle(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    stream.on('error', () => undefined);
    const path = headers[':path'] ?? '';
    const reply = new Reply(stream, (bytes) => (this.bytesSent += bytes));
    try {
      const chunks = readMessages(stream);
      const next = await chunks.next();
      const first = next.done === true ? null : next.value;
      const name = path.startsWith(SERVICE) ? path.slice(SERVICE.length) : '';
      const collection = first === null || ['Replicate', 'ListCollections'].includes(name) ? null : collectionOf(first);
      const attempt: Attempt = {
        method: 'GRPC',
        path,
        collection,
        startedAtMs: Date.now(),
        ...traceOf(headers),
        status: null,
      };
      reply.onStatus = (status) => (attempt.status = status);
      const faults = this.host.begin(attempt);
      const authorization = headers.authorization;
      await this.answer({ name, authorization, chunks, first, faults, reply }, attempt);
    } catch (error) {
      if (error instanceof GrpcRefusal) reply.end(error.code, error.message, error.retryAfter);
      // The caller has gone, or a hook of the test failed: in both cases there is no one to answer.
      else reply.cut();
    }
  }

  private async answer(call: Call, attempt: Attempt): Promise<void> {
    const { faults, reply } = call;
    const struck = (kind: Fault['kind']): boolean => faults.some((fault) => fault.kind === kind);
    if (struck('refuse')) return reply.cut();
    if (struck('hang')) return;
    for (const fault of faults) {
      if (fault.kind === 'slow') {
        // All of it has arrived by then, so it is carried out even when the caller has gone.
        const arrived = await whole(call.chunks);
        await delay(fault.ms);
        call = { ...call, chunks: arrived };
      }
      if (fault.kind === 'before') await fault.run(attempt);
      if (fault.kind !== 'status') continue;
      throw new GrpcRefusal(fault.status, 'a fault that the test asked for', fault.retryAfter);
    }
    this.authorize(call);
    if (call.name === 'Replicate') return this.replicate(call);
    const message = await this.carryOut(call);
    for (const fault of faults) if (fault.kind === 'beforeReply') await fault.run(attempt);
    if (struck('replyLost')) return reply.cut();
    if (struck('hangAfter')) return;
    await reply.send(framed(message));
    if (struck('cutBody')) return reply.cut();
    reply.end(Status.Ok);
  }

  private authorize({ name, authorization }: Call): void {
    const needed = ROLE_OF[name];
    if (needed === undefined) throw new GrpcRefusal(Status.Unimplemented, '');
    const role = this.host.role(authorization);
    if (role === null) throw new GrpcRefusal(Status.Unauthenticated, 'missing or invalid API key');
    if (ROLES.indexOf(role) < ROLES.indexOf(needed)) {
      throw new GrpcRefusal(Status.PermissionDenied, "the API key's scope does not permit this operation");
    }
  }

  private async carryOut({ name, first, chunks }: Call): Promise<Buffer> {
    const calls = this.host.calls();
    if (name === 'ListCollections') return listCollections(calls);
    if (name === 'GetPoints') return getPoints(calls, first ?? Buffer.alloc(0));
    const refusal = first === null ? null : this.host.refusesWrites();
    if (refusal === 'not the leader') throw new GrpcRefusal(Status.FailedPrecondition, refusal);
    if (refusal !== null) {
      throw new GrpcRefusal(Status.PermissionDenied, 'upsert: this node is a read-only replication follower');
    }
    const all: Buffer[] = first === null ? [] : [first];
    for await (const chunk of chunks) all.push(chunk);
    return upsert(this.host.calls(), all);
  }

  /** The cut and the subscription are one. */
  private async replicate({ faults, reply }: Call): Promise<void> {
    const { collections, changes } = this.host.calls();
    const cut = [...collections.values()].map((collection) => ({ collection, points: collection.points() }));
    cut.sort((a, b) => (this.rank(a.collection.schema.name) < this.rank(b.collection.schema.name) ? -1 : 1));
    const tail = changes.subscribe(TAIL_CHANGES_MAX);
    try {
      let left = faults.find((fault) => fault.kind === 'cutStream')?.rows ?? Infinity;
      for (const { collection, points } of cut) {
        await reply.sendSoon(framed(createOp(collection)));
        for (const point of points.slice(0, left)) await reply.sendSoon(framed(upsertOp(collection, point)));
        left -= points.length;
        if (left <= 0) break;
      }
      await reply.flush();
      if (left <= 0) return endEarly(reply, faults);
      while (!reply.hasEnded) {
        if (tail.isLost) throw new GrpcRefusal(Status.DataLoss, 'replication fell behind; reconnect to re-bootstrap');
        for (const change of tail.take()) await reply.sendSoon(framed(changeOp(change)));
        await reply.flush();
        await tail.wait(reply.ended);
      }
    } finally {
      tail.close();
    }
  }

  private rank(name: string): string {
    return createHash('md5').update(this.seed).update(name).digest('hex');
  }
}

function endEarly(reply: Reply, faults: readonly Fault[]): void {
  const status = faults.find((fault) => fault.kind === 'cutStream')?.status;
  if (status === undefined) reply.cut();
  else reply.end(status, 'a fault that the test asked for');
}

async function whole(chunks: Call['chunks']): Promise<Buffer[]> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return all;
}

async function* readMessages(stream: ServerHttp2Stream): AsyncGenerator<Buffer> {
  const frames = new FrameReader();
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    for (const message of frames.push(chunk)) {
      if (message.length > MESSAGE_BYTES_MAX) {
        const seen = `found ${message.length} bytes, the limit is: ${MESSAGE_BYTES_MAX} bytes`;
        throw new GrpcRefusal(Status.OutOfRange, `Error, decoded message length too large: ${seen}`);
      }
      yield message;
    }
  }
  // A stream that was cut is no end: nothing of it counts.
  if (stream.aborted || !frames.isBetweenMessages)
    throw new GrpcRefusal(Status.Internal, 'unexpected end of the stream');
}

/** The answer to one call. */
class Reply {
  onStatus: (status: number) => void = () => undefined;
  readonly ended: Promise<unknown>;
  private readonly stream: ServerHttp2Stream;
  private waiting: Buffer[] = [];
  private waitingBytes = 0;

  private readonly onSent: (bytes: number) => void;

  constructor(stream: ServerHttp2Stream, onSent: (bytes: number) => void) {
    this.stream = stream;
    this.onSent = onSent;
    this.ended = new Promise((resolve) => stream.once('close', resolve));
  }

  get hasEnded(): boolean {
    return this.stream.destroyed || this.stream.closed;
  }

  /** Resolves when there is room for more. */
  async send(bytes: Buffer): Promise<void> {
    if (this.hasEnded) throw new Error('the caller has gone');
    if (!this.stream.headersSent) this.stream.respond(HEAD, { waitForTrailers: true });
    const hasRoom = this.stream.write(bytes, () => this.onSent(bytes.length));
    if (!hasRoom) await Promise.race([once(this.stream, 'drain'), this.ended]);
  }

  /** Sent together with what follows. */
  async sendSoon(bytes: Buffer): Promise<void> {
    this.waiting.push(bytes);
    this.waitingBytes += bytes.length;
    if (this.waitingBytes >= WRITE_BYTES) await this.flush();
  }

  async flush(): Promise<void> {
    const bytes = Buffer.concat(this.waiting, this.waitingBytes);
    this.waiting = [];
    this.waitingBytes = 0;
    if (bytes.length > 0) await this.send(bytes);
  }

  end(code: number, details = '', retryAfter?: string): void {
    this.onStatus(code);
    if (this.hasEnded) return;
    const status = {
      'grpc-status': String(code),
      'grpc-message': encodeURIComponent(details),
      ...(retryAfter === undefined ? {} : { 'retry-after': retryAfter }),
    };
    if (!this.stream.headersSent) return this.stream.respond({ ...HEAD, ...status }, { endStream: true });
    this.stream.once('wantTrailers', () => this.stream.sendTrailers(status));
    this.stream.end();
  }

  /** Cuts the connection, with all its calls. */
  cut(): void {
    this.stream.session?.destroy();
  }
}

const HEAD = { ':status': 200, 'content-type': 'application/grpc' };
