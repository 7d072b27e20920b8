import * as fc from 'fast-check';
import { IdHasher, shardSalt } from '../../src/domain/hrw';
import vectors from './hrw-vectors.json';

const MASK = (1n << 64n) - 1n;
const u64 = (high: number, low: number): bigint => (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);

function referenceHash(id: Uint8Array): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of id) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & MASK;
  return hash;
}

function referenceScore(id: Uint8Array, shardId: bigint): bigint {
  let x = (referenceHash(id) + shardId * 0x9e3779b97f4a7c15n) & MASK;
  x = ((x ^ (x >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK;
  x = ((x ^ (x >> 27n)) * 0x94d049bb133111ebn) & MASK;
  return x ^ (x >> 31n);
}

function scoreOf(id: Uint8Array, shardId: number): bigint {
  const hasher = new IdHasher();
  const salt = shardSalt(shardId);
  hasher.hash(id);
  hasher.score(salt.high, salt.low);
  return u64(hasher.scoreHigh, hasher.scoreLow);
}

const anyId = fc.uint8Array({ maxLength: 80 });
const anyShardId = fc.oneof(fc.maxSafeNat(), fc.nat(20), fc.constantFrom(2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1));

describe('IdHasher', () => {
  it.each(vectors.scores)('scores "$id" as Quiver does on every shard id of the vectors', ({ id, score }) => {
    const scores = Object.keys(score).map((shardId) => [shardId, String(scoreOf(Buffer.from(id), Number(shardId)))]);
    expect(Object.fromEntries(scores)).toEqual(score);
  });

  it('hashes any bytes as FNV-1a does in exact u64 arithmetic', () => {
    const hasher = new IdHasher();
    fc.assert(
      fc.property(anyId, (id) => {
        hasher.hash(id);
        expect(u64(hasher.hashHigh, hasher.hashLow)).toBe(referenceHash(id));
      }),
      { numRuns: 2_000 },
    );
  });

  it('scores any bytes on any shard id up to 2^53 - 1 as exact u64 arithmetic does', () => {
    fc.assert(
      fc.property(anyId, anyShardId, (id, shardId) => {
        expect(scoreOf(id, shardId)).toBe(referenceScore(id, BigInt(shardId)));
      }),
      { numRuns: 5_000 },
    );
  });
});
