import type { ShardAddress } from '../../domain/shard-map';
import type { ActivityScope } from './run-activity';

/**
 * For an activity that reads, before its first read. A follower answers reads from what it holds, and may lag behind: taken for the
 * donor it would have newer points overwritten, taken for the owner it would have the last copy of a point dropped (INV-3, INV-5).
 * Costs nothing for shards without replicas.
 */
export async function findLeaders({ attempt, shards }: ActivityScope, of: readonly ShardAddress[]): Promise<void> {
  await Promise.all(of.map((shard) => shards.client(shard).findLeader(attempt.reading)));
}
