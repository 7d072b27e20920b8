import { request, type Dispatcher } from 'undici';
import type { ShardMap } from '../../domain/shard-map';
import { traceHeaders } from '../../domain/trace';
import { currentTrace } from '../../tracing/current';

const PROBE_TIMEOUT_MS = 2_000;

/** Says whether a shard's primary answers `GET /healthz` with 200. Unreachable is an answer here: `false`. */
export type ProbeShard = (primaryUrl: string) => Promise<boolean>;

export function createProbe(options: { dispatcher?: Dispatcher; timeoutMs?: number } = {}): ProbeShard {
  const timeoutMs = options.timeoutMs ?? PROBE_TIMEOUT_MS;
  return async (primaryUrl) => {
    try {
      const { statusCode, body } = await request(`${primaryUrl}/healthz`, {
        headers: traceHeaders(currentTrace()),
        signal: AbortSignal.timeout(timeoutMs),
        ...(options.dispatcher === undefined ? {} : { dispatcher: options.dispatcher }),
      });
      await body.dump();
      return statusCode === 200;
    } catch {
      return false;
    }
  };
}

/** All shards are probed side by side, so the answer takes as long as the slowest one, bounded. */
export async function clusterHealth(map: ShardMap, probe: ProbeShard): Promise<Record<string, boolean>> {
  const probed = map.shards.map(async (shard) => [String(shard.id), await probe(shard.primary_url)] as const);
  return Object.fromEntries(await Promise.all(probed));
}
