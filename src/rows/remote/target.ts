import type { ShardAddress } from '../../domain/shard-map';

/** A shard as a job is told of it. Plain JSON. */
export interface ShardTarget extends ShardAddress {
  readonly id: number | string;
  /** Its gRPC address, where it is not the usual one. */
  readonly grpc_url?: string;
  /** What it must show before anything is believed or deleted; null for a leftover, which belongs to nobody. */
  readonly identity: { readonly clusterUid: string; readonly shardId: number; readonly epoch: number } | null;
  /** The operator names the address to read from. */
  readonly source: string | null;
}
