import { DomainError } from '../../domain/errors';
import { holderOf, type Holder } from '../../domain/findings';
import type { CoordinatorActivities } from '../../contract/activities';
import type { InspectedCollection } from '../../contract/repair';
import { mapInParallel, SHARDS_ASKED_AT_ONCE } from '../frame/in-parallel';
import { findLeaders } from '../frame/leaders';
import type { ActivityScope } from '../frame/run-activity';
import { bodyToCreate, isAlike, listFully, type FullCollection } from './full-list';

type InspectInput = Parameters<CoordinatorActivities['inspectCollections']>[0];
type InspectResult = Awaited<ReturnType<CoordinatorActivities['inspectCollections']>>;

/** One collection, by holder. Shards that lack it are left out. */
interface Found {
  readonly onShards: ReadonlyMap<Holder, FullCollection>;
  readonly onLeftovers: ReadonlyMap<Holder, FullCollection>;
}

/**
 * A shard that does not answer fails the attempt: unknown is not "has none" (INV-8). Nothing is created on leftovers. A
 * collection that only leftovers have is not created either: clients dropped it, or it never was theirs.
 */
export async function inspectCollections(scope: ActivityScope, input: InspectInput): Promise<InspectResult> {
  const { attempt } = scope;
  await findLeaders(scope, [...input.shards, ...input.leftovers]);
  const first = await inspect(scope, input);
  const looksWrong = first.some(({ missingOn, notCompared }) => missingOn.length > 0 || notCompared !== null);
  if (!looksWrong) return { collections: first.map(asTold), created: 0, lateWritesUntilMs: attempt.lateWritesUntilMs };
  await attempt.sleep(input.settleMs);
  const second = await inspect(scope, input);
  const created = input.creates ? await createMissing(scope, input, { first, second }) : 0;
  return { collections: second.map(asTold), created, lateWritesUntilMs: attempt.lateWritesUntilMs };
}

/** With the schema, which creates the collection elsewhere. The schema stays in this activity. */
interface Inspected extends InspectedCollection {
  readonly schema: string;
}

function asTold({ schema: _, ...told }: Inspected): InspectedCollection {
  return told;
}

async function inspect(scope: ActivityScope, input: InspectInput): Promise<Inspected[]> {
  const found = await collectionsOf(scope, input);
  const nowhere = input.collections?.find((name) => !found.has(name));
  if (nowhere !== undefined) {
    throw new DomainError(
      'InvalidRequest',
      `expected collection ${nowhere} on at least one shard, none has it: correct its name, or leave it out`,
    );
  }
  return [...found].map(([collection, on]) => judge(collection, on, input));
}

async function collectionsOf(scope: ActivityScope, input: InspectInput): Promise<Map<string, Found>> {
  const ask = (of: InspectInput['leftovers']): Promise<FullCollection[][]> =>
    mapInParallel(of, SHARDS_ASKED_AT_ONCE, (each) => listFully(scope, each));
  const [ofShards, ofLeftovers] = await Promise.all([ask(input.shards), ask(input.leftovers)]);
  const names = new Set([...ofShards, ...ofLeftovers].flat().map(({ name }) => name));
  const wanted = [...names].filter((name) => input.collections?.includes(name) ?? true).sort();
  const having = (name: string, of: InspectInput['leftovers'], lists: FullCollection[][]): Found['onShards'] => {
    const found = of.map((each, index) => [holderOf(each), lists[index]?.find((one) => one.name === name)] as const);
    return new Map(found.flatMap(([holder, one]) => (one === undefined ? [] : [[holder, one] as const])));
  };
  return new Map(
    wanted.map((name) => [
      name,
      { onShards: having(name, input.shards, ofShards), onLeftovers: having(name, input.leftovers, ofLeftovers) },
    ]),
  );
}

function judge(collection: string, { onShards, onLeftovers }: Found, input: InspectInput): Inspected {
  const all = [...onShards, ...onLeftovers];
  const schema = mostCommon(all.map(([, each]) => each.schema)) ?? '';
  const ofSchema = all.filter(([, each]) => each.schema === schema).map(([, each]) => each.binary);
  const most = { schema, binary: mostCommon(ofSchema.filter((each) => each !== null)) ?? null };
  const alike = all.filter(([, each]) => isAlike(each, most));
  const otherSchemaOn = all.filter(([, each]) => !isAlike(each, most)).map(([holder]) => holder);
  return {
    collection,
    schema: bodyToCreate(alike.map(([, each]) => each)),
    missingOn: input.shards.map(holderOf).filter((holder) => !onShards.has(holder)),
    otherSchemaOn,
    notCompared: reasonNotToCompare({ onShards, onLeftovers }, otherSchemaOn),
    rows: all.reduce((sum, [, { count }]) => sum + count, 0),
  };
}

function reasonNotToCompare(
  { onShards, onLeftovers }: Found,
  otherSchemaOn: readonly Holder[],
): InspectedCollection['notCompared'] {
  if (otherSchemaOn.length > 0) return 'other_schema';
  if ([...onShards.values(), ...onLeftovers.values()].some(({ unreadable }) => unreadable !== null)) {
    return 'multivector';
  }
  return onShards.size === 0 ? 'only_on_leftovers' : null;
}

/** Among equally common values the first wins: it comes from the shard that is longest in the map. */
function mostCommon<T extends string | boolean>(values: readonly T[]): T | undefined {
  const counts = new Map<T, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  const most = Math.max(...counts.values());
  return values.find((value) => counts.get(value) === most);
}

/**
 * Creates what was missing at both looks and is alike everywhere else. A client that created it meanwhile is no error.
 */
async function createMissing(
  { attempt, shards }: ActivityScope,
  input: InspectInput,
  { first, second }: { first: readonly Inspected[]; second: readonly Inspected[] },
): Promise<number> {
  let created = 0;
  for (const { collection, missingOn, notCompared, schema } of second) {
    if (notCompared !== null && notCompared !== 'multivector') continue;
    const before = first.find((each) => each.collection === collection);
    for (const shard of input.shards) {
      const holder = holderOf(shard);
      if (!missingOn.includes(holder) || before?.missingOn.includes(holder) !== true) continue;
      const outcome = await attempt.write((ctx) => shards.client(shard).createCollection(schema, ctx));
      if (outcome === 'created') created += 1;
    }
  }
  return created;
}
