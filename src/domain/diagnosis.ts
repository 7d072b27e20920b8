/** What is seen of shards when somebody asks what is wrong with a cluster. Plain and small; no key and no point data is part of it. */
import { SOURCES_SHOWN_MAX } from './limits';

/** What a shard lets the key do. Null: nobody knows (INV-8). */
export interface SeenKey {
  /** `refused`: the shard takes none of our keys. */
  readonly role: 'refused' | 'read' | 'write' | 'admin' | null;
  /** It is good for some collections only. */
  readonly isScoped: boolean | null;
  /** Why one of them is not known. */
  readonly problem: string | null;
}

/** A field that is null was not told, and the `problem` beside it says why. */
export interface SeenShard {
  readonly shardId: number;
  /** Why its primary does not answer `/healthz`; null: it does. */
  readonly problem: string | null;
  /** Its clock against the worker's, as `skewBetween` has it. Null: it tells no time. */
  readonly clockSkewMs: number | null;
  readonly key: SeenKey;
  /** `absent`: it bears no mark yet. `other`: it is not the shard that it should be. */
  readonly identity: { readonly seen: 'same' | 'absent' | 'other' | null; readonly problem: string | null };
  readonly grpc: { readonly url: string; readonly problem: string | null };
  readonly followers: readonly { readonly url: string; readonly problem: string | null }[];
  readonly rows: number | null;
  readonly bytes: number | null;
  /** How an operation would read it now. */
  readonly source: 'follower' | 'primary' | 'pages' | null;
  /** How long its clients would stand still for one scan. */
  readonly stopMs: number | null;
}

export interface ExaminedShards {
  /** At most SOURCES_SHOWN_MAX, by id: those with something wrong before the others. */
  readonly shards: readonly SeenShard[];
  /** They were looked at, and are not among `shards`. */
  readonly shardsLeftOut: number;
  /** The time was too short for them. */
  readonly shardsNotAsked: number;
}

/** A history and an answer must not grow with shards. */
export function examined(seen: readonly SeenShard[], all: number): ExaminedShards {
  const byId = (a: SeenShard, b: SeenShard): number => a.shardId - b.shardId;
  const sorted = [...seen].sort((a, b) => Number(isFaulty(b)) - Number(isFaulty(a)) || byId(a, b));
  const shards = sorted.slice(0, SOURCES_SHOWN_MAX).sort(byId);
  return { shards, shardsLeftOut: seen.length - shards.length, shardsNotAsked: all - seen.length };
}

function isFaulty({ problem, key, identity, grpc, followers, rows }: SeenShard): boolean {
  const problems = [problem, key.problem, identity.problem, grpc.problem, ...followers.map((each) => each.problem)];
  return key.role !== 'admin' || key.isScoped !== false || rows === null || problems.some((each) => each !== null);
}
