/** The requests of the demo's operator. */
import { randomUUID } from 'node:crypto';
import type { ShardMap } from '../src/domain/shard-map';
import type { OperationView } from '../src/wire/coordinator-api';
import { KEY } from './cluster';

const REQUEST_TIMEOUT_MS = 30_000;
const HEADERS = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };

export interface GrowAnswer {
  readonly map: ShardMap;
  readonly status: number;
  readonly tookMs: number;
  /** Path of the operation. */
  readonly location: string;
}

export class DemoApi {
  private readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  async grow(joinerUrl: string): Promise<GrowAnswer> {
    const startedAtMs = performance.now();
    const response = await this.call('POST', '/cluster/shards/grow', {
      headers: { ...HEADERS, 'idempotency-key': randomUUID() },
      body: JSON.stringify({ primary_url: joinerUrl }),
    });
    const map = (await response.json()) as ShardMap;
    const location = response.headers.get('location') ?? '';
    return { map, status: response.status, tookMs: performance.now() - startedAtMs, location };
  }

  async operation(location: string): Promise<OperationView> {
    return (await (await this.call('GET', location)).json()) as OperationView;
  }

  async map(): Promise<ShardMap> {
    return (await (await this.call('GET', '/cluster/map')).json()) as ShardMap;
  }

  private async call(method: string, path: string, init: RequestInit = {}): Promise<Response> {
    const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
    const response = await fetch(`${this.url}${path}`, { headers: HEADERS, ...init, method, signal });
    if (!response.ok)
      throw new Error(`${method} ${path} was answered with ${response.status}: ${await response.text()}`);
    return response;
  }
}

/** How many points a shard holds, by its own account. */
export async function countPoints(shardUrl: string): Promise<number> {
  const response = await fetch(`${shardUrl}/v1/collections`, {
    headers: HEADERS,
    signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
  });
  if (!response.ok) throw new Error(`${shardUrl} does not tell its points: ${response.status}`);
  const collections = (await response.json()) as { count: number }[];
  return collections.reduce((sum, collection) => sum + collection.count, 0);
}
