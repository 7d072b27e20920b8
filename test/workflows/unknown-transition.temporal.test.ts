import { transitionUpdate } from '../../src/contract/messages';
import type { ClusterTransition } from '../../src/contract/cluster';
import { refusalOf, type ClusterFixture } from '../support/cluster-fixture';
import { useCluster } from '../support/use-cluster';

let cluster: ClusterFixture;
useCluster('unknown', { points: 0 }, (started) => {
  cluster = started;
});

const apply = (transition: object): Promise<unknown> =>
  cluster.cluster.executeUpdate(transitionUpdate, { args: [transition as ClusterTransition] });

it('a very long change by hand happens once with its key, by the digest that is remembered of it', async () => {
  const replica_urls = Array.from({ length: 32 }, (_, n) => `http://replica-${n}.example:6333`);
  const change = { change: 'add', shard: { primary_url: 'http://long:6333', replica_urls } };
  for (let n = 0; n < 2; n++) await apply({ type: 'changeByHand', change, key: 'k1' });
  expect(await cluster.map()).toMatchObject({ version: 2 });
});

describe('a transition of another version', () => {
  it.each([
    { type: 'splitShard', id: 0 },
    { type: null },
    {},
    { type: 'changeByHand', change: { change: 'split', id: 0 }, key: null },
    { type: 'reserve', operationId: 'split-a', request: { kind: 'split' } },
    { type: 'raiseFromZero', rules: 2 },
    { type: 'raiseFromZero', rules: 'later' },
  ])('is refused, and the cluster goes on as it was: %j', async (transition) => {
    const before = await cluster.state();
    expect(await refusalOf(apply(transition))).toBe('InvalidRequest');
    expect(await cluster.state()).toEqual(before);
    const shard = { primary_url: 'http://added:6333', replica_urls: [] };
    await apply({ type: 'changeByHand', change: { change: 'add', shard }, key: null });
    expect(await cluster.map()).toMatchObject({ version: 2, shards: [{ id: 0 }, { id: 1 }, { id: 2 }] });
  });

  it('of which a part is missing is refused without an event, and fails no task', async () => {
    await expect(apply({ type: 'release', operationId: 'grow-a' })).resolves.toBeDefined();
    await expect(apply({ type: 'recordEpochs' })).rejects.toThrow();
    expect(await cluster.map()).toMatchObject({ version: 1 });
    const { events } = await cluster.cluster.fetchHistory();
    expect((events ?? []).filter((event) => event.workflowTaskFailedEventAttributes != null)).toEqual([]);
  });
});
