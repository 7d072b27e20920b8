import type { ShardIdentity } from '../../domain/shard-identity';
import type { Shard } from '../../domain/shard-map';
import { checkReplica } from '../../shards/http/replica-identity';
import type { ActivityScope } from '../frame/run-activity';

/** @throws DomainError WrongShard; ShardError when one does not answer */
export async function requireReplicas(
  { attempt, shards }: ActivityScope,
  { shard, expected }: { shard: Shard; expected: ShardIdentity },
): Promise<void> {
  await Promise.all(
    shard.replica_urls.map((url) => {
      const replica = shards.client({ primary_url: url, replica_urls: [] });
      return checkReplica(replica, { url, expected }, attempt.reading);
    }),
  );
}
