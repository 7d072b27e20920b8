/**
 * Who the shards of an operation are. Members first, then joiners: so a joiner that is a member under a second address
 * shows that member's mark.
 */
import { samplesOf } from '../../domain/bounded-text';
import { DomainError } from '../../domain/errors';
import {
  ADOPTED,
  describeIdentity,
  identityRefusal,
  joinerRefusal,
  judgeIdentity,
  type SeenIdentity,
  type ShardIdentity,
} from '../../domain/shard-identity';
import type { Shard, ShardAddress } from '../../domain/shard-map';
import { ShardError } from '../../shards/errors';
import type { CallContext, ShardClient } from '../../shards/http/shard-client';
import { claim, dropIdentity, readIdentity, writeEpoch } from '../../shards/http/shard-identity';
import type { CoordinatorActivities } from '../../contract/activities';
import type { IdentifiedMember, IdentifyInput, ReleaseInput } from '../../contract/identity';
import type { MayWriteLate } from '../../contract/move';
import { inParallel } from '../frame/in-parallel';
import type { ActivityScope } from '../frame/run-activity';
import { onceMoreIfCut, refusalOf, type Role } from './checks';
import { requireReplicas } from './replicas';

const SHARDS_AT_ONCE = 16;
/** A REST call waits for all of them. */
const LOOK_TIMEOUT_MS = 3_000;

type Identified = Awaited<ReturnType<CoordinatorActivities['identifyShards']>>;

/** @throws DomainError when a shard is not what it is taken for. Then its claims on joiners are gone again (INV-7). */
export async function identifyShards(scope: ActivityScope, input: IdentifyInput): Promise<Identified> {
  try {
    await inParallel(input.members, SHARDS_AT_ONCE, (member) => identifyMember(scope, input, member));
    await inParallel(input.leftovers, SHARDS_AT_ONCE, (leftover) => refuseForeign(scope, input, leftover));
    // One after the other: of two addresses of one process the second is named.
    for (const joiner of input.joiners) await claimJoiner(scope, input, joiner);
    await inParallel(participantsOf(input), SHARDS_AT_ONCE, async ({ shard, role }) => {
      const client = scope.shards.client(shard);
      const write = (ctx: CallContext) => writeEpoch(client, input.epoch, ctx, input);
      await told(role, shard, () => scope.attempt.write((ctx) => onceMoreIfCut(ctx, write)));
    });
  } catch (error) {
    if (error instanceof DomainError) throw await afterGivingBack(scope, input, error);
    throw error;
  }
  const epoch = input.isCheck ? 0 : input.epoch;
  const epochs = Object.fromEntries(participantsOf(input).map(({ shard }) => [shard.id, epoch]));
  return { epochs, lateWritesUntilMs: scope.attempt.lateWritesUntilMs };
}

function participantsOf({ members, joiners }: IdentifyInput): readonly { shard: Shard; role: Role | null }[] {
  return [...members, ...joiners.map((shard) => ({ shard, role: 'joiner' as const }))];
}

/** INV-8: what a member holds is believed only while it is the member that it was. */
async function identifyMember(scope: ActivityScope, input: IdentifyInput, member: IdentifiedMember): Promise<void> {
  const { shard, role } = member;
  const client = scope.shards.client(shard);
  const expected = { clusterUid: input.uid, shardId: shard.id, epoch: member.epoch };
  let seen = await told(role, shard, () => look(scope, client));
  if (judgeIdentity(expected, seen) === 'absent') {
    await told(role, shard, () => claimOrLeave(scope, client, identityOf(input, shard, ADOPTED)));
    // Another address of the same process may have been faster.
    seen = await told(role, shard, () => look(scope, client));
  }
  refuseStranger(input, { member, seen });
}

