/** The requests of a demo's operator. */
import type { ShardMap } from '../src/domain/shard-map';
import type { AutoscaleView } from '../src/wire/autoscale';
import type { OperationView } from '../src/wire/coordinator-api';
import { KEY } from './parts';

const REQUEST_TIMEOUT_MS = 30_000;
const HEADERS = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };

export interface Answer<T> {
  /** Method, path and body, as they are shown. */
  readonly request: string;
  readonly status: number;
  readonly tookMs: number;
  readonly body: T;
}

export class DemoApi {
  private readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  setPolicy(policy: Partial<AutoscaleView['policy']>): Promise<Answer<AutoscaleView>> {
    return this.call('PUT', '/cluster/autoscale', policy);
  }

  addStandby(url: string): Promise<Answer<AutoscaleView>> {
    return this.call('POST', '/cluster/standbys', { primary_url: url });
  }

  autoscale(): Promise<Answer<AutoscaleView>> {
    return this.call('GET', '/cluster/autoscale');
  }

  async operation(id: string): Promise<OperationView> {
    return (await this.call<OperationView>('GET', `/cluster/operations/${id}`)).body;
  }

  async map(): Promise<ShardMap> {
    return (await this.call<ShardMap>('GET', '/cluster/map')).body;
  }

  private async call<T>(method: 'GET' | 'POST' | 'PUT', path: string, body?: object): Promise<Answer<T>> {
    const startedAtMs = performance.now();
    const text = body === undefined ? '' : JSON.stringify(body);
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: HEADERS,
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      ...(body === undefined ? {} : { body: text }),
    });
    if (!response.ok)
      throw new Error(`${method} ${path} was answered with ${response.status}: ${await response.text()}`);
    return {
      request: `${method} ${path} ${text}`.trimEnd(),
      body: (await response.json()) as T,
      status: response.status,
      tookMs: performance.now() - startedAtMs,
    };
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
