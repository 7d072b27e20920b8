/**
 * Every operation begins by asking its shards who they are (activities/preflight/identify-shards.ts).
 *
 * Crash: a claim finds itself again, and an epoch is never lowered.
 */
import { uuid4 } from '@temporalio/workflow';
import type { ClusterAnswer } from '../../contract/cluster';
import type { IdentifyInput, MemberRole } from '../../contract/identity';
import { withGrpcUrls } from '../../domain/members';
import type { Shard, ShardMap } from '../../domain/shard-map';
import type { OperationRun } from '../operation/run';
import { applyTransition } from '../operation/transition';

/** For the transition with which an operation begins: the cluster takes it when it has none. */
export function broughtUid(): { uid: string } {
  return { uid: uuid4() };
}

/** The map as operations use it: with what the cluster knows of its shards beside it. */
export function mapForMove({ map, members = {} }: ClusterAnswer): ShardMap {
  return { ...map, shards: withGrpcUrls(map.shards, members) };
}

/** Also before anything was claimed: an undo must know what may have been. */
export function rememberIdentity(run: OperationRun, { identity, lock, epoch }: ClusterAnswer): void {
  const { state } = run;
  if (identity.uid === null) return;
  const claimedBy = lock?.origin ?? state.progress.operationId;
  state.identity ??= { clusterUid: identity.uid, epoch, claimedBy, mayHaveClaimed: lock?.kind === 'grow' };
}

type Parties = Pick<IdentifyInput, 'joiners' | 'leftovers' | 'isCheck'> & {
  readonly members: readonly Shard[];
  readonly roleOf: (shard: Shard) => MemberRole | null;
};

/** Adopts, claims, and writes the epoch. @throws ApplicationFailure with a DomainErrorCode: a shard is not the one it is taken for */
export async function identifyShards(run: OperationRun, answer: ClusterAnswer, parties: Parties): Promise<void> {
  await recordEpochs(run, await askShards(run, answer, parties));
}

type Epochs = Readonly<Record<string, number>>;

/** The first half of `identifyShards`. Null: the cluster has no identity. @throws as that does */
export async function askShards(run: OperationRun, answer: ClusterAnswer, parties: Parties): Promise<Epochs | null> {
  const { state } = run;
  rememberIdentity(run, answer);
  const { identity } = state;
  if (identity === null) return null;
  const { joiners, leftovers, isCheck, roleOf } = parties;
  const members = parties.members.map((shard) => {
    const { epoch = null } = answer.members?.[shard.id] ?? {};
    return { shard, epoch, role: roleOf(shard) };
  });
  const input: IdentifyInput = {
    cluster: run.cluster,
    uid: identity.clusterUid,
    epoch: identity.epoch,
    operationId: identity.claimedBy,
    isCheck,
    joiners,
    members,
    leftovers,
  };
  const looking = 'asking every shard whose it is';
  const shards = members.length + joiners.length + leftovers.length;
  const { epochs } = run.waits.noted(
    await run.persist(looking, () =>
      run.activities.identity('ask every shard whose it is', shards).identifyShards(input),
    ),
  );
  return epochs;
}

/** The second half. */
export async function recordEpochs(run: OperationRun, epochs: Epochs | null): Promise<void> {
  if (epochs !== null) await applyTransition(run, 'remember the epochs', { type: 'recordEpochs', epochs });
}
