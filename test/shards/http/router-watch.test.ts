import { judgeWatch } from '../../../src/domain/router-watch';
import { RouterWatch } from '../../../src/shards/http/router-watch';
import { WatchRegistry } from '../../../src/shards/http/watch-registry';
import { startRouter, type InProcessRouter } from '../../support/in-process-router';
import { json, problem, StubShard, type Behaviour } from '../../support/stub-shard';
import { waitFor } from '../../support/wait-for';

const shard = (id: number) => ({ id, primary_url: `http://s${id}`, replica_urls: [] });
const mapOf = (version: number, ...ids: number[]) => ({ version, shards: ids.map(shard), joining: [], leaving: [] });
const holding =
  (version: number, ...ids: number[]): Behaviour =>
  (response) =>
    json(response, mapOf(version, ...ids));
const KEY = 'shard-key';

let open: { close?: () => Promise<void>; stop?: () => Promise<void> }[] = [];
const keep = <T extends (typeof open)[number]>(each: T): T => {
  open.push(each);
  return each;
};
afterEach(async () => {
  for (const each of open.reverse()) await (each.close?.() ?? each.stop?.());
  open = [];
});

const watch = (url: string, options: { answerTimeoutMs?: number } = {}) =>
  keep(new RouterWatch({ routerUrls: [url], key: KEY, ...options }));
const stateOf = (watched: RouterWatch) => watched.snapshot().routers[0]!;
const judge = (watched: RouterWatch, sinceMs: number, version = 7) =>
  judgeWatch(watched.snapshot(), { sinceMs, version, routersFailClosed: false });

describe('RouterWatch', () => {
  it('asks again and again on one connection, with the key, and notes what the router holds', async () => {
    const sockets = new Set<unknown>();
    const router = keep(
      await new StubShard((response) => {
        sockets.add(response.socket);
        json(response, mapOf(7, 0));
      }).start(),
    );
    const watched = watch(router.url);
    await watched.connected(5_000);
    const sinceMs = watched.snapshot().atMs;
    await waitFor('three answers', () => router.attempts >= 3);
    await watched.ask(5_000);
    expect(stateOf(watched)).toMatchObject({ version: 7, problem: null, breakCount: 0, breaks: [], servedSeeds: [] });
    expect(judge(watched, sinceMs)).toEqual({ unbroken: true });
    expect(sockets.size).toBe(1);
    expect(router.received[0]).toMatchObject({ url: '/cluster/map', headers: { authorization: `Bearer ${KEY}` } });
  });

  it('asks anew when it is told to, and does not take an answer that was under way', async () => {
    let version = 7;
    const router = keep(await new StubShard((response) => json(response, mapOf(version, 0))).start());
    const watched = watch(router.url);
    await watched.connected(5_000);
    version = 8;
    await watched.ask(5_000);
    expect(stateOf(watched).version).toBe(8);
  });

  it('notes the break of a router that restarts on its port, and the seeds that it shows', async () => {
    const coordinator = keep(await new StubShard(holding(7, 0, 1)).start());
    const options = { coordinatorUrl: coordinator.url, shardUrls: ['http://s0'], shardKey: KEY, pollMs: 60_000 };
    const router: InProcessRouter = keep(await startRouter(options));
    const watched = watch(router.url);
    await watched.connected(5_000);
    const sinceMs = watched.snapshot().atMs;
    await watched.ask(5_000);
    expect(judge(watched, sinceMs)).toEqual({ unbroken: true });

    await router.stop();
    await waitFor('the break is noted', () => stateOf(watched).breakCount === 1);
    expect(judge(watched, sinceMs)).toMatchObject({ unbroken: false, suspects: [{ seeds: 'unknown', untilMs: null }] });
    // The process that comes back on the port holds its seeds until its first good poll.
    const port = Number(new URL(router.url).port);
    const seeded = keep(await startOn(port, holding(0, 0)));
    await waitFor('the seeds are noted', () => stateOf(watched).servedSeeds.length > 0);
    seeded.behaviour = holding(7, 0, 1);
    await waitFor('the version is back', () => stateOf(watched).version === 7);
    expect(stateOf(watched).connectedSinceMs).toBeGreaterThan(sinceMs);
    expect(stateOf(watched).servedSeeds).toMatchObject([{ version: 0, shardUrls: ['http://s0'] }]);
    expect(judge(watched, sinceMs)).toMatchObject({ unbroken: false, suspects: [{ seeds: 'live' }] });

    const laterMs = watched.snapshot().atMs + 1;
    await waitFor('time has passed', () => watched.snapshot().atMs > laterMs);
    await watched.ask(5_000);
    expect(judge(watched, laterMs)).toEqual({ unbroken: true });
  });

  it('gives up the connection of a router that hangs, and takes the next one for another', async () => {
    const router = keep(await new StubShard(holding(7, 0)).start());
    const watched = watch(router.url, { answerTimeoutMs: 200 });
    await watched.connected(5_000);
    const sinceMs = watched.snapshot().atMs;
    router.behaviour = () => undefined;
    await waitFor('the break is noted', () => stateOf(watched).breakCount > 0);
    expect(stateOf(watched).breaks[0]?.reason).toBe('no answer within 200 ms');
    router.behaviour = holding(7, 0);
    await waitFor('it answers again', () => stateOf(watched).problem === null);
    expect(judge(watched, sinceMs)).toMatchObject({ unbroken: false });
  });

  it('keeps the connection of a router that refuses, and says what it answers', async () => {
    const router = keep(await new StubShard(holding(7, 0)).start());
    const watched = watch(router.url);
    await watched.connected(5_000);
    const sinceMs = watched.snapshot().atMs;
    router.behaviour = (response) => problem(response, 401, 'missing or invalid API key');
    await watched.ask(5_000);
    expect(stateOf(watched)).toMatchObject({ breakCount: 0, problem: expect.stringContaining('401') as string });
    expect(judge(watched, sinceMs)).toMatchObject({ unbroken: false, suspects: [] });
    router.behaviour = holding(7, 0);
    await watched.ask(5_000);
    expect(judge(watched, sinceMs)).toEqual({ unbroken: true });
  });

  it('notes a version that goes back on a connection that lives', async () => {
    const router = keep(await new StubShard(holding(7, 0, 1)).start());
    const watched = watch(router.url);
    await watched.connected(5_000);
    router.behaviour = holding(6, 0);
    await watched.ask(5_000);
    expect(stateOf(watched)).toMatchObject({ breakCount: 0, servedSeeds: [{ version: 6, shardUrls: ['http://s0'] }] });
  });

  it('notes a break for every answer where a proxy closes the connection each time, without hurry', async () => {
    const router = keep(
      await new StubShard((response) => {
        response.setHeader('connection', 'close');
        json(response, mapOf(7, 0));
      }).start(),
    );
    const watched = watch(router.url);
    const beganMs = watched.snapshot().atMs;
    await waitFor('breaks are noted', () => stateOf(watched).breakCount >= 3);
    const passedMs = watched.snapshot().atMs - beganMs;
    expect(router.attempts).toBeLessThanOrEqual(2 + passedMs / 100);
  });

  it('says that it is not connected where nothing listens, and bounds what it keeps', async () => {
    const watched = watch('http://127.0.0.1:9');
    await watched.connected(300);
    expect(stateOf(watched)).toMatchObject({ connectedSinceMs: null, version: null, breakCount: 0 });
    expect(stateOf(watched).problem).toContain('ECONNREFUSED');
    expect(judge(watched, 0)).toMatchObject({ unbroken: false });
  });
});

