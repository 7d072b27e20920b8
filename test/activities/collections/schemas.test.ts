import fc from 'fast-check';
import { isAlike, shownSchema, type FullCollection } from '../../../src/activities/collections/full-list';
import { schemaDifference } from '../../../src/activities/collections/schemas';
import type { Shard } from '../../../src/domain/shard-map';

type Told = readonly [schema: string, binary: boolean | null];

const collection = (name: string, [schema, binary]: Told): FullCollection =>
  ({ name, schema, binary, unreadable: null, dim: 4, metric: 'l2', index: 'disk_vamana', count: 0 }) as FullCollection;
const shardsOf = (count: number): Shard[] =>
  Array.from({ length: count }, (_, id) => ({ id, primary_url: `http://s${id}`, replica_urls: [] }));

/** The first shard that differs from one before it, and the first one that it differs from. */
function differing(told: readonly FullCollection[]): readonly [number, number] | null {
  for (const [second, each] of told.entries()) {
    const first = told.slice(0, second).findIndex((before) => !isAlike(before, each));
    if (first >= 0) return [first, second];
  }
  return null;
}

it('names the first two shards that differ, also where one of them tells less than the others', () => {
  const told = fc.tuple(fc.constantFrom('{"a":1}', '{"b":2}'), fc.constantFrom(true, false, null));
  fc.assert(
    fc.property(fc.array(told, { minLength: 1, maxLength: 6 }), (each) => {
      const all = each.map((one) => collection('docs', one));
      const difference = schemaDifference(
        shardsOf(all.length),
        all.map((one) => [one]),
      );
      const expected = differing(all);
      if (expected === null) return expect(difference).toBeNull();
      const [first, second] = expected;
      expect(difference).toContain(`it is ${shownSchema(all[first])} on shard ${first} and `);
      expect(difference).toContain(`${shownSchema(all[second])} on shard ${second}:`);
    }),
  );
});

it('compares 200 collections of 1,000 shards within the time of a heartbeat', () => {
  const names = Array.from({ length: 200 }, (_, n) => `collection-${n}`);
  const lists = shardsOf(1_000).map(() => names.map((name) => collection(name, ['{"a":1}', null])));
  const begunMs = performance.now();
  expect(schemaDifference(shardsOf(1_000), lists)).toBeNull();
  expect(performance.now() - begunMs).toBeLessThan(2_000);
});
