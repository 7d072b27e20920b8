import { COLLECTION, MovingCluster, point } from '../../support/moving-cluster';

let cluster: MovingCluster;
afterEach(() => cluster.stop());

const sides = () => ({ donors: cluster.donors, receivers: [cluster.address(2)] });

/** Every activity that reads points or collections, on a cluster whose primaries are all followers that lag behind. */
const activities: [string, () => Promise<unknown>][] = [
  ['copyDonor', () => cluster.run('copyDonor', { ...cluster.donorInput(0), isRepeat: false })],
  ['listCollections', () => cluster.run('listCollections', { shards: cluster.donors })],
  ['prepareCollections', () => cluster.run('prepareCollections', sides())],
  ['removeOrphanCollections', () => cluster.run('removeOrphanCollections', { ...sides(), keep: [], settleMs: 0 })],
  [
    'cleanJoiner',
    () =>
      cluster.run('cleanJoiner', {
        ...cluster.move,
        joiner: cluster.address(2),
        collectionsBefore: [COLLECTION],
        nonemptyBefore: [],
      }),
  ],
  [
    'preflightGrow',
    () =>
      cluster.run('preflightGrow', {
        joiners: [cluster.address(2)],
        donors: cluster.donors,
        routerUrls: [],
        allowNonempty: true,
        mapVersion: 0,
      }),
  ],
];

describe('an activity on shards that have failed over', () => {
  it.each(activities)('%s reads from leaders only', async (_name, run) => {
    cluster = await MovingCluster.start();
    for (const id of cluster.fill(60).slice(0, 10)) cluster.joiner.put(COLLECTION, point(id));
    const followers = await Promise.all([0, 1, 2].map((id) => cluster.failOver(id)));
    await run();
    const asked = followers.flatMap((follower) => follower.requests);
    expect(asked.length).toBeGreaterThan(0);
    expect(asked.filter(({ status }) => status !== 421)).toEqual([]);
  });

  it('fails, to be tried again, while a shard has no leader', async () => {
    cluster = await MovingCluster.start();
    const match = { path: /\/points$/ };
    cluster.shards[0]!.faults.add({ match, fault: { kind: 'status', status: 421 } });
    await cluster.failOver(0);
    const failure = await cluster.failure('copyDonor', { ...cluster.donorInput(0), isRepeat: false });
    expect(failure).toMatchObject({ type: 'NotLeader', nonRetryable: false });
  });

  it('sends no probe to a shard without replicas', async () => {
    cluster = await MovingCluster.start();
    cluster.fill(30);
    await cluster.run('listCollections', { shards: cluster.donors });
    expect(cluster.shards.flatMap((shard) => cluster.writes(shard))).toEqual([]);
  });
});
