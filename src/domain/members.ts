/**
 * What the cluster keeps of each shard beside the map. `GET /cluster/map` has exactly Quiver's shape, so epochs and gRPC
 * addresses are kept here.
 */
import type { Shard } from './shard-map';

export interface MemberRecord {
  /** The last epoch that was written to it; null: it is not known to have an identity. */
  readonly epoch: number | null;
  readonly grpcUrl?: string;
}

/** By shard id. */
export type Members = Readonly<Record<string, MemberRecord>>;

export interface ClusterIdentity {
  /** Null until the first operation brings one. Then it never changes. */
  readonly uid: string | null;
  /** The marks were taken off the shards, so that another coordinator can have them. No operation runs meanwhile. */
  readonly removed: boolean;
}

export const NO_IDENTITY: ClusterIdentity = { uid: null, removed: false };
/** A state that was rewound or restored does not know the last epochs, so this many are left out. */
export const EPOCHS_LEFT_OUT = 1_000;

/** With the gRPC addresses that `shards` bring. */
export function membersWith(members: Members, shards: readonly Shard[]): Members {
  const next: Record<string, MemberRecord> = { ...members };
  for (const { id, grpc_url } of shards) {
    if (grpc_url !== undefined) next[id] = { epoch: null, ...next[id], grpcUrl: grpc_url };
  }
  return next;
}

/** Shards of the map as operations are given them. */
export function withGrpcUrls(shards: readonly Shard[], members: Members): readonly Shard[] {
  return shards.map((shard) => {
    const { grpcUrl } = members[shard.id] ?? {};
    return grpcUrl === undefined ? shard : { ...shard, grpc_url: grpcUrl };
  });
}
