import type { Dispatcher } from 'undici';
import { DomainError } from '../../domain/errors';
import { normalizeMap, type ShardMap } from '../../domain/shard-map';
import { shardMapSchema } from '../../wire/cluster-map';
import type { CallContext } from './call-timer';
import type { Key } from '../reach/shard-keys';
import { ShardError } from '../errors';
import { paths } from './paths';
import { ShardHttp, type ShardRequest } from './shard-http';

/**
 * What a router holds. `map` is null when this coordinator could not take it over (for example for an id beyond 2^53 -
 * 1).
 */
export interface HeldMap {
  readonly version: number;
  readonly map: ShardMap | null;
}

/**
 * The map that the router at `url` holds now. `key` is the shard key, which routers accept as admin key.
 * @throws ShardError
 */
export async function routerMap(url: string, key: Key, ctx: CallContext, dispatcher?: Dispatcher): Promise<HeldMap> {
  const http = httpOf(url, key, dispatcher);
  const request: ShardRequest = { method: 'GET', path: paths.clusterMap };
  const held = heldIn((await http.readAnswer(request, ctx)).toString('utf8'));
  if (held !== null) return held;
  throw http.failure(request, {
    code: 'MalformedReply',
    status: 200,
    reason: 'a shard map with a version was expected',
  });
}

/** The version of the map that the router at `url` holds now. @throws ShardError */
export async function routerVersion(...call: Parameters<typeof routerMap>): Promise<number> {
  return (await routerMap(...call)).version;
}

/**
 * Leaves a mark in the process of the router at `url`: it counts requests by their path, also those that it does not
 * know, for as long as it lives. @throws ShardError
 */
export async function markRouter(
  url: string,
  mark: string,
  key: Key,
  ctx: CallContext,
  dispatcher?: Dispatcher,
): Promise<void> {
  try {
    await httpOf(url, key, dispatcher).readAnswer({ method: 'GET', path: paths.mark(mark) }, ctx);
  } catch (error) {
    if (!(error instanceof ShardError) || error.code !== 'NotFound') throw error;
  }
}

/** Whether the router at `url` is still the process that was marked. @throws ShardError */
export async function holdsMark(...[url, mark, key, ctx, dispatcher]: Parameters<typeof markRouter>): Promise<boolean> {
  const request: ShardRequest = { method: 'GET', path: paths.metrics };
  const counters = await httpOf(url, key, dispatcher).readAnswer(request, ctx);
  return counters.includes(`route="${paths.mark(mark).path}"`);
}

function httpOf(url: string, key: Key, dispatcher: Dispatcher | undefined): ShardHttp {
  return new ShardHttp({ address: { primary_url: url, replica_urls: [] }, key, dispatcher });
}

function heldIn(body: string): HeldMap | null {
  try {
    const map: unknown = JSON.parse(body);
    if (typeof map !== 'object' || map === null || !('version' in map)) return null;
    if (!Number.isSafeInteger(map.version) || Number(map.version) < 0) return null;
    return { version: Number(map.version), map: usable(map) };
  } catch {
    return null;
  }
}

function usable(map: object): ShardMap | null {
  const parsed = shardMapSchema.safeParse(map);
  if (!parsed.success) return null;
  try {
    return normalizeMap(parsed.data);
  } catch (error) {
    if (error instanceof DomainError) return null;
    throw error;
  }
}
