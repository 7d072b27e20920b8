import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { judgeWatch } from '../../../src/domain/router-watch';
import { RouterWatch } from '../../../src/shards/http/router-watch';
import {
  describeWithQuiver,
  quiverBinary,
  routerEnvironment,
  startQuiver,
  type RealQuiver,
} from '../../support/real-quiver';
import { json, StubShard } from '../../support/stub-shard';
import { waitFor } from '../../support/wait-for';

const KEY = 'shard-key';
const VERSION = 4;
const shards = [0, 1].map((id) => ({ id, primary_url: `http://127.0.0.1:${9_000 + id}`, replica_urls: [] }));
/** A shard with which nothing ever runs, and yet one that a router would write to. */
const LIVE_SEED = 'http://127.0.0.1:9000';

describeWithQuiver('a watch over a real router', () => {
  let dir: string;
  let coordinator: StubShard;
  let router: RealQuiver;
  let watch: RouterWatch;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'router-watch-'));
    coordinator = await new StubShard((response) =>
      json(response, { version: VERSION, shards, joining: [], leaving: [] }),
    ).start();
  });
  afterEach(async () => {
    await watch.close();
    await router.stop();
    await coordinator.stop();
    await rm(dir, { recursive: true, force: true });
  });

  async function watched(seed: string): Promise<number> {
    const env = routerEnvironment({ shards: [seed], coordinatorUrl: coordinator.url, shardKey: KEY });
    router = await startQuiver({ role: 'router', binary: quiverBinary()!, dataDir: dir, keys: [KEY], env });
    watch = new RouterWatch({ routerUrls: [router.url], key: KEY });
    await waitFor('the router holds the map', () => watch.snapshot().routers[0]?.version === VERSION);
    const sinceMs = watch.snapshot().atMs;
    await watch.ask(5_000);
    expect(judge(sinceMs)).toEqual({ unbroken: true });
    return sinceMs;
  }
  const judge = (sinceMs: number, routersFailClosed = false) =>
    judgeWatch(watch.snapshot(), { sinceMs, version: VERSION, routersFailClosed });
  /** Killed, and back with nobody to poll a map from for a while: it serves its seeds. */
  async function restartAwayFromTheCoordinator(): Promise<void> {
    await coordinator.stop();
    await router.restart();
    await waitFor('its seeds are seen', () => watch.snapshot().routers[0]!.servedSeeds.some(isOfNow));
    await coordinator.start();
    await waitFor('it holds the map again', () => watch.snapshot().routers[0]!.version === VERSION);
    await watch.ask(5_000);
  }
  const isOfNow = ({ lastAtMs }: { lastAtMs: number }): boolean => watch.snapshot().atMs - lastAtMs < 1_000;

  it('breaks when the router is killed and comes back, and shows which seeds it served meanwhile', async () => {
    const sinceMs = await watched(LIVE_SEED);
    await restartAwayFromTheCoordinator();
    for (const failClosed of [false, true]) {
      expect(judge(sinceMs, failClosed)).toMatchObject({
        unbroken: false,
        suspects: [{ url: router.url, seeds: 'live', shardUrls: [LIVE_SEED] }],
      });
    }
    expect(watch.snapshot().routers[0]!.breakCount).toBeGreaterThanOrEqual(1);
  });

  it('knows by its mark whether the router is the process that it was', async () => {
    await watched(LIVE_SEED);
    const first = await watch.mark(5_000);
    expect(await watch.marked(first, 5_000)).toEqual(new Set([router.url]));
    const other = new RouterWatch({ routerUrls: [router.url], key: KEY });
    expect(await other.marked(first, 5_000)).toEqual(new Set([router.url]));
    expect(await other.marked('second', 5_000)).toEqual(new Set());
    await other.close();
    await restartAwayFromTheCoordinator();
    expect(await watch.marked(first, 5_000)).toEqual(new Set());
  });

  it('costs nothing to kill a router that has a dead seed, where the operator says that all have one', async () => {
    const sinceMs = await watched('http://127.0.0.1:9');
    await restartAwayFromTheCoordinator();
    expect(judge(sinceMs)).toMatchObject({ unbroken: false, suspects: [{ seeds: 'dead' }] });
    expect(judge(sinceMs, true)).toEqual({ unbroken: true });
  });
});
