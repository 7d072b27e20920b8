import * as fc from 'fast-check';
import { IdHasher } from '../../src/domain/hrw';
import { NO_DONOR, PlacementPlan } from '../../src/domain/placement-plan';
import type { PlacementSpec } from '../../src/domain/shard-map';
import vectors from './hrw-vectors.json';

const MASK = (1n << 64n) - 1n;

/** Placement once more, in the plainest way. */
function referenceScore(id: Uint8Array, shardId: number): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of id) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & MASK;
  let x = (hash + BigInt(shardId) * 0x9e3779b97f4a7c15n) & MASK;
  x = ((x ^ (x >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK;
  x = ((x ^ (x >> 27n)) * 0x94d049bb133111ebn) & MASK;
  return x ^ (x >> 31n);
}

function winner(id: Uint8Array, shards: readonly number[]): number | null {
  let [best, bestScore] = [null as number | null, -1n];
  for (const shard of shards) {
    const score = referenceScore(id, shard);
    if (score >= bestScore) [best, bestScore] = [shard, score];
  }
  return best;
}

function reference(id: Uint8Array, spec: PlacementSpec): { owner: number | null; donor: number | null } {
  const isLeaving = (shard: number): boolean => spec.leaving.includes(shard);
  const isJoining = (shard: number): boolean => spec.joining.includes(shard);
  const all = winner(id, spec.shards);
  const staying = spec.shards.filter((shard) => !isLeaving(shard));
  const owner = winner(id, staying.length === 0 ? spec.shards : staying);
  if (all !== null && isLeaving(all)) return { owner, donor: all };
  if (owner === null || !isJoining(owner)) return { owner, donor: null };
  return {
    owner,
    donor: winner(
      id,
      staying.filter((shard) => !isJoining(shard)),
    ),
  };
}

const plan = (shards: number[], joining: number[] = [], leaving: number[] = []): PlacementPlan =>
  new PlacementPlan({ shards, joining, leaving });

const anyId = fc.string({ unit: 'binary', maxLength: 30 }).map((text) => Buffer.from(text));
const anyShardId = fc.oneof(fc.nat(30), fc.maxSafeNat());
const anySpec: fc.Arbitrary<PlacementSpec> = fc
  .uniqueArray(anyShardId, { minLength: 1, maxLength: 12 })
  .chain((shards) =>
    fc.record({ shards: fc.constant(shards), joining: fc.subarray(shards), leaving: fc.subarray(shards) }),
  );

describe('PlacementPlan', () => {
  it.each(vectors.scores)('gives "$id" to the owner that the vectors name', ({ id, owner3, owner5 }) => {
    expect(plan([0, 1, 2]).ownerOf(Buffer.from(id))).toBe(owner3);
    expect(plan([0, 1, 2, 3, 7]).ownerOf(Buffer.from(id))).toBe(owner5);
  });

  it('agrees with exact arithmetic about owner and donor of any id under any placement', () => {
    fc.assert(
      fc.property(anySpec, fc.array(anyId, { minLength: 1, maxLength: 5 }), (spec, ids) => {
        const subject = new PlacementPlan(spec);
        for (const id of ids) {
          const expected = reference(id, spec);
          expect({ owner: subject.ownerOf(id), donor: subject.donorOf(id) }).toEqual(expected);
          subject.locate(id);
          expect([subject.owner, subject.donor]).toEqual([expected.owner, expected.donor ?? NO_DONOR]);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('gives no id a donor while no shard joins or leaves', () => {
    const subject = plan([0, 1, 2, 3]);
    for (const { id } of vectors.scores) expect(subject.donorOf(Buffer.from(id))).toBeNull();
  });

  it('names as donor of what a joining shard will own the owner of before', () => {
    const [before, during] = [plan([0, 1, 2]), plan([0, 1, 2, 3], [3])];
    const moving = vectors.scores.map(({ id }) => Buffer.from(id)).filter((id) => during.ownerOf(id) === 3);
    expect(moving.length).toBeGreaterThan(0);
    for (const id of moving) expect(during.donorOf(id)).toBe(before.ownerOf(id));
  });

  it('names the leaving shard as donor of exactly what it owned before', () => {
    const [before, during] = [plan([0, 1, 2]), plan([0, 1, 2], [], [1])];
    for (const id of vectors.scores.map((vector) => Buffer.from(vector.id))) {
      expect(during.ownerOf(id)).not.toBe(1);
      expect(during.donorOf(id)).toBe(before.ownerOf(id) === 1 ? 1 : null);
    }
  });

  it('keeps the winner among all as owner and donor when every shard is leaving', () => {
    const [before, during] = [plan([0, 1, 2]), plan([0, 1, 2], [], [0, 1, 2])];
    for (const id of vectors.scores.map((vector) => Buffer.from(vector.id))) {
      const owner = before.ownerOf(id);
      expect([during.ownerOf(id), during.donorOf(id)]).toEqual([owner, owner]);
    }
  });

  /** Plans with the scores that the test gives, in map order. */
  function withScores(scores: readonly bigint[], check: () => void): void {
    let turn = 0;
    const score = jest.spyOn(IdHasher.prototype, 'score').mockImplementation(function (this: IdHasher) {
      const next = scores[turn++ % scores.length] ?? 0n;
      [this.scoreHigh, this.scoreLow] = [Number(next >> 32n) | 0, Number(next & 0xffffffffn) | 0];
    });
    try {
      check();
    } finally {
      score.mockRestore();
    }
  }

  it('lets the last shard in map order win when scores are equal', () => {
    withScores([MASK, MASK, MASK], () => {
      expect(plan([5, 9, 3]).ownerOf(Buffer.from('any'))).toBe(3);
      expect(plan([5, 9, 3], [9, 3]).donorOf(Buffer.from('any'))).toBe(5);
    });
  });

  it.each<[bigint[], number]>([
    [[0x7_7fffffffn, 0x7_80000000n, 0x7_00000000n], 9],
    [[0x7_ffffffffn, 0x7_00000001n, 0x7_7fffffffn], 5],
    [[0x7fffffff_ffffffffn, 0x80000000_00000000n, 0x0n], 9],
    [[0x1_00000000n, 0xffffffffn, 0x1_00000001n], 3],
    [[0n, 0n, 0n], 3],
  ])('compares the scores %p as unsigned 64-bit integers', (scores, owner) => {
    withScores(scores, () => expect(plan([5, 9, 3]).ownerOf(Buffer.from('any'))).toBe(owner));
  });

  it.each([[[]], [[2 ** 53]], [[-1]], [[0.5]]])(
    'refuses the shard ids %j, which cannot be placed exactly',
    (shards) => {
      expect(() => plan(shards)).toThrow(expect.objectContaining({ code: 'InvalidRequest' }) as Error);
    },
  );
});
