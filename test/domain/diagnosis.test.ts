import { skewBetween } from '../../src/domain/clock-skew';
import { examined, type SeenShard } from '../../src/domain/diagnosis';
import { SOURCES_SHOWN_MAX } from '../../src/domain/limits';

const shard = (shardId: number, change: Partial<SeenShard> = {}): SeenShard => ({
  shardId,
  problem: null,
  clockSkewMs: 0,
  key: { role: 'admin', isScoped: false, problem: null },
  identity: { seen: 'same', problem: null },
  grpc: { url: 'http://s:1', problem: null },
  followers: [],
  rows: 1,
  bytes: 4,
  source: 'primary',
  stopMs: 1,
  ...change,
});

describe('examined shards', () => {
  it('are bounded, and those with something wrong are among them', () => {
    const faults: Partial<SeenShard>[] = [
      { problem: 'no answer' },
      { key: { role: 'write', isScoped: false, problem: null } },
      { key: { role: 'admin', isScoped: true, problem: null } },
      { identity: { seen: 'other', problem: 'another' } },
      { grpc: { url: '', problem: 'no answer' } },
      { followers: [{ url: 'http://f', problem: 'behind' }] },
      { rows: null },
    ];
    const well = Array.from({ length: 200 }, (_, id) => shard(id));
    const ill = faults.map((fault, at) => shard(1_000 + at, fault));
    const told = examined([...well, ...ill], 300);
    expect(told.shards).toHaveLength(SOURCES_SHOWN_MAX);
    expect(told.shards.slice(-faults.length)).toEqual(ill);
    expect(told.shards[0]).toEqual(well[0]);
    expect(told).toMatchObject({ shardsLeftOut: 200 + faults.length - SOURCES_SHOWN_MAX, shardsNotAsked: 93 });
  });
});

describe('the skew between two clocks', () => {
  it('is what neither the question nor its answer explains', () => {
    const of = (theirsMs: number, resolutionMs = 0): number =>
      skewBetween(theirsMs, { sentMs: 10_000, answeredMs: 10_500, resolutionMs });
    expect([of(10_000), of(10_250), of(10_500)]).toEqual([0, 0, 0]);
    expect([of(13_500), of(4_000)]).toEqual([3_000, -6_000]);
    expect([of(9_001, 1_000), of(8_000, 1_000)]).toEqual([0, -1_000]);
  });
});
