import fc from 'fast-check';
import type { DomainError } from '../../src/domain/errors';
import {
  addByHolder,
  describePass,
  isClean,
  NOTHING_FOUND,
  withCollection,
  type CollectionFindings,
  type FindingsByHolder,
} from '../../src/domain/findings';
import { FINDING_ROWS_MAX, FINDING_SAMPLES_MAX } from '../../src/domain/limits';
import { requireParties } from '../../src/domain/repair-request';

const counts = fc.record({
  points: fc.nat(),
  agreeing: fc.nat(),
  differing: fc.nat(),
  onlyHere: fc.nat(),
  conflicting: fc.nat(),
});
const byHolder: fc.Arbitrary<FindingsByHolder> = fc.dictionary(fc.constantFrom('0', '1', '2', 'http://old'), counts);
const collection = (change: Partial<CollectionFindings> = {}): CollectionFindings => ({
  collection: 'docs',
  notCompared: null,
  missingOn: [],
  otherSchemaOn: [],
  points: 0,
  byHolder: {},
  ...change,
});

describe('findings', () => {
  it('of two segments add up to the same in either order, and lose nothing', () => {
    fc.assert(
      fc.property(byHolder, byHolder, (a, b) => {
        const sum = addByHolder(a, b);
        expect(sum).toEqual(addByHolder(b, a));
        for (const holder of Object.keys({ ...a, ...b })) {
          expect(sum[holder]?.onlyHere).toBe((a[holder]?.onlyHere ?? 0) + (b[holder]?.onlyHere ?? 0));
        }
      }),
    );
  });

  it('list collections as far as there is room, and count all of them', () => {
    const many = FINDING_ROWS_MAX + 5;
    const held = { points: 2, agreeing: 0, differing: 0, onlyHere: 1, conflicting: 0 };
    let pass = NOTHING_FOUND;
    for (let n = 0; n < many; n++) pass = withCollection(pass, collection({ points: 2, byHolder: { '0': held } }), []);
    expect(pass.totals).toMatchObject({ collections: many, points: 2 * many, onlyHere: many });
    expect(pass.collections).toHaveLength(FINDING_ROWS_MAX / 2);
  });

  it('keep the first samples, and no more than there is room for', () => {
    const samples = Array.from({ length: 70 }, (_, offset) => ({
      collection: 'docs',
      finding: 'agreeing' as const,
      holder: '0',
      offset,
    }));
    const pass = withCollection(withCollection(NOTHING_FOUND, collection(), samples), collection(), samples);
    expect(pass.samples).toEqual([...samples, ...samples].slice(0, FINDING_SAMPLES_MAX));
  });

  it.each<[string, Partial<CollectionFindings>]>([
    ['a collection is missing somewhere', { missingOn: ['1'] }],
    ['a collection could not be compared', { notCompared: 'multivector' }],
    ...(['agreeing', 'differing', 'onlyHere', 'conflicting'] as const).map(
      (field): [string, Partial<CollectionFindings>] => [
        `a shard holds a point that it does not own (${field})`,
        { byHolder: { '0': { points: 1, agreeing: 0, differing: 0, onlyHere: 0, conflicting: 0, [field]: 1 } } },
      ],
    ),
  ])('are not clean, and say so, when %s', (_, change) => {
    const clean = withCollection(NOTHING_FOUND, collection({ points: 5 }), []);
    expect([isClean(clean), describePass(clean)]).toEqual([true, 'everything is where it belongs']);
    const wrong = withCollection(clean, collection(change), []);
    expect(isClean(wrong)).toBe(false);
    expect(describePass(wrong)).toMatch(/^1 /);
  });
});

describe('the request of a check or a repair', () => {
  const map = {
    version: 1,
    shards: [{ id: 3, primary_url: 'http://s3', replica_urls: ['http://r3'] }],
    joining: [],
    leaving: [],
  };
  const leftover = { primary_url: 'http://old', replica_urls: [] };
  const code = (leftovers: (typeof leftover)[], prefer: string[]): string => {
    try {
      requireParties(map, { leftovers, prefer });
      return 'accepted';
    } catch (error) {
      return (error as DomainError).code;
    }
  };

  it('may name leftovers that are not in the map, and may prefer them and shards of the map', () => {
    expect(code([leftover], ['3', 'http://old'])).toBe('accepted');
  });

  it('may not name a shard of the map as a leftover, by none of its addresses', () => {
    expect(code([{ primary_url: 'http://r3', replica_urls: [] }], [])).toBe('ShardAlreadyInMap');
  });

  it('may not name a leftover twice, and may not prefer a shard that is not read', () => {
    expect(code([leftover, leftover], [])).toBe('InvalidRequest');
    expect(code([], ['http://old'])).toBe('InvalidRequest');
    expect(code([], ['4'])).toBe('InvalidRequest');
  });
});
