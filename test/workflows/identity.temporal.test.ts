/** Whose the shards are, in whole operations: nobody's joiner is taken, and no member that lost its data is believed. */
import { clusterWorkflowId } from '../../src/contract/ids';
import { transitionUpdate } from '../../src/contract/messages';
import type { ClusterTransition } from '../../src/contract/cluster';
import { ClusterFixture, refusalOf, startTemporal, type TemporalForTests } from '../support/cluster-fixture';
import { startShard, type InProcessShard } from '../support/in-process-shard';

const MARK = 'coordinator.identity';
const POINTS = 300;

jest.setTimeout(120_000);
let temporal: TemporalForTests;
let cluster: ClusterFixture;
let other: ClusterFixture;

beforeAll(async () => {
  temporal = await startTemporal();
});
afterAll(() => temporal.stop());
beforeEach(async () => {
  cluster = await ClusterFixture.start(temporal, 'ours', { points: POINTS });
  other = await ClusterFixture.start(temporal, 'theirs', { points: POINTS });
});
afterEach(() => Promise.all([cluster.stop(), other.stop()]));

const transition = (of: ClusterFixture, change: ClusterTransition) =>
  temporal.client.workflow.getHandle(clusterWorkflowId(of.name)).executeUpdate(transitionUpdate, { args: [change] });
const contents = (shard: InProcessShard) => shard.collections().map((name) => [name, shard.ids(name)]);

describe('one empty shard that two clusters grow by at once', () => {
  it('is given to one of them, and the other one is refused', async () => {
    const shards = [cluster.address(cluster.joiner)];
    const refusals = await Promise.all(
      [cluster, other].map((each) => refusalOf(each.announce('a', { request: { shards, allowNonempty: false } }))),
    );
    expect(refusals).toContain('not refused');
    expect(['ShardClaimed', 'ShardOfAnotherCluster']).toContain(refusals.find((code) => code !== 'not refused'));
    const [winner, loser] = refusals[0] === 'not refused' ? [cluster, other] : [other, cluster];
    await winner.operation('a').result();
    expect((await winner.map()).shards).toHaveLength(3);
    expect((await loser.map()).shards).toHaveLength(2);
    expect((await loser.state()).lock).toBeNull();
    expect(cluster.joiner.collections()).toEqual([MARK, 'docs']);
  });
});

describe('a joiner that is a member of another cluster', () => {
  it('is refused although its collection of the same name is empty, and nothing on it is touched', async () => {
    await other.announce('a');
    await other.operation('a').result();
    other.joiner.delete('docs', ...other.joiner.ids('docs'));
    const before = contents(other.joiner);
    const request = { shards: [cluster.address(other.joiner)], allowNonempty: false };
    expect(await refusalOf(cluster.announce('a', { request }))).toBe('ShardOfAnotherCluster');
    expect(contents(other.joiner)).toEqual(before);
    expect((await cluster.state()).lock).toBeNull();
  });
});

describe('a member that comes back without its data', () => {
  beforeEach(async () => {
    await cluster.announce('a');
    await cluster.operation('a').result();
  });

  it.each([
    ['a wiped volume', () => cluster.donors[1]!.restart('wipe')],
    [
      'an older volume',
      () => {
        const shard = cluster.donors[1]!;
        shard.put(MARK, { id: 'epoch', vector: [0], payload: { epoch: 0 } });
        return Promise.resolve();
      },
    ],
  ])('with %s refuses every operation, and nothing is deleted', async (_title, comeBack) => {
    await comeBack();
    const before = [0, 1].map((n) => contents(cluster.donors[n]!));
    const spare = await startShard();
    try {
      const request = { shards: [cluster.address(spare)], allowNonempty: false };
      expect(await refusalOf(cluster.announce('b', { request }))).toBe('ShardLostData');
      expect(await refusalOf(cluster.announceDrain('b', 0))).toBe('ShardLostData');
      expect(spare.collections()).toEqual([]);
      for (const kind of ['repair', 'check'] as const) {
        const whole = { collections: null, leftovers: [], prefer: [] };
        await cluster.begin(kind, { ...cluster.input('b'), request: whole });
        const failure: unknown = await cluster
          .operation('b', kind)
          .result()
          .catch((error: unknown) => error);
        expect(failure).toMatchObject({ cause: { type: 'ShardLostData' } });
      }
    } finally {
      await spare.stop();
    }
    const marks = (all: unknown[][][]) => all.map((each) => each.filter(([name]) => name !== MARK));
    expect(marks([0, 1].map((n) => contents(cluster.donors[n]!)))).toEqual(marks(before));
    expect((await cluster.state()).lock).toBeNull();
  });
});

describe('a grow that is refused', () => {
  it('says when the key may not create collections, and leaves nothing', async () => {
    const strict = await startShard({ keys: [{ secret: 'shard-key', role: 'write' }] });
    const request = { shards: [cluster.address(strict)], allowNonempty: false };
    expect(await refusalOf(cluster.announce('a', { request }))).toBe('IdentityRefused');
    expect(strict.collections()).toEqual([]);
    await strict.stop();
  });

  it('by a later check of the preflight leaves no identity on the joiner', async () => {
    cluster.joiner.create({ name: 'mine', dim: 2 });
    cluster.joiner.put('mine', { id: 'x', vector: [1, 2] });
    expect(await refusalOf(cluster.announce('a'))).toBe('JoinerNotEmpty');
    expect(cluster.joiner.collections()).toEqual(['mine']);
  });
});

describe('a cluster whose identities were removed', () => {
  it('refuses operations until they are adopted again', async () => {
    await transition(cluster, { type: 'removeIdentities' });
    expect(await refusalOf(cluster.announce('a'))).toBe('IdentitiesRemoved');
    await transition(cluster, { type: 'adoptIdentities' });
    await cluster.announce('b');
    await cluster.operation('b').result();
    expect(await cluster.misplaced('docs')).toEqual([]);
  });
});

describe('a shard that leaves', () => {
  it('bears no mark any more, and those that stay show the epoch of the drain', async () => {
    await cluster.announceDrain('a', 1);
    await cluster.operation('a', 'drain').result();
    expect(cluster.donors[1]!.collections()).toEqual([]);
    expect(cluster.donors[0]!.get(MARK, 'epoch')).toContain('{"epoch":1}');
    expect((await cluster.state()).members).toEqual({ 0: { epoch: 1 } });
  });
});
