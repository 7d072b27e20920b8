import { createHash } from 'node:crypto';
import { DomainError } from '../domain/errors';
import type { ShardAddress } from '../domain/shard-map';
import type { CoordinatorActivities, MayWriteLate } from './contract';
import { findLeaders } from './find-leaders';
import type { ActivityScope } from './run-activity';

type ProbeInput = Parameters<CoordinatorActivities['probeLeftovers']>[0];

/**
 * INV-5: a "leftover" that is a shard of the map under another name, or a router in front of them, would be emptied of what the owners
 * hold, and the owners with it. An attempt that died half-way left its collection there; the next one removes it.
 */
export async function probeLeftovers(scope: ActivityScope, input: ProbeInput): Promise<MayWriteLate> {
  await findLeaders(scope, [...input.shards, ...input.leftovers]);
  const name = `coordinator-probe-${createHash('sha256').update(input.operationId).digest('hex').slice(0, 16)}`;
  for (const leftover of input.leftovers) await probe(scope, input, { leftover, name });
  return { lateWritesUntilMs: scope.attempt.lateWritesUntilMs };
}

async function probe(
  { attempt, shards }: ActivityScope,
  input: ProbeInput,
  { leftover, name }: { leftover: ShardAddress; name: string },
): Promise<void> {
  const client = shards.client(leftover);
  const schema = JSON.stringify({ name, dim: 2, metric: 'l2', index: 'hnsw' });
  await attempt.write((ctx) => client.createCollection(schema, ctx));
  const found = await Promise.all(
    input.shards.map((shard) => shards.client(shard).getCollection(name, attempt.reading)),
  );
  await attempt.write((ctx) => client.dropCollection(name, ctx));
  const same = input.shards.find((_, index) => found[index] !== null);
  if (same === undefined) return;
  throw new DomainError(
    'InvalidRequest',
    `expected the leftover ${leftover.primary_url} to be a shard that is not in the map, but what is created on it appears on shard ${same.id}: ` +
      'it is a shard of the map under another address, or a router, so leave it out',
  );
}
