import fc from 'fast-check';
import {
  addJoining,
  addOwners,
  normalizeShardUrl,
  promote,
  remove,
  shardAtAddress,
  type Shard,
  type ShardMap,
} from '../../src/domain/shard-map';
import { codeOf } from '../support/domain-builders';

const shard = (id: number): Shard => ({ id, primary_url: `http://s${id}:6333`, replica_urls: [] });
const map = (change: Partial<ShardMap> = {}): ShardMap => ({
  version: 4,
  shards: [shard(0), shard(1)],
  joining: [],
  leaving: [],
  ...change,
});

describe('a change of the map', () => {
  it('is one version more and leaves the map before as it was', () => {
    const before = map();
    const frozen = JSON.stringify(before);
    expect(addOwners(before, [shard(2)]).version).toBe(5);
    expect(addJoining(before, [shard(2)])).toEqual({
      version: 5,
      shards: [shard(0), shard(1), shard(2)],
      joining: [2],
      leaving: [],
    });
    expect(promote(map({ joining: [1] }), [1])).toEqual({ ...map(), version: 5 });
    expect(remove(before, [0])).toEqual({ version: 5, shards: [shard(1)], joining: [], leaving: [] });
    expect(JSON.stringify(before)).toBe(frozen);
  });

  it('promotes several shards in one version', () => {
    const joining = addJoining(map(), [shard(2), shard(3)]);
    expect(promote(joining, [2, 3])).toMatchObject({ version: 6, joining: [] });
  });

  it('takes a removed shard out of joining and leaving too', () => {
    const busy = map({ shards: [shard(0), shard(1), shard(2)], joining: [1], leaving: [2] });
    expect(remove(busy, [1, 2])).toEqual({ version: 5, shards: [shard(0)], joining: [], leaving: [] });
  });

  it('is refused with its own code when it is illegal', () => {
    expect(codeOf(() => promote(map(), [1]))).toBe('NotJoining');
    expect(codeOf(() => promote(map(), [9]))).toBe('UnknownShard');
    expect(codeOf(() => remove(map(), [9]))).toBe('UnknownShard');
    expect(codeOf(() => remove(map(), [0, 1]))).toBe('LastShard');
    expect(codeOf(() => addOwners(map(), [{ ...shard(7), primary_url: 'http://s0:6333' }]))).toBe('ShardAlreadyInMap');
    expect(codeOf(() => addJoining(map(), [{ ...shard(7), replica_urls: ['http://s1:6333'] }]))).toBe(
      'ShardAlreadyInMap',
    );
  });
});

describe('shardAtAddress', () => {
  it('finds a shard by any of its addresses', () => {
    const known = map({ shards: [{ ...shard(0), replica_urls: ['http://r0:6333'] }, shard(1)] });
    expect(shardAtAddress(known, { primary_url: 'http://r0:6333', replica_urls: [] })?.id).toBe(0);
    expect(shardAtAddress(known, { primary_url: 'http://new:6333', replica_urls: ['http://s1:6333'] })?.id).toBe(1);
    expect(shardAtAddress(known, { primary_url: 'http://new:6333', replica_urls: [] })).toBeUndefined();
  });
});

describe('normalizeShardUrl', () => {
  it.each([
    ['  http://S0:6333/ ', 'http://s0:6333'],
    ['HTTP://host:80', 'http://host'],
    ['https://host:443/', 'https://host'],
    ['http://host:6333/prefix//', 'http://host:6333/prefix'],
    ['http://[::1]:6333', 'http://[::1]:6333'],
  ])('brings %j into the form %j', (input, expected) => {
    expect(normalizeShardUrl(input)).toBe(expected);
  });

  it.each([
    '',
    '   ',
    'host:6333',
    'ftp://host',
    'http://user@host',
    'http://user:secret@host',
    'http://host?a=b',
    'http://host?',
    'http://host#x',
    'http://',
  ])('refuses %j', (input) => {
    expect(codeOf(() => normalizeShardUrl(input))).toBe('InvalidShardUrl');
  });

  it('never repeats a password in its message', () => {
    expect(() => normalizeShardUrl('http://user:hunter2@host')).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('hunter2') }),
    );
  });

  it('answers its own answer with itself', () => {
    fc.assert(
      fc.property(fc.webUrl({ withFragments: false, withQueryParameters: false }), (url) => {
        const normal = normalizeShardUrl(url);
        expect(normalizeShardUrl(normal)).toBe(normal);
      }),
    );
  });
});
