import type { Dispatcher } from 'undici';
import { DomainError } from '../../domain/errors';
import { normalizeMap, type ShardMap } from '../../domain/shard-map';
import { shardMapSchema } from '../../wire/cluster-map';
import type { CallContext } from './call-timer';
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
export async function routerMap(
  url: string,
  key: string | null,
  ctx: CallContext,
  dispatcher?: Dispatcher,
): Promise<HeldMap> {
  const http = new ShardHttp({ address: { primary_url: url, replica_urls: [] }, key, dispatcher });
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
