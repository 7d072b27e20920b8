/**
 * A Quiver router inside the test process. It polls the map and adopts only greater versions. It writes to all owners
 * first and then to all donors, and reads from the donor while there is one. GET /cluster/map tells which map it holds
 * now.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { NO_DONOR, PlacementPlan } from '../../src/domain/placement-plan';
import { placementSpec, type Shard, type ShardMap } from '../../src/domain/shard-map';
import { LocalServer } from './local-server';
import { readPoints, renderPoint } from './shard-calls';
import { JsonReader, JsonSyntaxError, JsonTypeError } from './shard-json';

export interface RouterOptions {
  readonly coordinatorUrl: string;
  /** Shards of the map that it starts with: version 0, ids 0…n-1. */
  readonly shardUrls: readonly string[];
  /** Presented to shards and to the coordinator. */
  readonly shardKey: string;
  /** Its own clients' keys; all are admin keys. None means open to all. */
  readonly keys?: readonly string[];
  readonly pollMs?: number;
  /** For one that comes back at its old address. Default: any. */
  readonly port?: number;
}

/** Another address of a shard is tried this often, with this pause, when one answers 421. */
const MISDIRECTED_TRIES_MAX = 60;
const MISDIRECTED_PAUSE_MS = 50;
const POLL_MS = 2_000;
const REQUEST_TIMEOUT_MS = 30_000;

interface Reply {
  readonly status: number;
  readonly type: string | null;
  readonly body: Buffer;
}

export async function startRouter(options: RouterOptions): Promise<InProcessRouter> {
  const router = new InProcessRouter(options);
  await router.listen();
  return router;
}

export class InProcessRouter {
  /** While true it keeps the map that it holds, as a router does that cannot reach its coordinator. */
  isPollingPaused = false;
  private readonly options: RouterOptions;
  private held: ShardMap;
  private readonly server = new LocalServer((request, response) => this.handle(request, response));
  private timer: NodeJS.Timeout | null = null;
  /** What is told of requests at /metrics: by path, also where nothing is. */
  private readonly counted = new Set<string>();

  constructor(options: RouterOptions) {
    this.options = options;
    const shards = options.shardUrls.map((primary_url, id) => ({ id, primary_url, replica_urls: [] }));
    this.held = { version: 0, shards, joining: [], leaving: [] };
  }

  get url(): string {
    return this.server.url;
  }

  get map(): ShardMap {
    return this.held;
  }

  async listen(): Promise<void> {
    await this.server.listen(this.options.port);
    await this.poll();
    this.timer = setInterval(() => void this.poll(), this.options.pollMs ?? POLL_MS);
  }

  async stop(): Promise<void> {
    if (this.timer !== null) clearInterval(this.timer);
    await this.server.stop();
  }

  /** Asks for the map now, without waiting for the next poll. */
  async poll(): Promise<void> {
    if (this.isPollingPaused) return;
    try {
      const response = await fetch(`${this.options.coordinatorUrl}/cluster/map`, {
        headers: { authorization: `Bearer ${this.options.shardKey}` },
        signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      });
      if (!response.ok) return;
      const map = (await response.json()) as ShardMap;
      if (map.version > this.held.version) this.held = map;
    } catch {
      // The map that it holds goes on to serve.
    }
  }

