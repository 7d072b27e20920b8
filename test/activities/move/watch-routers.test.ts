import type { Client } from '@temporalio/client';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import pino from 'pino';
import { createActivities, type ActivityDeps } from '../../../src/activities';
import type { CoordinatorActivities } from '../../../src/contract/activities';
import type { WatchActivities } from '../../../src/contract/watch';
import { WatchRegistry } from '../../../src/shards/http/watch-registry';
import { Reach, type Resolve } from '../../../src/shards/reach/reach';
import { json, StubShard } from '../../support/stub-shard';
import { waitFor } from '../../support/wait-for';

const KEY = 'shard-key';
const watchId = 'grow-a';
let version = 7;
let router: StubShard;
let watches: WatchRegistry;
let activities: WatchActivities;
beforeEach(async () => {
  version = 7;
  router = await new StubShard((response) => json(response, { version, shards: [] })).start();
  watches = new WatchRegistry();
  activities = createActivities(deps());
});
const deps = (): ActivityDeps => ({
  shardKey: KEY,
  client: {} as unknown as Client,
  logger: pino({ level: 'silent' }),
  ownTaskQueue: 'coordinator/default/worker-1',
  watches,
});
afterEach(async () => {
  await watches.closeAll();
  await router.stop();
});

async function run<N extends keyof WatchActivities>(
  name: N,
  input: Parameters<WatchActivities[N]>[0],
): Promise<Awaited<ReturnType<WatchActivities[N]>>> {
  type Result = Awaited<ReturnType<WatchActivities[N]>>;
  const activity = activities[name] as (given: typeof input) => Promise<Result>;
  return inActivity(() => activity(input));
}
function inActivity<R>(body: () => Promise<R>): Promise<R> {
  const environment = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR', () => undefined) });
  return environment.run<[], R, () => Promise<R>>(body);
}
const read = (sinceMs: number, more: object = {}) =>
  run('readWatch', { watchId, sinceMs, version: 7, routersFailClosed: false, ...more });

