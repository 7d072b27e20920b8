import type { ShardAddress } from '../../domain/shard-map';
import { inParallel, SHARDS_ASKED_AT_ONCE } from './in-parallel';
import type { ActivityScope } from './run-activity';

/**
 * Call this before an activity's first read. A follower answers reads from what it holds, and that may be old. Taken
 * for a donor, it would have newer points overwritten. Taken for an owner, it would have the last copy of a point
 * dropped (INV-3, INV-5). It costs nothing for shards without replicas.
 */
export async function findLeaders({ attempt, shards }: ActivityScope, of: readonly ShardAddress[]): Promise<void> {
  await inParallel(of, SHARDS_ASKED_AT_ONCE, (shard) => shards.client(shard).findLeader(attempt.reading));
}
