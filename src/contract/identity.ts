/** Inputs of the activities that look after the identities of shards. Plain JSON and small: they stay in a history. */
import type { Shard, ShardAddress } from '../domain/shard-map';

/** The part that a member takes, for the words of a refusal. Null: a failure is the shard's own, and is tried again. */
export type MemberRole = 'donor' | 'leaver' | 'stayer';

export interface IdentifyInput {
  readonly cluster: string;
  readonly uid: string;
  /** Of this operation. It is written to members and joiners. */
  readonly epoch: number;
  readonly operationId: string;
  /** A check holds no lock, so it may write at the same time as another operation: its epoch has a place of its own. */
  readonly isCheck: boolean;
  readonly joiners: readonly Shard[];
  readonly members: readonly IdentifiedMember[];
  /** Shards that are no members. They may bear no mark of another cluster, and none of a member. */
  readonly leftovers: readonly ShardAddress[];
}

export interface IdentifiedMember {
  readonly shard: Shard;
  /** The last epoch that was recorded for it; null when none ever was. */
  readonly epoch: number | null;
  readonly role: MemberRole | null;
}

export interface ReleaseInput {
  readonly uid: string;
  readonly shards: readonly Shard[];
  /** Only a claim of this operation goes. Null: the mark of a member goes, whoever claimed it. */
  readonly operationId: string | null;
}