/** @throws DomainError ShardLostData, WrongShard, ShardOfAnotherCluster */
function refuseStranger(
  input: IdentifyInput,
  { member: { shard, epoch }, seen }: { member: IdentifiedMember; seen: SeenIdentity | null },
): void {
  const expected = { clusterUid: input.uid, shardId: shard.id, epoch };
  const judged = judgeIdentity(expected, seen);
  if (judged === 'same') return;
  const where = `shard ${shard.id} (${shard.primary_url})${otherAddress(input, seen)}`;
  throw identityRefusal(judged === 'absent' ? 'ShardLostData' : judged, { where, expected, seen });
}

/** A claim that another one was faster than is no failure yet: what the shard shows then says more. */
async function claimOrLeave({ attempt }: ActivityScope, client: ShardClient, identity: ShardIdentity): Promise<void> {
  try {
    await attempt.write((ctx) => claim(client, identity, ctx));
  } catch (error) {
    const isTaken = error instanceof DomainError && error.code !== 'IdentityRefused';
    if (!isTaken) throw error;
  }
}

async function claimJoiner(scope: ActivityScope, input: IdentifyInput, joiner: Shard): Promise<void> {
  const client = scope.shards.client(joiner);
  const wanted = identityOf(input, joiner, input.operationId);
  const where = `the joiner ${joiner.primary_url}`;
  const before = await lookAtJoiner(scope, joiner);
  if (before !== null) refuseTaken(input, wanted, before, where);
  await told('joiner', joiner, async () => {
    try {
      await scope.attempt.write((ctx) => claim(client, wanted, ctx));
    } catch (error) {
      if (!(error instanceof DomainError) || error.code === 'IdentityRefused') throw error;
      const seen = await look(scope, client);
      if (seen !== null) refuseTaken(input, wanted, seen, where);
      throw error;
    }
  });
  await requireReplicas(scope, { shard: joiner, expected: wanted });
}

/** A router does not list collections. Behind one, a claim would mark every shard of a cluster. */
function lookAtJoiner(scope: ActivityScope, joiner: Shard): Promise<SeenIdentity | null> {
  const client = scope.shards.client(joiner);
  return told('joiner', joiner, async () => {
    await onceMoreIfCut(scope.attempt.readingFor(LOOK_TIMEOUT_MS), async (ctx) => {
      await client.findLeader(ctx);
      await client.listInternalCollections(ctx);
    });
    return look(scope, client);
  });
}

/**
 * What `identifyShards` would find, as far as a look tells. It writes nothing. So two joiners that are one process, and
 * further addresses of a joiner, are not seen through. @throws DomainError as there
 */
export async function lookAtShards(scope: ActivityScope, input: IdentifyInput): Promise<{ unmarked: number }> {
  let unmarked = 0;
  await inParallel(input.members, SHARDS_AT_ONCE, async (member) => {
    const { shard, epoch, role } = member;
    const seen = await told(role, shard, () => look(scope, scope.shards.client(shard)));
    // The operation would adopt it.
    if (seen === null && epoch === null) unmarked += 1;
    else refuseStranger(input, { member, seen });
  });
  await inParallel(input.leftovers, SHARDS_AT_ONCE, (leftover) => refuseForeign(scope, input, leftover));
  for (const joiner of input.joiners) {
    const seen = await lookAtJoiner(scope, joiner);
    if (seen !== null)
      refuseTaken(input, identityOf(input, joiner, input.operationId), seen, `the joiner ${joiner.primary_url}`);
  }
  return { unmarked };
}

/** @throws DomainError ShardAlreadyInMap with both addresses, ShardClaimed, ShardOfAnotherCluster */
function refuseTaken(input: IdentifyInput, wanted: ShardIdentity, seen: SeenIdentity, where: string): void {
  const refusal = joinerRefusal(wanted, seen, where);
  if (refusal === null) return;
  throw aliasRefusal(input, seen, where) ?? refusal;
}

