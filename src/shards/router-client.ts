import type { Dispatcher } from 'undici';
import type { CallContext } from './call-timer';
import { paths } from './paths';
import { ShardHttp, type ShardRequest } from './shard-http';

/**
 * The version of the map that the router at `url` holds now. `key` is the shard key, which routers take as admin key.
 * @throws ShardError
 */
export async function routerVersion(
  url: string,
  key: string | null,
  ctx: CallContext,
  dispatcher?: Dispatcher,
): Promise<number> {
  const http = new ShardHttp({ address: { primary_url: url, replica_urls: [] }, key, dispatcher });
  const request: ShardRequest = { method: 'GET', path: paths.clusterMap };
  const version = versionIn((await http.read(request, ctx)).toString('utf8'));
  if (version !== null) return version;
  throw http.failure(request, {
    code: 'MalformedReply',
    status: 200,
    reason: 'a shard map with a version was expected',
  });
}

function versionIn(body: string): number | null {
  try {
    const map: unknown = JSON.parse(body);
    if (typeof map !== 'object' || map === null || !('version' in map)) return null;
    return Number.isSafeInteger(map.version) && Number(map.version) >= 0 ? Number(map.version) : null;
  } catch {
    return null;
  }
}