describe('a watch over routers', () => {
  it('is opened in a worker that says which one it is, and reads as unbroken while every router lives', async () => {
    const opened = await run('openWatch', { watchId, routerUrls: [router.url] });
    expect(opened).toMatchObject({ worker: 'coordinator/default/worker-1', notConnected: [] });
    const first = await read(opened.openedAtMs);
    expect(first).toMatchObject({ unbroken: true });
    expect(await read(first.readAtMs)).toMatchObject({ unbroken: true });
  });

  it('is broken, and to be opened anew, when the list has a router by now that nobody watched', async () => {
    const late = await new StubShard((response) => json(response, { version, shards: [] })).start();
    try {
      const { openedAtMs } = await run('openWatch', { watchId, routerUrls: [router.url] });
      const list = { routerUrls: [router.url, late.url] };
      expect(await read(openedAtMs, { list: { routerUrls: [router.url] } })).toMatchObject({ unbroken: true });
      const reading = await read(openedAtMs, { list });
      expect(reading).toMatchObject({ unbroken: false, changed: true, suspects: [{ url: late.url }] });
      const again = await run('openWatch', { watchId, ...list });
      expect(await read(again.openedAtMs, { list })).toMatchObject({ unbroken: true });
    } finally {
      await late.stop();
    }
  });

  it('says which routers it watches where a name stands for them', async () => {
    const port = new URL(router.url).port;
    const opened = await run('openWatch', { watchId, routerUrls: [`dns+http://localhost:${port}`] });
    expect(opened.routerUrls).toContain(`http://127.0.0.1:${port}`);
    const gone = { list: { routerUrls: ['dns+http://no-such-name.invalid:1'] } };
    expect(await read(opened.openedAtMs, gone)).toMatchObject({ unbroken: false, suspects: [] });
  });

  describe('of a name that has an address which may not be called', () => {
    /** Beside the address of the router that answers. */
    const both: Resolve = () => Promise.resolve(['127.0.0.1', '127.0.0.2'].map((address) => ({ address, family: 4 })));
    let name: string;
    beforeEach(() => {
      name = `dns+http://routers.svc:${new URL(router.url).port}`;
      activities = createActivities({ ...deps(), reach: new Reach({ allowed: ['127.0.0.1'], own: [] }, both) });
    });

    it('is broken, also where routers fail closed: what is there may hold any map (INV-8)', async () => {
      const opened = await run('openWatch', { watchId, routerUrls: [name] });
      expect(opened.routerUrls).toEqual([router.url]);
      const reading = await read(opened.openedAtMs, { routersFailClosed: true, list: { routerUrls: [name] } });
      expect(reading).toMatchObject({
        unbroken: false,
        reasons: [expect.stringMatching(/the routers of dns\+http:\/\/routers\.svc:\d+ are not known: .*127\.0\.0\.2/)],
        suspects: [],
      });
    });

    it('holds up those who wait for routers, and they name it', async () => {
      const input = { routerUrls: [name], version, patienceMs: 0 };
      const { lagging } = await inActivity(() => (activities as CoordinatorActivities).awaitRouters(input));
      expect(lagging).toEqual([
        { url: name, version: null, reason: expect.stringContaining('routers.svc (127.0.0.2) is not one') as string },
      ]);
    });
  });

  it('judges by an answer that is younger than the question', async () => {
    const { openedAtMs } = await run('openWatch', { watchId, routerUrls: [router.url] });
    version = 8;
    expect(await read(openedAtMs)).toMatchObject({ unbroken: false });
    expect(await read(openedAtMs, { version: 8 })).toMatchObject({ unbroken: true });
  });

  it('goes on when it is opened again, as after a lost answer', async () => {
    const first = await run('openWatch', { watchId, routerUrls: [router.url] });
    await run('openWatch', { watchId, routerUrls: [router.url] });
    expect(await read(first.openedAtMs)).toMatchObject({ unbroken: true });
  });

  it('reads as broken once a router has restarted, and as unbroken from that reading on', async () => {
    const { openedAtMs } = await run('openWatch', { watchId, routerUrls: [router.url] });
    await router.stop();
    await router.start();
    const broken = await waitFor('the router is watched again', async () => {
      const reading = await read(openedAtMs);
      return !reading.unbroken && reading.suspects[0]?.untilMs != null && reading;
    });
    expect(broken).toMatchObject({ unbroken: false, suspects: [{ url: router.url, seeds: 'unknown' }] });
    expect(await read(openedAtMs, { routersFailClosed: true })).toMatchObject({ unbroken: true });
    expect(await read(broken.readAtMs)).toMatchObject({ unbroken: true });
  });

  it('tells a router that does not answer at the start, and watches it all the same', async () => {
    await router.stop();
    const { notConnected, openedAtMs } = await run('openWatch', { watchId, routerUrls: [router.url] });
    expect(notConnected).toEqual([{ url: router.url, reason: expect.stringContaining('ECONNREFUSED') as string }]);
    await router.start();
    await waitFor('it is connected', async () => (await read(openedAtMs + 60_000)).unbroken);
  });

  it('says of a router that hangs that it does not answer, however lately it did', async () => {
    const { openedAtMs } = await run('openWatch', { watchId, routerUrls: [router.url] });
    router.behaviour = () => undefined;
    expect(await read(openedAtMs)).toMatchObject({
      unbroken: false,
      reasons: [expect.stringContaining('has not answered for')],
    });
  });

  describe('that another worker takes over', () => {
    const marksOf = new Set<string>();
    let marked: { mark: string; routerUrls: string[] };
    let openedAtMs: number;
    beforeEach(async () => {
      marksOf.clear();
      router.behaviour = (response, { url }) => {
        if (url.startsWith('/coordinator-mark/')) marksOf.add(url);
        if (url === '/metrics') return void response.end([...marksOf].map((path) => `x{route="${path}"} 1`).join('\n'));
        if (url === '/cluster/map') return json(response, { version, shards: [] });
        response.statusCode = 404;
        response.end();
      };
      const opened = await run('openWatch', { watchId, routerUrls: [router.url] });
      openedAtMs = opened.openedAtMs;
      marked = { mark: opened.mark, routerUrls: [router.url] };
      await watches.close(watchId);
    });

    it('is unbroken where the process of every router still has its mark, whatever the clocks say', async () => {
      for (const sinceMs of [openedAtMs, openedAtMs - 3_600_000, openedAtMs + 3_600_000]) {
        await watches.close(watchId);
        expect(await read(sinceMs, { marked })).toMatchObject({
          unbroken: true,
          worker: 'coordinator/default/worker-1',
        });
      }
      const { readAtMs } = await read(openedAtMs, { marked });
      marksOf.clear();
      expect(await read(readAtMs, { marked })).toMatchObject({ unbroken: true });
    });

    it('is broken where a router has restarted meanwhile, also by a clock that is ahead', async () => {
      marksOf.clear();
      expect(await read(openedAtMs + 3_600_000, { marked })).toMatchObject({
        unbroken: false,
        suspects: [{ url: router.url, seeds: 'unknown' }],
      });
    });

    it('is broken where a router that has its mark holds another version', async () => {
      version = 6;
      expect(await read(openedAtMs, { marked })).toMatchObject({ unbroken: false, suspects: [] });
    });
  });

  it('is unbroken when a connection has broken and the process has not', async () => {
    const marksOf = new Set<string>();
    router.behaviour = (response, { url }) => {
      if (url.startsWith('/coordinator-mark/')) marksOf.add(url);
      if (url === '/metrics') response.end([...marksOf].map((path) => `x{route="${path}"} 1`).join('\n'));
      else json(response, { version, shards: [] });
    };
    const { openedAtMs, mark } = await run('openWatch', { watchId, routerUrls: [router.url] });
    await router.stop();
    await router.start();
    const marked = { mark, routerUrls: [router.url] };
    await waitFor('the router is watched again', async () => (await read(openedAtMs, { marked })).unbroken);
    marksOf.clear();
    expect(await read(openedAtMs, { marked })).toMatchObject({ unbroken: false });
  });

  it('counts as broken where it is not known, as in a worker that was restarted', async () => {
    expect(await read(0)).toMatchObject({ unbroken: false, unknown: true, suspects: [] });
    await run('openWatch', { watchId, routerUrls: [router.url] });
    await run('closeWatch', { watchId });
    await run('closeWatch', { watchId });
    expect(await read(0, { routersFailClosed: true })).toMatchObject({ unbroken: false, unknown: true });
    expect(watches.size).toBe(0);
  });
});
