/**
 * A Quiver shard inside the test process: the shard's REST API on a port of its own, its gRPC on the next one, limits, byte order and number
 * formats included (conformance.quiver.test.ts compares it with the real one). It logs attempts and has faults on
 * demand.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from './free-port';
import { LocalServer } from './local-server';
import {
  DEFAULT_LIMITS,
  empty,
  problem,
  readPoints,
  renderPoint,
  ShardCalls,
  text,
  type Answer,
  type ShardLimits,
} from './shard-calls';
import { Faults, traceOf, type Attempt, type Fault } from './shard-faults';
import { ShardGrpcServer } from './shard-grpc';
import { floatBytes, JsonReader, renderF32 } from './shard-json';
import { ShardReplica, type ReplicaOptions } from './shard-replica';
import type { StoredCollection } from './shard-store';

export type { Attempt, Fault } from './shard-faults';
export type { ShardLimits } from './shard-calls';

export type KeyRole = 'read' | 'write' | 'admin';

export interface ShardOptions {
  /** Bearer keys: a bare one has all rights. None means open to all. Default ['shard-key']. */
  readonly keys?: readonly (string | { readonly secret: string; readonly role: KeyRole })[];
  readonly limits?: Partial<ShardLimits>;
  /** This one is a Raft follower of that one: reads see the leader's data, writes are answered 421. */
  readonly leader?: InProcessShard;
  /** This one is a read-only copy of that one, and answers writes with 403. It may lag behind, or have stopped. */
  readonly replicaOf?: { readonly shard: InProcessShard } & ReplicaOptions;
  /** How long a search takes that has to build the index first. */
  readonly indexBuildMs?: number;
}

export const SHARD_KEY = 'shard-key';

export async function startShard(options: ShardOptions = {}): Promise<InProcessShard> {
  const shard = new InProcessShard(options);
  await shard.listen();
  return shard;
}

const ROLES: readonly KeyRole[] = ['read', 'write', 'admin'];

interface Route {
  readonly methods: Readonly<Record<string, { role: KeyRole; call: (body: Buffer) => Answer | Promise<Answer> }>>;
  readonly collection: string | null;
}

export class InProcessShard {
  readonly faults = new Faults();
  readonly requests: Attempt[] = [];
  private calls: ShardCalls;
  private readonly options: ShardOptions;
  private readonly keys: ReadonlyMap<string, KeyRole>;
  private readonly replica: ShardReplica | null;
  private readonly server = new LocalServer((request, response) => this.handle(request, response));
  private readonly grpc = new ShardGrpcServer({
    calls: () => this.calls,
    role: (authorization) => this.role(authorization),
    begin: (attempt) => {
      this.requests.push(attempt);
      return this.faults.strike(attempt);
    },
    refusesWrites: () => this.refusesWrites(),
  });

  constructor(options: ShardOptions) {
    this.options = options;
    this.calls = options.leader?.calls ?? new ShardCalls({ ...DEFAULT_LIMITS, ...options.limits });
    const { replicaOf } = options;
    this.replica = replicaOf === undefined ? null : new ShardReplica(replicaOf.shard.calls, this.calls, replicaOf);
    const keys = options.keys ?? [SHARD_KEY];
    this.keys = new Map(keys.map((key) => (typeof key === 'string' ? [key, 'admin'] : [key.secret, key.role])));
  }

  get url(): string {
    return this.server.url;
  }

  /** The port after that of REST, as is the habit of Quiver's operators. */
  get grpcUrl(): string {
    return `http://127.0.0.1:${this.server.port + 1}`;
  }

  get grpcBytesSent(): number {
    return this.grpc.bytesSent;
  }

  async listen(): Promise<void> {
    const isFirst = this.server.port === 0;
    for (let attempt = 1; ; attempt++) {
      try {
        await this.server.listen(isFirst ? await freePort() : 0);
        return await this.grpc.listen(this.server.port + 1);
      } catch (error) {
        await (isFirst ? this.server.release() : this.server.stop());
        if (!isFirst || attempt === PORT_ATTEMPTS_MAX) throw error;
      }
    }
  }

  /** Stops listening and cuts every connection, as a killed process does. The data stays for `restart`. */
  async stop(): Promise<void> {
    await Promise.all([this.server.stop(), this.grpc.stop()]);
  }

  /** Only REST answers from now on. */
  async closeGrpc(): Promise<void> {
    await this.grpc.stop();
  }

  /** A replica that was frozen, or lags behind, applies what it has missed. */
  catchUp(): void {
    this.replica?.catchUp();
  }

  /** A replica shows old data from now on. */
  freeze(): void {
    this.replica?.freeze();
  }

  /** Comes back on the same port. */
  async restart(data: 'keep' | 'wipe' = 'keep'): Promise<void> {
    await this.stop();
    if (data === 'wipe') this.calls = new ShardCalls(this.calls.limits);
    await this.listen();
  }

