import { DomainError } from '../../domain/errors';
import { ShardError } from '../../shards/errors';
import type { CallContext, ShardClient } from '../../shards/http/shard-client';
import { readIdentity } from '../../shards/http/shard-identity';

/**
 * For a plan, which writes nothing: a follower shows the identity and the epoch of its primary. Whether it shows what is
 * written now, only the operation finds out. Null: it is taken for a follower; else why not.
 */
export async function whyNotAssumed(
  follower: ShardClient,
  primary: ShardClient,
  ctx: CallContext,
): Promise<string | null> {
  try {
    const [its, own] = await Promise.all([readIdentity(follower, ctx), readIdentity(primary, ctx)]);
    if ((its?.epoch ?? 0) < (own?.epoch ?? 0) || (its === null && own !== null)) {
      return 'does not show the epoch of its primary, so it is behind or follows no more';
    }
    const isSame =
      its?.identity.clusterUid === own?.identity.clusterUid && its?.identity.shardId === own?.identity.shardId;
    return isSame ? null : 'shows another identity than its primary';
  } catch (error) {
    if (error instanceof ShardError) return `cannot be read (${error.code})`;
    if (error instanceof DomainError) return `shows another identity (${error.code})`;
    throw error;
  }
}
