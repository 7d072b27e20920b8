import { MovingCluster } from '../../support/moving-cluster';
import { json, StubShard } from '../../support/stub-shard';

let cluster: MovingCluster;
afterEach(() => cluster.stop());

describe('awaitRouters', () => {
  it('returns the routers that lag, with the reason, when patience is over', async () => {
    cluster = await MovingCluster.start();
    const url = 'http://127.0.0.1:1';
    cluster.clock.onSleep = () => void (cluster.clock.skewMs += 500);
    const { result } = await cluster.run('awaitRouters', { routerUrls: [url], version: 4, patienceMs: 1_000 });
    expect(result.lagging).toMatchObject([{ url, version: null }]);
    expect(result.lagging[0]!.reason).toContain(url);
  });

  it('reports a router that holds a later version: it is a foreign one, because the map does not move meanwhile', async () => {
    cluster = await MovingCluster.start();
    const router = await new StubShard((response) => json(response, { version: 5 })).start();
    try {
      const input = (version: number) => ({ routerUrls: [router.url], version, patienceMs: 0 });
      expect((await cluster.run('awaitRouters', input(5))).result).toEqual({ lagging: [] });
      const { result } = await cluster.run('awaitRouters', input(4));
      expect(result.lagging).toMatchObject([{ url: router.url, version: 5 }]);
      expect(result.lagging[0]!.reason).toContain('foreign');
      const older = await cluster.run('awaitRouters', input(6));
      expect(older.result.lagging[0]!.reason).toBe('holds version 5, expected 6');
    } finally {
      await router.stop();
    }
  });

  it('names a few of 1,000 routers that lag, and counts the others', async () => {
    cluster = await MovingCluster.start();
    const router = await new StubShard((response) => json(response, { version: 5 })).start();
    try {
      const routerUrls = Array.from({ length: 1_000 }, (_, n) => `${router.url}/router-${n}`);
      const { result } = await cluster.run('awaitRouters', { routerUrls, version: 6, patienceMs: 0 });
      expect(result.lagging.map(({ url }) => url)).toEqual(routerUrls.slice(0, 3));
      expect(result.more).toBe(997);
    } finally {
      await router.stop();
    }
  });

  it('takes a name without an address for a router that lags, and not for no router', async () => {
    cluster = await MovingCluster.start();
    const entry = 'dns+http://no-such-name.invalid:6333';
    const { result } = await cluster.run('awaitRouters', { routerUrls: [entry], version: 4, patienceMs: 0 });
    expect(result.lagging).toMatchObject([{ url: entry, version: null }]);
    expect(result.lagging[0]!.reason).toContain('its routers are not known');
  });

  it('returns at once when there is no router to ask', async () => {
    cluster = await MovingCluster.start();
    const { result } = await cluster.run('awaitRouters', { routerUrls: [], version: 4, patienceMs: 1_000 });
    expect(result).toEqual({ lagging: [] });
    expect(cluster.clock.sleptMs).toEqual([]);
  });
});
