/** Shards with replicas: one that elects its leader holds up nobody but itself. */
import type { ClusterFixture } from '../support/cluster-fixture';
import { PlacementPlan } from '../../src/domain/placement-plan';
import { READING } from '../support/shard-faults';
import { useCluster } from '../support/use-cluster';
import { waitFor } from '../support/wait-for';

const POINTS = 300;
/** More often than Temporal itself tries a step. */
const LASTING = 4;
const UNAVAILABLE = 14;
let cluster: ClusterFixture;
useCluster('elections', { points: POINTS, shards: 3, followers: true }, (started) => (cluster = started));

describe('a grow of shards with replicas', () => {
  it('copies from the others while one of them elects its leader, also where their own scans fail for a while', async () => {
    const [electing, other] = cluster.donors;
    if (electing === undefined || other === undefined) throw new Error('three donors');
    // Scans of a shard go to its follower. One breaks off, and from then on no address of the shard takes writes.
    const follower = cluster.followers.get(electing);
    const reading = cluster.followers.get(other);
    if (follower === undefined || reading === undefined) throw new Error('each has a follower');
    follower.faults.add({
      match: { ...READING, nth: 1 },
      fault: {
        kind: 'before',
        run: () => {
          const match = { method: 'DELETE', path: /\/points$/ };
          electing.faults.add({ match, fault: { kind: 'status', status: 421 } });
        },
      },
    });
    follower.faults.add({ match: READING, fault: { kind: 'status', status: UNAVAILABLE } });
    const failing = reading.faults.add({
      match: { ...READING, nth: 1, times: LASTING },
      fault: { kind: 'status', status: UNAVAILABLE },
    });
    const plan = new PlacementPlan({ shards: [0, 1, 2, 3], joining: [3], leaving: [] });
    const movingFrom = (shard: typeof other) => shard.ids('docs').filter((id) => plan.ownerOf(Buffer.from(id)) === 3);
    const ofOther = movingFrom(other);
    await cluster.announce('a');
    await waitFor('the points of the other shard are on the joiner', () => {
      const held = new Set(cluster.joiner.collections().includes('docs') ? cluster.joiner.ids('docs') : []);
      return ofOther.every((id) => held.has(id));
    });
    expect(ofOther.length).toBeGreaterThan(0);
    await waitFor('the wait for the electing shard is told', async () => {
      const { waiting, phase } = await cluster.progress('a');
      return phase === 'copy' && /(copying from shard 0|preparing collections): /.test(waiting?.reason ?? '');
    });
    expect(failing.hits).toBe(LASTING);
    for (const shard of [electing, follower]) shard.faults.clear();
    await cluster.operation('a').result();
    expect(await cluster.misplaced('docs')).toEqual([]);
    expect(cluster.allIds('docs')).toHaveLength(POINTS);
  });
});
