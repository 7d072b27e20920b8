/** The warm-up of a grow; that of a drain is in warm-up.test.ts. */
import { COLLECTION, MovingCluster, point, SCHEMA } from '../../support/moving-cluster';

let cluster: MovingCluster;
afterEach(() => cluster.stop());

describe('warmUp', () => {
  const input = (mustFind: boolean) => ({
    receivers: [cluster.address(2)],
    collections: [COLLECTION, 'absent'],
    patienceMs: 1_000,
    mustFind,
  });
  const points = () => cluster.movingIds(40).map((id, n) => point(id, n));
  /** Overwritten once, so that the index does not simply grow with the points. */
  const load = (): void => {
    for (let time = 0; time < 2; time++) cluster.joiner.put(COLLECTION, ...points());
  };
  /**
   * Searches answer from an index that has none of the points, as Quiver's do while it rebuilds one in the background.
   */
  const answerFromOldIndex = () => {
    const match = { path: /\/query$/ };
    const ids = cluster.joiner.ids(COLLECTION);
    const { faults } = cluster.joiner;
    const hide = () => void cluster.joiner.delete(COLLECTION, ...ids);
    const show = () => cluster.joiner.put(COLLECTION, ...points());
    const active = [
      faults.add({ match, fault: { kind: 'before', run: hide } }),
      faults.add({ match, fault: { kind: 'beforeReply', run: show } }),
    ];
    return { remove: () => active.forEach((each) => each.remove()) };
  };

  it('has the joiner build its index by a search, and waits until it is ready', async () => {
    cluster = await MovingCluster.start({ schema: { ...SCHEMA, index: 'hnsw' } });
    load();
    const { result } = await cluster.run('warmUp', input(false));
    expect(result).toEqual({ notReady: [] });
    expect(cluster.joiner.requests.filter(({ path }) => path.endsWith('/query'))).toHaveLength(1);
  });

  it('does not wait for the answer of the search that built the index, which may never come while clients write', async () => {
    cluster = await MovingCluster.start({ schema: { ...SCHEMA, index: 'hnsw' } });
    load();
    cluster.joiner.faults.add({ match: { path: /\/query$/, nth: 1 }, fault: { kind: 'hangAfter' } });
    const { result } = await cluster.run('warmUp', { ...input(false), patienceMs: 30_000 });
    expect(result).toEqual({ notReady: [] });
  }, 10_000);

  it('names the collections that were not ready in time, and does not fail', async () => {
    cluster = await MovingCluster.start({ schema: { ...SCHEMA, index: 'hnsw' } });
    load();
    cluster.joiner.faults.add({ match: { path: /\/query$/ }, fault: { kind: 'status', status: 500 } });
    cluster.clock.onSleep = () => void (cluster.clock.skewMs += 250);
    const { result } = await cluster.run('warmUp', input(false));
    expect(result).toEqual({ notReady: [COLLECTION] });
  });

  it('finds what the joiner holds when its index is up to date', async () => {
    cluster = await MovingCluster.start({ schema: { ...SCHEMA, index: 'hnsw' } });
    load();
    expect((await cluster.run('warmUp', input(true))).result).toEqual({ notReady: [] });
  });

  it('waits for searches to find what the joiner holds, even while it says that its index is ready', async () => {
    cluster = await MovingCluster.start();
    load();
    const old = answerFromOldIndex();
    cluster.clock.onSleep = () => old.remove();
    expect((await cluster.run('warmUp', input(true))).result).toEqual({ notReady: [] });
    expect(cluster.clock.sleptMs.length).toBeGreaterThan(0);
  });

  it('names a collection whose searches do not find what the joiner holds in time', async () => {
    cluster = await MovingCluster.start();
    load();
    answerFromOldIndex();
    cluster.clock.onSleep = () => void (cluster.clock.skewMs += 600);
    expect((await cluster.run('warmUp', input(true))).result).toEqual({ notReady: [COLLECTION] });
  });
});
