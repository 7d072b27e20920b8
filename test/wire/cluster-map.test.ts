import { shardMapSchema, stateFileSchema } from '../../src/wire/cluster-map';
import { describeIssues } from '../../src/wire/problem';

const shard = (id: number) => ({ id, primary_url: `http://s${id}`, replica_urls: [] });
const map = { version: 4, shards: [shard(0), shard(2)], joining: [2], leaving: [] };

describe('stateFileSchema', () => {
  it("takes a state file of Quiver's coordinator as it is", () => {
    const file = { next_id: 3, map };
    expect(stateFileSchema.parse(file)).toEqual(file);
  });

  it.each([
    ['a version beyond 2^53 - 1, which JSON.parse has rounded already', { version: 2 ** 53 }],
    ['a negative version', { version: -1 }],
    ['a version that is text', { version: '1' }],
    ['no shards', { shards: [] }],
    ['the same shard id twice', { shards: [shard(0), shard(2), shard(0)] }],
    ['a shard id beyond 2^53 - 1', { shards: [shard(2 ** 53), shard(2)] }],
    ['a shard id with a fraction', { shards: [shard(0.5), shard(2)] }],
    ['a shard without a URL', { shards: [{ id: 2, primary_url: '' }] }],
    ['a joining shard that is not among the shards', { joining: [7] }],
    ['a leaving shard that is not among the shards', { leaving: [7] }],
    ['the same joining shard twice', { joining: [2, 2] }],
    ['a shard that joins and leaves', { leaving: [2] }],
  ])('refuses %s', (_what, change) => {
    expect(stateFileSchema.safeParse({ next_id: 3, map: { ...map, ...change } }).success).toBe(false);
  });

  it('refuses a next_id beyond 2^53 - 1', () => {
    expect(stateFileSchema.safeParse({ next_id: 2 ** 60, map }).success).toBe(false);
  });
});

describe('describeIssues', () => {
  it('says where the first mistake is and not what stood there', () => {
    const { error } = shardMapSchema.safeParse({ ...map, shards: [{ ...shard(0), primary_url: 12345 }], joining: [] });
    const text = describeIssues(error!);
    expect(text).toMatch(/^shards\.0\.primary_url: /);
    expect(text).not.toContain('12345');
  });
});