describe('WatchRegistry', () => {
  const routerUrls = ['http://127.0.0.1:9'];

  it('finds the watch that is open when it is opened again, and makes another one for other routers', () => {
    const watches = new WatchRegistry();
    keep({ close: () => watches.closeAll() });
    const first = watches.open('a', { routerUrls, key: null });
    expect(watches.open('a', { routerUrls, key: null })).toBe(first);
    expect(watches.open('a', { routerUrls: [], key: null })).not.toBe(first);
    expect(watches.size).toBe(1);
  });

  it('closes a watch that nobody reads', async () => {
    const watches = new WatchRegistry({ unreadMaxMs: 50 });
    keep({ close: () => watches.closeAll() });
    watches.open('a', { routerUrls, key: null });
    await waitFor('it is closed', () => watches.size === 0);
    expect(watches.find('a')).toBeNull();
  });

  it('has room for 64, and gives up the one that was unread for longest', () => {
    const watches = new WatchRegistry();
    keep({ close: () => watches.closeAll() });
    for (let n = 0; n < 64; n++) watches.open(`w${n}`, { routerUrls: [], key: null });
    watches.find('w0');
    watches.open('one more', { routerUrls: [], key: null });
    expect(watches.size).toBe(64);
    expect(watches.find('w0')).not.toBeNull();
    expect(watches.find('w1')).toBeNull();
  });

  it('opens nothing once it is closed', async () => {
    const watches = new WatchRegistry();
    await watches.closeAll();
    expect(() => watches.open('a', { routerUrls, key: null })).toThrow('stopping');
  });
});

/** A stub on a port that was in use a moment ago. */
async function startOn(port: number, behaviour: Behaviour): Promise<StubShard> {
  const stub = new StubShard(behaviour, port);
  return waitFor('the port is free', () => stub.start());
}
