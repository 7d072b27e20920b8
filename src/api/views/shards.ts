import type { ClusterState } from '../../domain/cluster-state';
import { withGrpcUrls } from '../../domain/members';
import type { Shard } from '../../domain/shard-map';
import type { OperationView } from '../../wire/coordinator-api';
import type { ShardsView } from '../../wire/shards';

type ShardView = ShardsView['shards'][number];

export async function viewOfShards(
  state: ClusterState,
  ask: {
    grpcUrl: (shard: Shard) => string;
    rows: (shard: Shard) => Promise<number | null>;
    /** How the newest operation reads them, or has read them. */
    sources: () => Promise<OperationView['sources']>;
  },
): Promise<ShardsView> {
  const { map, identity, members } = state;
  const sources = await ask.sources();
  const role = (id: number): ShardView['role'] =>
    map.joining.includes(id) ? 'joining' : map.leaving.includes(id) ? 'leaving' : 'owner';
  const shards = withGrpcUrls(map.shards, members).map(async (shard): Promise<ShardView> => {
    const epoch = members[shard.id]?.epoch ?? null;
    return {
      id: shard.id,
      role: role(shard.id),
      primary_url: shard.primary_url,
      replica_urls: [...shard.replica_urls],
      grpc_url: ask.grpcUrl(shard),
      identity: { uid: epoch === null ? null : identity.uid, epoch },
      rows: await ask.rows(shard),
      source: sources.find((each) => each.shard_id === shard.id)?.source ?? null,
    };
  });
  return { version: map.version, shards: await Promise.all(shards) };
}