async function refuseForeign(scope: ActivityScope, input: IdentifyInput, leftover: ShardAddress): Promise<void> {
  const client = scope.shards.client(leftover);
  await client.findLeader(scope.attempt.reading);
  await client.listInternalCollections(scope.attempt.reading);
  const seen = await look(scope, client);
  if (seen === null) return;
  const where = `the leftover ${leftover.primary_url}`;
  const alias = aliasRefusal(input, seen, where);
  if (alias !== null) throw alias;
  if (seen.identity.clusterUid === input.uid) return;
  throw new DomainError(
    'ShardOfAnotherCluster',
    `expected ${where} to be a former shard of this cluster, it shows ${describeIdentity(seen)}: leave it out`,
  );
}

/** One process under two addresses shows one mark twice. */
function aliasRefusal(input: IdentifyInput, seen: SeenIdentity, where: string): DomainError | null {
  if (seen.identity.clusterUid !== input.uid) return null;
  const member = input.members.find(({ shard }) => shard.id === seen.identity.shardId)?.shard;
  const joiner = input.joiners.find(
    ({ id }) => id === seen.identity.shardId && seen.identity.operationId === input.operationId,
  );
  const name = member === undefined ? 'the joiner' : `shard ${member.id}`;
  const other = member ?? joiner;
  if (other === undefined) return null;
  return new DomainError(
    'ShardAlreadyInMap',
    `expected ${where} and ${name} (${other.primary_url}) to be two shards, but both show ${describeIdentity(seen)}: ` +
      'they are one process under two addresses; give each shard once, by its own address',
  );
}

function otherAddress(input: IdentifyInput, seen: SeenIdentity | null): string {
  if (seen?.identity.clusterUid !== input.uid) return '';
  const other = input.members.find(({ shard }) => shard.id === seen.identity.shardId)?.shard;
  return other === undefined ? '' : `, and not shard ${other.id} (${other.primary_url}),`;
}

function identityOf({ uid, cluster }: IdentifyInput, { id }: Shard, operationId: string): ShardIdentity {
  return { clusterUid: uid, cluster, shardId: id, operationId };
}

/** Reads from the leader: a replica may lag. */
async function look({ attempt }: ActivityScope, client: ShardClient): Promise<SeenIdentity | null> {
  return onceMoreIfCut(attempt.readingFor(LOOK_TIMEOUT_MS), async (ctx) => {
    await client.findLeader(ctx);
    return readIdentity(client, ctx);
  });
}

/** A shard that fails is told as its part in the operation has it. */
async function told<T>(role: Role | null, { primary_url: url }: ShardAddress, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (role === null || !(error instanceof ShardError)) throw error;
    throw refusalOf(error, role, { url, expected: 'show whose shard it is' });
  }
}

/** The error, with what could not be taken back. */
async function afterGivingBack(scope: ActivityScope, input: IdentifyInput, error: DomainError): Promise<DomainError> {
  const left: string[] = [];
  for (const { id, primary_url, replica_urls } of input.joiners) {
    const client = scope.shards.client({ primary_url, replica_urls });
    const wanted = { clusterUid: input.uid, shardId: id, operationId: input.operationId };
    try {
      // A joiner that did not answer before was not claimed either.
      if ((await look(scope, client)) === null) continue;
      await scope.attempt.write((ctx) => dropIdentity(client, wanted, ctx));
    } catch (failure) {
      if (failure instanceof ShardError && failure.outcomeUnknown) left.push(primary_url);
    }
  }
  if (left.length === 0) return error;
  return new DomainError(error.code, `${error.message}; ${samplesOf(left)} may still bear the claim of this operation`);
}

/** Takes off what `identifyShards` put there. Every other mark stays. */
export async function releaseShards({ attempt, shards }: ActivityScope, input: ReleaseInput): Promise<MayWriteLate> {
  const { uid, operationId } = input;
  await inParallel(input.shards, SHARDS_AT_ONCE, async (shard) => {
    const client = shards.client(shard);
    await client.findLeader(attempt.readingFor(LOOK_TIMEOUT_MS));
    const ours = { clusterUid: uid, shardId: shard.id, ...(operationId === null ? {} : { operationId }) };
    await attempt.write((ctx) => dropIdentity(client, ours, ctx));
  });
  return { lateWritesUntilMs: attempt.lateWritesUntilMs };
}
