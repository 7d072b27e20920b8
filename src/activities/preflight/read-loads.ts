import type { ShardLoad } from '../../domain/autoscale-decision';
import type { Shard } from '../../domain/shard-map';
import { ShardError } from '../../shards/errors';
import type { ShardCollection } from '../../shards/http/shard-client';
import { mapInParallel, SHARDS_ASKED_AT_ONCE } from '../frame/in-parallel';
import type { ActivityScope } from '../frame/run-activity';

const READ_TIMEOUT_MS = 5_000;
const FLOAT_BYTES = 4;

/** Many side by side. INV-8: a shard that does not answer is unknown. */
export async function readLoads(
  scope: ActivityScope,
  { shards }: { shards: readonly Shard[] },
): Promise<readonly ShardLoad[]> {
  const loads = await mapInParallel(shards, SHARDS_ASKED_AT_ONCE, (shard) => readLoad(scope, shard));
  scope.attempt.signal.throwIfAborted();
  return loads;
}

async function readLoad(scope: ActivityScope, shard: Shard): Promise<ShardLoad> {
  try {
    const collections = await listCollections(scope, shard);
    const points = collections.reduce((sum, { count }) => sum + count, 0);
    const bytes = collections.reduce((sum, { count, dim }) => sum + count * dim * FLOAT_BYTES, 0);
    return { shardId: shard.id, points, bytes, problem: null };
  } catch (error) {
    if (!(error instanceof ShardError)) throw error;
    return { shardId: shard.id, points: null, bytes: null, problem: error.message };
  }
}

/**
 * Reads from the leader: a replica that lags would pass for a calm shard. Asks once more when the connection breaks,
 * because the other side may have closed a kept-alive one since its last use.
 */
async function listCollections({ attempt, shards }: ActivityScope, shard: Shard): Promise<readonly ShardCollection[]> {
  const client = shards.client(shard);
  const ctx = attempt.readingFor(READ_TIMEOUT_MS);
  const ask = async (): Promise<readonly ShardCollection[]> => {
    await client.findLeader(ctx);
    return client.listCollections(ctx);
  };
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof ShardError) || error.code !== 'Unreachable') throw error;
    return await ask();
  }
}
