/** A drop may take hours, and no delete of it relies on what was known of routers and owners long before. */
import type { DropDonorInput, DropDonorResult, WatchedStep } from '../../../src/contract/move';
import { READING_LIFE_MS } from '../../../src/domain/router-watch';
import { COLLECTION, MovingCluster, point } from '../../support/moving-cluster';
import { json, StubShard } from '../../support/stub-shard';

const POINTS = 300;
const SHARED = 'grow-a';
/** Each call that deletes takes so long. */
const CALL_MS = 3_000;
const CALLS_OF_A_READING = Math.ceil(READING_LIFE_MS / CALL_MS);
const DELETING = { method: 'DELETE', path: /points$/ };
/** An attempt of any length. */
const LONG = { info: { startToCloseTimeoutMs: 10 * 60_000 } };

let cluster: MovingCluster;
let router: StubShard;
/** Of the process of the router. */
let marks: Set<string>;
let watch: WatchedStep;

beforeEach(async () => {
  marks = new Set();
  router = await new StubShard((response, { url }) => {
    if (url.startsWith('/coordinator-mark/')) marks.add(url);
    if (url === '/metrics') response.end([...marks].map((path) => `x{route="${path}"} 1`).join('\n'));
    else json(response, { version: 7, shards: [] });
  }).start();
  cluster = await MovingCluster.start();
  cluster.clock.sleepTakesTime = true;
  await prove();
  await cluster.run('readForDrop', drop());
  const list = { routerUrls: [router.url] };
  const { result: opened } = await cluster.run('openWatch', { watchId: SHARED, ...list });
  const { mark, openedAtMs: sinceMs } = opened;
  const readAtMs = cluster.clock.nowMs();
  watch = { watchId: SHARED, sinceMs, mark, list, version: 7, routersFailClosed: false, readAtMs };
});
afterEach(async () => {
  await cluster.stop();
  await router.stop();
});

/** Moving points on donor 0, copied and proven on the joiner. */
async function prove(): Promise<void> {
  cluster.shards[0]!.put(COLLECTION, ...cluster.movingIds(POINTS, 0).map((id, n) => point(id, n)));
  await cluster.run('copyDonor', { ...cluster.donorInput(0), isRepeat: false });
  const pass = { ...cluster.donorInput(0), settleMs: 0, recut: false, scanReceivers: false };
  await cluster.run('compareDonor', pass);
}

function drop(more: Partial<DropDonorInput> = {}): DropDonorInput {
  const { collections: provenCollections, ...donor } = cluster.donorInput(0);
  const of = { settleMs: 0, isWatchUnbroken: true, provenCollections, isLeaver: false, isTailLate: false };
  return { ...donor, ...of, ...more };
}

/** By a reading that is `ageMs` old when the drop begins. */
async function dropSlowly(ageMs = 0): Promise<DropDonorResult> {
  cluster.passTime(cluster.shards[0]!, DELETING, CALL_MS);
  const readAtMs = cluster.clock.nowMs() - ageMs;
  return (await cluster.run('dropFromDonor', drop({ watch: { ...watch, readAtMs } }), LONG)).result;
}

async function restartRouter(): Promise<void> {
  await router.stop();
  marks.clear();
  await router.start();
}

const deletes = (): number =>
  cluster.shards[0]!.requests.filter(({ method, path }) => method === 'DELETE' && DELETING.path.test(path)).length;
const left = (): number =>
  cluster.shards[0]!.ids(COLLECTION).filter((id) => cluster.ownerOf(id) === cluster.joiner).length;

describe('a drop that takes longer than a reading of the watch holds', () => {
  it('goes on to its end while every router is watched', async () => {
    expect(await dropSlowly()).toMatchObject({ dropped: POINTS, kept: 0, needsRead: false });
    expect(deletes()).toBeGreaterThan(2 * CALLS_OF_A_READING);
    expect(left()).toBe(0);
  });

  it.each([
    ['the worker that watches', () => Promise.resolve()],
    ['another worker', () => cluster.watches.close(SHARED)],
  ])('on %s sends no delete by a reading of more than 10 s, once a router has restarted', async (_where, before) => {
    await before();
    let restartedAt = 0;
    cluster.shards[0]!.faults.add({
      match: { ...DELETING, nth: 6 },
      fault: {
        kind: 'before',
        run: async () => {
          restartedAt = deletes();
          await restartRouter();
        },
      },
    });
    const { needsRead, dropped } = await dropSlowly();
    expect(needsRead).toBe(true);
    expect(restartedAt).toBeGreaterThan(CALLS_OF_A_READING);
    expect(deletes() - restartedAt).toBeLessThanOrEqual(CALLS_OF_A_READING);
    expect(dropped).toBe(POINTS - left());
    expect(left()).toBeGreaterThan(0);
  });

  it('deletes nothing by an old reading, as when its donor was away for long', async () => {
    await restartRouter();
    expect(await dropSlowly(READING_LIFE_MS)).toMatchObject({ dropped: 0, needsRead: true });
    expect(deletes()).toBe(0);
  });

  it.each([
    ['the worker that watches', () => Promise.resolve()],
    ['another worker', () => cluster.watches.close(SHARED)],
  ])('asks a router that is slow to answer again, on %s', async (_where, before) => {
    await before();
    const { behaviour } = router;
    router.behaviour = () => undefined;
    cluster.clock.onSleep = () => void (router.behaviour = behaviour);
    expect(await dropSlowly(READING_LIFE_MS)).toMatchObject({ dropped: POINTS, needsRead: false });
  });

  it('believes no router that answers late, and was started anew before another worker looked', async () => {
    await cluster.watches.close(SHARED);
    await restartRouter();
    const { behaviour } = router;
    router.behaviour = () => undefined;
    cluster.clock.onSleep = () => void (router.behaviour = behaviour);
    // As told by a machine that has run for longer.
    watch = { ...watch, sinceMs: watch.sinceMs + 60_000 };
    expect(await dropSlowly(READING_LIFE_MS)).toMatchObject({ dropped: 0, needsRead: true });
    expect(cluster.watches.size).toBe(0);
  });

  it('gives up where a router stays silent', async () => {
    router.behaviour = () => undefined;
    cluster.clock.onSleep = () => void (cluster.clock.skewMs += 60_000);
    expect(await dropSlowly(READING_LIFE_MS)).toMatchObject({ dropped: 0, needsRead: true });
  });

  it('sends no delete for an owner that was confirmed more than 10 s before, once that has lost its data', async () => {
    cluster.identify();
    let lostAt = 0;
    const { joiner } = cluster;
    cluster.shards[0]!.faults.add({
      match: { ...DELETING, nth: 6 },
      fault: {
        kind: 'before',
        run: () => {
          lostAt = deletes();
          for (const name of joiner.collections()) joiner.drop(name);
        },
      },
    });
    cluster.passTime(cluster.shards[0]!, DELETING, CALL_MS);
    const failure = await cluster.failure('dropFromDonor', drop({ watch }), LONG);
    expect(failure.type).toBe('ShardLostData');
    expect(lostAt).toBeGreaterThan(CALLS_OF_A_READING);
    expect(deletes() - lostAt).toBeLessThanOrEqual(CALLS_OF_A_READING);
    expect(left()).toBeGreaterThan(0);
  });

  it('leaves no watch of its own behind', async () => {
    await cluster.watches.close(SHARED);
    await dropSlowly();
    expect(cluster.watches.size).toBe(0);
  });
});
