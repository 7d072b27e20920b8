/** A client drops a collection while it moves, and creates it anew with another dimension. */
import { PlacementPlan } from '../../src/domain/placement-plan';
import type { ClusterFixture } from '../support/cluster-fixture';
import { LOOKING, READING, WRITING, type FaultMatch } from '../support/shard-faults';
import { useCluster } from '../support/use-cluster';

const POINTS = 300;
const NEW_DIM = 9;
const NEW_POINTS = 200;
let cluster: ClusterFixture;
useCluster('recreated', { points: POINTS }, (started) => (cluster = started));

const ids = Array.from({ length: NEW_POINTS }, (_, n) => `new${n}`).sort();
const pointOf = (id: string) => ({ id, vector: Array.from({ length: NEW_DIM }, (_, n) => n), payload: { of: id } });

/** As a router with the map of before does: the joiner hears nothing of it. */
function recreateOnDonors(): void {
  const plan = new PlacementPlan({ shards: [0, 1], joining: [], leaving: [] });
  for (const [index, donor] of cluster.donors.entries()) {
    donor.drop('docs');
    donor.create({ name: 'docs', dim: NEW_DIM, metric: 'l2', index: 'hnsw' });
    donor.put('docs', ...ids.filter((id) => plan.ownerOf(Buffer.from(id)) === index).map(pointOf));
  }
}

describe('a grow during which a client creates a collection anew with another dimension', () => {
  const moments: readonly [string, () => { shard: 'joiner' | 'donor'; match: FaultMatch }][] = [
    ['before the copy reads', () => ({ shard: 'donor', match: { ...READING, nth: 1 } })],
    ['before the copy writes', () => ({ shard: 'joiner', match: { ...WRITING, nth: 1 } })],
    ['while a pass compares', () => ({ shard: 'joiner', match: { ...LOOKING, nth: 1 } })],
  ];

  it.each(moments)('goes on with the new one: %s', async (_title, moment) => {
    const { shard, match } = moment();
    const struck = (shard === 'joiner' ? cluster.joiner : cluster.donors[0]!).faults.add({
      match,
      fault: { kind: 'before', run: recreateOnDonors },
    });
    await cluster.announce('a');
    await cluster.operation('a').result();
    expect(struck.hits).toBe(1);
    expect(await cluster.misplaced('docs')).toEqual([]);
    expect(cluster.allIds('docs')).toEqual(ids);
    for (const id of cluster.joiner.ids('docs')) {
      expect(JSON.parse(cluster.joiner.get('docs', id) ?? '{}')).toMatchObject({ vector: pointOf(id).vector });
    }
    expect(cluster.joiner.ids('docs').length).toBeGreaterThan(0);
  });
});
