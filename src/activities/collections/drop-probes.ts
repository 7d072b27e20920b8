import { IDENTITY_COLLECTION } from '../../domain/shard-identity';
import type { ShardClient } from '../../shards/http/shard-client';
import type { ActivityScope } from '../frame/run-activity';

/**
 * Removes the probe collections that a killed or cancelled activity left on this shard. Call it only
 * under the lock: then no operation of this cluster has a probe there. A probe that anybody else has there is removed
 * too.
 */
export async function dropProbes({ attempt }: ActivityScope, client: ShardClient): Promise<void> {
  for (const { name, count } of await client.listInternalCollections(attempt.reading)) {
    if (name === IDENTITY_COLLECTION || count > 0) continue;
    await attempt.write((ctx) => client.dropCollection(name, ctx));
  }
}
