import type { Shard } from '../../domain/shard-map';
import type { CoordinatorActivities } from '../../contract/activities';
import { findLeaders } from '../frame/leaders';
import { mapInParallel, SHARDS_ASKED_AT_ONCE } from '../frame/in-parallel';
import type { ActivityScope } from '../frame/run-activity';

type OrphansInput = Parameters<CoordinatorActivities['removeOrphanCollections']>[0];
type OrphansResult = Awaited<ReturnType<CoordinatorActivities['removeOrphanCollections']>>;

/** A collection of a receiver that no donor has. */
interface Orphan {
  readonly receiver: Shard;
  readonly name: string;
}

/**
 * Looks twice, because a client that creates a collection reaches the shards one after the other. A donor that does not
 * answer fails the attempt: unknown is not "has none" (INV-8).
 */
export async function removeOrphanCollections(scope: ActivityScope, input: OrphansInput): Promise<OrphansResult> {
  const { attempt, shards } = scope;
  await findLeaders(scope, [...input.donors, ...input.receivers]);
  const first = await findOrphans(scope, input);
  if (first.length === 0) return { removed: 0, lateWritesUntilMs: attempt.lateWritesUntilMs };
  await attempt.sleep(input.settleMs);
  const second = await findOrphans(scope, input);
  const orphans = second.filter((now) =>
    first.some((before) => before.receiver.id === now.receiver.id && before.name === now.name),
  );
  let removed = 0;
  for (const { receiver, name } of orphans) {
    if (await attempt.write((ctx) => shards.client(receiver).dropCollection(name, ctx))) removed += 1;
  }
  return { removed, lateWritesUntilMs: attempt.lateWritesUntilMs };
}

async function findOrphans({ attempt, shards }: ActivityScope, input: OrphansInput): Promise<Orphan[]> {
  const names = async (shard: Shard): Promise<string[]> => {
    const collections = await shards.client(shard).listCollections(attempt.reading);
    return collections.map((collection) => collection.name);
  };
  // The receivers are read first: what a donor got since then is no orphan.
  const ofReceivers = await mapInParallel(input.receivers, SHARDS_ASKED_AT_ONCE, names);
  const ofDonors = new Set((await mapInParallel(input.donors, SHARDS_ASKED_AT_ONCE, names)).flat());
  return input.receivers.flatMap((receiver, index) => {
    const keep = input.keep[index] ?? [];
    const lost = (ofReceivers[index] ?? []).filter((name) => !ofDonors.has(name) && !keep.includes(name));
    return lost.map((name) => ({ receiver, name }));
  });
}
