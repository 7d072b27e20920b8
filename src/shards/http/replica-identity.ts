import { setTimeout as delay } from 'node:timers/promises';
import { DomainError } from '../../domain/errors';
import { describeIdentity, type ShardIdentity } from '../../domain/shard-identity';
import type { CallContext, ShardClient } from './shard-client';
import { readIdentity } from './shard-identity';

/** A follower shows a new mark a moment after its primary. */
const FOLLOWS_WITHIN_MS = 2_000;
const LOOK_AGAIN_MS = 50;

/**
 * A further address of a shard is believed when it shows the same mark. An address that does not answer is not: nobody
 * could tell then what is behind it. @throws DomainError WrongShard; ShardError
 */
export async function checkReplica(
  replica: ShardClient,
  { url, expected }: { url: string; expected: Pick<ShardIdentity, 'clusterUid' | 'shardId'> },
  ctx: CallContext,
): Promise<void> {
  for (const untilMs = Date.now() + FOLLOWS_WITHIN_MS; ;) {
    const seen = await readIdentity(replica, ctx);
    if (seen?.identity.clusterUid === expected.clusterUid && seen.identity.shardId === expected.shardId) return;
    // One that shows nothing may not have got it yet. Another mark never goes away by itself.
    if (seen === null && Date.now() < untilMs) {
      await delay(LOOK_AGAIN_MS, undefined, { signal: ctx.signal });
      continue;
    }
    throw new DomainError(
      'WrongShard',
      `expected ${url} to show shard ${expected.shardId} of this cluster (${expected.clusterUid}), it shows ${describeIdentity(seen)}: ` +
        'it is another process, or it does not follow this shard; correct replica_urls',
    );
  }
}