  /** Comes back with its data on other ports, as on another machine. */
  async restartElsewhere(): Promise<void> {
    await this.stop();
    await this.server.release();
    await this.listen();
  }

  // ---- What a test sees and changes without a request. ----

  /** Creates a collection; `schema` is the body of POST /v1/collections. */
  create(schema: Record<string, unknown>): void {
    const answer = this.calls.create(Buffer.from(JSON.stringify(schema)));
    if (answer.status !== 200) throw new Error(`the collection was refused: ${answer.body}`);
  }

  /** Drops a collection, as a client would. */
  drop(collection: string): void {
    this.calls.drop(collection);
  }

  collections(): string[] {
    return [...this.calls.collections.keys()].sort();
  }

  /** In byte order, as of now; empty when there is no such collection. */
  ids(collection: string): readonly string[] {
    return [...(this.calls.collections.get(collection)?.ids() ?? [])];
  }

  /** The body that GET …/points/{id} answers, or null. */
  get(collection: string, id: string): string | null {
    const point = this.calls.collections.get(collection)?.get(id);
    return point === undefined ? null : renderPoint(point);
  }

  /** `points` are elements of an upsert: objects, or their JSON where its exact bytes matter. */
  put(collection: string, ...points: (string | Record<string, unknown>)[]): void {
    const elements = points.map((point) => (typeof point === 'string' ? point : JSON.stringify(point)));
    this.require(collection).put(readPoints(new JsonReader(`{"points":[${elements.join(',')}]}`)));
  }

  /** A document of a multivector collection, a vector a token. */
  putDocument(collection: string, id: string, vectors: readonly (readonly number[])[], payload: unknown = null): void {
    const tokens = vectors.map((vector, index) => ({
      id,
      vector: vector.map(renderF32).join(','),
      floats: floatBytes(vector),
      payload: index === 0 ? JSON.stringify(payload) : '',
    }));
    this.require(collection).putDocument(id, tokens);
  }

  delete(collection: string, ...ids: string[]): number {
    return this.require(collection).remove(ids);
  }

  private require(collection: string): StoredCollection {
    const found = this.calls.collections.get(collection);
    if (found === undefined) throw new Error(`there is no collection ${collection} on ${this.url}`);
    return found;
  }

