import { createHash } from 'node:crypto';
import { Context } from '@temporalio/activity';
import { DomainError, type DomainErrorCode } from '../../domain/errors';
import type { ShardAddress } from '../../domain/shard-map';
import type { CoordinatorActivities } from '../../contract/activities';
import type { MayWriteLate } from '../../contract/move';
import { findLeaders } from '../frame/leaders';
import { inParallel } from '../frame/in-parallel';
import { dropProbes } from '../collections/drop-probes';
import type { ActivityScope } from '../frame/run-activity';

/** A shard as a refusal names it. */
export interface Member {
  readonly address: ShardAddress;
  readonly name: string;
}

const SHARDS_AT_ONCE = 16;

/**
 * INV-5. One process under two addresses (a host name and its IP) looks like two shards. A move from one to the other
 * would then delete the points where it put them. So each shard of `probed` gets a collection for a moment. No shard of
 * `members` may show the collection of another one.
 * @throws DomainError `code` when one does
 */
export async function refuseAliases(
  scope: ActivityScope,
  { probed, members, code }: { probed: readonly Member[]; members: readonly Member[]; code: DomainErrorCode },
): Promise<void> {
  // There is no other shard.
  if (members.length < 2) return;
  const { attempt, shards } = scope;
  const probes = probed.map((member) => ({ member, client: shards.client(member.address), name: nameOf(member) }));
  try {
    await inParallel(probes, SHARDS_AT_ONCE, async ({ client, name }) => {
      const schema = JSON.stringify({ name, dim: 2, metric: 'l2', index: 'hnsw' });
      await attempt.write((ctx) => client.createCollection(schema, ctx));
    });
    await inParallel(members, SHARDS_AT_ONCE, async (member) => {
      const shown = await shards.client(member.address).listInternalCollections(attempt.reading);
      const other = probes.find(
        (probe) =>
          probe.member.address.primary_url !== member.address.primary_url &&
          shown.some(({ name }) => name === probe.name),
      );
      if (other !== undefined) throw new DomainError(code, aliasText(other.member, member));
    });
  } finally {
    await inParallel(probes, SHARDS_AT_ONCE, async ({ client, name }) => {
      await attempt.write((ctx) => client.dropCollection(name, ctx));
    });
  }
}

/** The same name in every attempt of one activity, so that the next attempt removes what a dead one left. */
function nameOf({ address }: Member): string {
  const { workflowExecution, activityId } = Context.current().info;
  const of = `${workflowExecution?.runId ?? ''} ${activityId} ${address.primary_url}`;
  return `coordinator-probe-${createHash('sha256').update(of).digest('hex').slice(0, 16)}`;
}

function aliasText(one: Member, other: Member): string {
  return (
    `expected ${one.name} and ${other.name} to be two shards, but what is created on the one appears on the other: ` +
    'they are one process under two addresses, or one is a router; give each shard once, by its own address'
  );
}

type AliasInput = Parameters<CoordinatorActivities['refuseAliasesInMap']>[0];

/** Before a repair removes a copy: the copy must not be the point itself, seen through another address. */
export async function refuseAliasesInMap(scope: ActivityScope, input: AliasInput): Promise<MayWriteLate> {
  const members = [
    ...input.shards.map((shard) => ({ address: shard, name: `shard ${shard.id} (${shard.primary_url})` })),
    ...input.leftovers.map((address) => ({ address, name: `the leftover ${address.primary_url}` })),
  ];
  await findLeaders(scope, [...input.shards, ...input.leftovers]);
  const { shards } = scope;
  await inParallel(members, SHARDS_AT_ONCE, ({ address }) => dropProbes(scope, shards.client(address)));
  await refuseAliases(scope, { probed: members, members, code: 'ShardAlreadyInMap' });
  return { lateWritesUntilMs: scope.attempt.lateWritesUntilMs };
}