  // ---- Requests ----

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    let reply: Reply;
    try {
      reply = await this.answer(request, Buffer.concat(chunks));
    } catch (error) {
      const status = error instanceof JsonSyntaxError ? 400 : error instanceof JsonTypeError ? 422 : 502;
      reply = problem(status, error instanceof Error ? error.message : String(error));
    }
    response.writeHead(reply.status, reply.type === null ? {} : { 'content-type': reply.type });
    response.end(reply.body);
  }

  private async answer(request: IncomingMessage, body: Buffer): Promise<Reply> {
    const { method = 'GET', url: path = '/' } = request;
    if (path === '/healthz' || path === '/readyz') return text('ok');
    if (path === '/metrics') return text(this.metrics());
    this.counted.add(path);
    if (!this.isKnown(request.headers.authorization)) return problem(401, 'missing or invalid API key');
    if (method === 'GET' && path === '/cluster/map') return json(this.held);

    // One map for the whole request: a version that arrives meanwhile counts from the next request on.
    const map = this.held;
    const [, version, root, name, part, id] = path.split('/');
    if (version !== 'v1' || root !== 'collections') return problem(404, 'not found');
    if (name === undefined && method === 'GET') return this.first(readable(map), { method, path, body });
    if (name === undefined) return this.everywhere(map.shards, { method, path, body });
    if (part === undefined && method === 'DELETE') return this.everywhere(map.shards, { method, path, body });
    if (part === undefined) return this.first(readable(map), { method, path, body });
    if (part === 'query') return this.search(map, { method, path, body });
    if (id !== undefined) {
      const { owner, donor } = locate(map, decodeURIComponent(id));
      return this.forward(donor ?? owner, { method, path, body });
    }
    if (part === 'points' && method === 'DELETE') return this.write(map, { method, path, body }, 'ids', 'deleted');
    if (part === 'points' || part === 'points:bulk') {
      return this.write(map, { method, path, body }, 'points', 'upserted');
    }
    return problem(404, 'not found');
  }

  private metrics(): string {
    return [...this.counted].map((path) => `quiver_http_requests_total{method="GET",route="${path}"} 1\n`).join('');
  }

  private isKnown(authorization: string | undefined): boolean {
    const { keys = [] } = this.options;
    return keys.length === 0 || keys.some((key) => authorization === `Bearer ${key}`);
  }

  private async first(shards: readonly Shard[], call: Call): Promise<Reply> {
    const [shard] = shards;
    return shard === undefined ? problem(503, 'no shard') : this.forward(shard, call);
  }

  /** In map order, one after the other; the first refusal ends it. */
  private async everywhere(shards: readonly Shard[], call: Call): Promise<Reply> {
    let reply = problem(503, 'no shard');
    for (const shard of shards) {
      reply = await this.forward(shard, call);
      if (reply.status >= 300) return reply;
    }
    return reply;
  }

  /**
   * All owners of the request's points first, and then all their donors, one shard after the other: the first refusal
   * ends it, so that what the owners were given may be missing on donors.
   */
  private async write(map: ShardMap, call: Call, field: 'ids' | 'points', counted: string): Promise<Reply> {
    const elements = field === 'ids' ? readIds(call.body) : readElements(call.body);
    const owners = new Map<Shard, string[]>();
    const donors = new Map<Shard, string[]>();
    for (const { id, text } of elements) {
      const { owner, donor } = locate(map, id);
      append(owners, owner, text);
      if (donor !== null) append(donors, donor, text);
    }
    for (const [shard, texts] of [...owners, ...donors]) {
      const body = Buffer.from(`{"${field}":[${texts.join(',')}]}`);
      const reply = await this.forward(shard, { ...call, body });
      if (reply.status >= 300) return reply;
    }
    return json({ [counted]: elements.length });
  }

  /** Asks every shard that serves reads; results with the same id are collapsed. */
  private async search(map: ShardMap, call: Call): Promise<Reply> {
    interface Match {
      readonly id: string;
      readonly score: number;
    }
    const { k = 10 } = JSON.parse(call.body.toString()) as { k?: number };
    const [, , , name = ''] = call.path.split('/');
    const shards = readable(map);
    const info = await this.first(shards, { method: 'GET', path: `/v1/collections/${name}`, body: Buffer.alloc(0) });
    if (info.status !== 200) return info;
    const isNearestSmallest = (JSON.parse(info.body.toString()) as { metric: string }).metric === 'l2';
    const byId = new Map<string, Match>();
    for (const shard of shards) {
      const reply = await this.forward(shard, call);
      if (reply.status !== 200) return reply;
      const { matches } = JSON.parse(reply.body.toString()) as { matches: Match[] };
      for (const match of matches) byId.set(match.id, match);
    }
    const sorted = [...byId.values()].sort((a, b) => (isNearestSmallest ? a.score - b.score : b.score - a.score));
    return json({ matches: sorted.slice(0, k) });
  }

  /** To the shard's primary, and in turn to its other addresses while they answer 421. */
  private async forward(shard: Shard, call: Call): Promise<Reply> {
    const addresses = [shard.primary_url, ...shard.replica_urls];
    for (let attempt = 0; ; attempt++) {
      const address = addresses[attempt % addresses.length] ?? shard.primary_url;
      const reply = await this.send(address, call);
      if (reply.status !== 421 || attempt + 1 >= MISDIRECTED_TRIES_MAX) return reply;
      await new Promise((resolve) => setTimeout(resolve, MISDIRECTED_PAUSE_MS));
    }
  }

  private async send(address: string, { method, path, body }: Call): Promise<Reply> {
    const response = await fetch(`${address}${path}`, {
      method,
      headers: { authorization: `Bearer ${this.options.shardKey}`, 'content-type': 'application/json' },
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      ...(method === 'GET' ? {} : { body: new Uint8Array(body) }),
    });
    const bytes = Buffer.from(await response.arrayBuffer());
    return { status: response.status, type: response.headers.get('content-type'), body: bytes };
  }
}

interface Call {
  readonly method: string;
  readonly path: string;
  readonly body: Buffer;
}

const readable = (map: ShardMap): Shard[] => map.shards.filter((shard) => !map.joining.includes(shard.id));

/** Payload numbers are not JavaScript's, so the elements go on as text. */
function readElements(body: Buffer): { id: string; text: string }[] {
  return readPoints(new JsonReader(body.toString())).map((point) => ({ id: point.id, text: renderPoint(point) }));
}

function readIds(body: Buffer): { id: string; text: string }[] {
  const { ids = [] } = JSON.parse(body.toString()) as { ids?: string[] };
  return ids.map((id) => ({ id, text: JSON.stringify(id) }));
}

const plans = new WeakMap<ShardMap, PlacementPlan>();

function locate(map: ShardMap, id: string): { owner: Shard; donor: Shard | null } {
  const plan = plans.get(map) ?? new PlacementPlan(placementSpec(map));
  plans.set(map, plan);
  plan.locate(Buffer.from(id));
  const { owner: ownerId, donor: donorId } = plan;
  const owner = map.shards.find((shard) => shard.id === ownerId);
  if (owner === undefined) throw new Error(`no shard owns the point under map version ${map.version}`);
  return { owner, donor: donorId === NO_DONOR ? null : (map.shards.find((shard) => shard.id === donorId) ?? null) };
}

function append(groups: Map<Shard, string[]>, shard: Shard, text: string): void {
  const group = groups.get(shard);
  if (group === undefined) groups.set(shard, [text]);
  else group.push(text);
}

const json = (value: unknown): Reply => ({
  status: 200,
  type: 'application/json',
  body: Buffer.from(JSON.stringify(value)),
});

const text = (body: string): Reply => ({ status: 200, type: 'text/plain', body: Buffer.from(body) });

function problem(status: number, detail: string): Reply {
  const body = Buffer.from(JSON.stringify({ type: 'about:blank', title: 'Error', status, detail }));
  return { status, type: 'application/problem+json', body };
}