  // ---- Requests ----

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', url: path = '/' } = request;
    const route = this.route(path.split('?')[0] ?? '/');
    const attempt: Attempt = {
      method,
      path,
      collection: route instanceof URIError ? null : (route?.collection ?? null),
      startedAtMs: Date.now(),
      ...traceOf(request.headers),
      status: null,
    };
    this.requests.push(attempt);
    const faults = this.faults.strike(attempt);
    const struck = (kind: Fault['kind']): boolean => faults.some((fault) => fault.kind === kind);
    try {
      if (struck('refuse')) return void request.destroy();
      const body = await this.readBody(request);
      if (struck('hang')) return;
      const answer = await this.answer({ request, attempt, route, body, faults });
      if (struck('replyLost')) return void request.socket.destroy();
      if (struck('hangAfter')) return;
      attempt.status = answer.status;
      send(response, answer, struck('cutBody'));
    } catch {
      // The caller has gone, or a hook of the test failed: in both cases there is no one to answer.
      request.destroy();
    }
  }

  private async answer(from: {
    request: IncomingMessage;
    attempt: Attempt;
    route: Route | URIError | null;
    body: Buffer | null;
    faults: readonly Fault[];
  }): Promise<Answer> {
    const { request, attempt, route, body, faults } = from;
    for (const fault of faults) {
      if (fault.kind === 'slow') await delay(fault.ms);
      if (fault.kind === 'before') await fault.run(attempt);
      if (fault.kind !== 'status') continue;
      const headers = fault.retryAfter === undefined ? {} : { 'retry-after': fault.retryAfter };
      return { ...problem(fault.status, 'a fault that the test asked for'), headers };
    }
    const answer = await this.carryOut(request, route, body);
    for (const fault of faults) if (fault.kind === 'beforeReply') await fault.run(attempt);
    return answer;
  }

  private async carryOut(
    request: IncomingMessage,
    route: Route | URIError | null,
    body: Buffer | null,
  ): Promise<Answer> {
    const { method = 'GET', url: path = '/' } = request;
    const isProbe = path === '/healthz' || path === '/readyz';
    const role = this.role(request.headers.authorization);
    if (!isProbe && role === null) return problem(401, 'missing or invalid API key', 'application/json');
    if (route === null) return empty(404);
    if (route instanceof URIError) return text(400, 'Invalid URL: Invalid UTF-8');
    const handler = route.methods[method];
    if (handler === undefined) return empty(405, { allow: Object.keys(route.methods).join(',') });
    if (!isProbe && ROLES.indexOf(role ?? 'read') < ROLES.indexOf(handler.role)) {
      return problem(403, `this needs the role ${handler.role}`);
    }
    const refusal = handler.role === 'read' ? null : this.refusesWrites();
    if (refusal === 'not the leader') return problem(421, refusal);
    if (refusal !== null)
      return problem(403, `${writeName(method, path)}: this node is a read-only replication follower`);
    const isJson = /^application\/json\b/i.test(request.headers['content-type'] ?? '');
    if (TAKES_BODY.test(`${method} ${path}`) && !isJson) {
      return text(415, 'Expected request with `Content-Type: application/json`');
    }
    if (body === null) return text(413, 'Failed to buffer the request body: length limit exceeded');
    return handler.call(body);
  }

  private refusesWrites(): 'not the leader' | 'follower' | null {
    if (this.options.leader !== undefined) return 'not the leader';
    return this.replica === null ? null : 'follower';
  }

  private role(authorization: string | undefined): KeyRole | null {
    if (this.keys.size === 0) return 'admin';
    const [scheme, key] = (authorization ?? '').split(' ');
    return scheme === 'Bearer' && key !== undefined ? (this.keys.get(key) ?? null) : null;
  }

  /** Null when it is over the limit; the rest of it is read and thrown away so that the answer gets through. */
  private async readBody(request: IncomingMessage): Promise<Buffer | null> {
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes <= this.calls.limits.bodyBytesMax) chunks.push(chunk);
    }
    return bytes > this.calls.limits.bodyBytesMax ? null : Buffer.concat(chunks);
  }

  private route(path: string): Route | URIError | null {
    const [, version, root, rawName, part, rawId, ...more] = path.split('/');
    const calls = this.calls;
    if (path === '/healthz') return on({ GET: ['read', () => text(200, 'ok')] });
    if (path === '/readyz') return on({ GET: ['read', () => text(200, 'ready')] });
    if (version !== 'v1' || root !== 'collections' || more.length > 0) return null;
    if (rawName === undefined) {
      return on({ POST: ['admin', (body) => calls.create(body)], GET: ['read', () => calls.list()] });
    }
    const name = decode(rawName);
    const id = decode(rawId ?? '');
    if (name instanceof URIError) return name;
    if (id instanceof URIError) return id;
    if (part === undefined) {
      return on({ GET: ['read', () => calls.describe(name)], DELETE: ['admin', () => calls.drop(name)] }, name);
    }
    if (rawId !== undefined) {
      if (part !== 'points' || rawId === '') return null;
      return on({ GET: ['read', () => calls.getPoint(name, id)] }, name);
    }
    if (part === 'fetch') return on({ POST: ['read', (body) => calls.fetch(name, body)] }, name);
    if (part === 'query') return on({ POST: ['read', (body) => this.search(name, body)] }, name);
    if (part === 'points:bulk') return on({ POST: ['write', (body) => calls.upsert(name, body, true)] }, name);
    if (part !== 'points') return null;
    return on(
      {
        POST: ['write', (body) => calls.upsert(name, body, false)],
        DELETE: ['write', (body) => calls.deletePoints(name, body)],
      },
      name,
    );
  }

  private async search(name: string, body: Buffer): Promise<Answer> {
    const mustBuild = this.calls.collections.get(name)?.indexReady === false;
    if (mustBuild && this.options.indexBuildMs !== undefined) await delay(this.options.indexBuildMs);
    return this.calls.search(name, body);
  }
}

const PORT_ATTEMPTS_MAX = 50;

/** What a replica calls a write that it refuses. */
function writeName(method: string, path: string): string {
  const isOnPoints = /\/points(:bulk)?$/.test(path);
  if (method === 'DELETE') return isOnPoints ? 'delete_points' : 'delete_collection';
  return isOnPoints ? 'upsert' : 'create_collection';
}

const TAKES_BODY = /^(POST|DELETE .*\/points$)/;

function on(
  methods: Record<string, [KeyRole, (body: Buffer) => Answer | Promise<Answer>]>,
  collection: string | null = null,
): Route {
  const entries = Object.entries(methods).map(([method, [role, call]]) => [method, { role, call }] as const);
  return { methods: Object.fromEntries(entries), collection };
}

function decode(part: string): string | URIError {
  try {
    return decodeURIComponent(part);
  } catch (error) {
    return error as URIError;
  }
}

function send(response: ServerResponse, answer: Answer, isCut: boolean): void {
  const bytes = Buffer.from(answer.body);
  const headers: Record<string, string | number> = { 'content-length': bytes.length, ...answer.headers };
  if (answer.type !== null) headers['content-type'] = answer.type;
  response.writeHead(answer.status, headers);
  if (!isCut) return void response.end(bytes);
  response.write(bytes.subarray(0, Math.floor(bytes.length / 2)), () => {
    response.destroy();
  });
}
