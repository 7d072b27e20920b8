/** The list of routers is state: an operation asks those that the cluster has now, whatever its settings say. */
import { transitionUpdate } from '../../src/contract/messages';
import type { ClusterTransition } from '../../src/contract/cluster';
import { freePort } from '../support/free-port';
import { FAST, refusalOf, type ClusterFixture } from '../support/cluster-fixture';
import { SHARD_KEY } from '../support/in-process-shard';
import { startRouter, type InProcessRouter } from '../support/in-process-router';
import { LocalServer } from '../support/local-server';
import { useCluster } from '../support/use-cluster';
import { waitFor } from '../support/wait-for';

const POINTS = 200;
let cluster: ClusterFixture;
useCluster('routers-state', { points: POINTS }, (started) => (cluster = started));

/** Serves the map to routers as an API does. */
let map: LocalServer;
let router: InProcessRouter;
const routers: InProcessRouter[] = [];

async function addRouter(): Promise<InProcessRouter> {
  const shardUrls = cluster.donors.map(({ url }) => url);
  const started = await startRouter({ coordinatorUrl: map.url, shardUrls, shardKey: SHARD_KEY, pollMs: 300 });
  routers.push(started);
  return started;
}

beforeEach(async () => {
  map = new LocalServer(async (_request, response) => {
    try {
      const body = JSON.stringify(await cluster.map());
      response.writeHead(200, { 'content-type': 'application/json' }).end(body);
    } catch {
      response.writeHead(503).end();
    }
  });
  await map.listen();
  router = await addRouter();
});
afterEach(async () => {
  for (const each of routers.splice(0)) await each.stop();
  await map.stop();
});

const change = (transition: ClusterTransition): Promise<unknown> =>
  cluster.cluster.executeUpdate(transitionUpdate, { args: [transition] });
const put = (...entries: string[]): Promise<unknown> => change({ type: 'setRouters', entries });
const remove = (entry: string): Promise<unknown> =>
  change({ type: 'changeRouters', add: [], remove: [entry], seed: [] });

async function waitsFor(key: string, reason: RegExp): Promise<void> {
  await waitFor(`${key} waits: ${reason.source}`, async () =>
    reason.test((await cluster.progress(key)).waiting?.reason ?? ''),
  );
}

async function isWhole(): Promise<void> {
  expect(await cluster.misplaced('docs')).toEqual([]);
  expect(cluster.allIds('docs')).toHaveLength(POINTS);
}

const timings = { ...FAST, routerPatienceMs: 20_000 };

it('an operation asks the list of the cluster, and not the setting that it was started with', async () => {
  await put(router.url);
  const nobody = `http://127.0.0.1:${await freePort()}`;
  await cluster.announce('a', { routerUrls: [nobody], timings });
  await cluster.operation('a').result();
  const { phases } = await cluster.progress('a');
  const notes = phases.filter(({ phase }) => phase.startsWith('await-routers')).map(({ note }) => note);
  expect(notes).toEqual(['1 router at version 2', '1 router at version 3']);
  await isWhole();
});

it('an operation is refused while a router of the list does not answer, whatever its setting says', async () => {
  await put(router.url, `http://127.0.0.1:${await freePort()}`);
  expect(await refusalOf(cluster.announce('a', { routerUrls: [], timings }))).toBe('RouterUnreachable');
});

it('a name without an address is a router that does not answer, and not no router', async () => {
  await put('dns+http://no-such-name.invalid:6333');
  expect(await refusalOf(cluster.announce('a', { timings }))).toBe('RouterUnreachable');
});

it('a name is resolved, and its addresses are asked', async () => {
  const { port } = new URL(router.url);
  await put(`dns+http://localhost:${port}`);
  await cluster.announce('a', { timings });
  await cluster.operation('a').result();
  await isWhole();
});

it('an operation that waits before its flip for a dead router goes on when the router is removed', async () => {
  const dying = await addRouter();
  await put(router.url, dying.url);
  dying.isPollingPaused = true;
  await cluster.announce('a', { timings: { ...timings, routerPatienceMs: 60_000 } });
  await waitsFor('a', /routers are to hold map version 2/);
  await dying.stop();
  const startedMs = Date.now();
  await remove(dying.url);
  await cluster.operation('a').result();
  expect(Date.now() - startedMs).toBeLessThan(30_000);
  await isWhole();
});

it('an operation that waits behind its flip for a dead router ends when the router is removed', async () => {
  const dying = await addRouter();
  await put(router.url, dying.url);
  await cluster.announce('a', { timings: { ...timings, routerPatienceMs: 3_000 } });
  await waitFor('the joiner is announced to the router', () => Promise.resolve(dying.map.version === 2));
  dying.isPollingPaused = true;
  await waitsFor('a', /a router does not hold map version 3/);
  // The worker that takes over replays all that the operation has asked the cluster.
  await cluster.stopWorker();
  await cluster.startWorker();
  await dying.stop();
  await remove(dying.url);
  await cluster.operation('a').result();
  expect((await cluster.progress('a')).status).toBe('succeeded');
  await isWhole();
});

it('a router that is put into the list while an operation runs is waited for', async () => {
  await put(router.url);
  router.isPollingPaused = true;
  await cluster.announce('a', { timings: { ...timings, routerPatienceMs: 60_000 } });
  await waitsFor('a', /routers are to hold map version 2/);
  const late = await addRouter();
  late.isPollingPaused = true;
  await put(router.url, late.url);
  router.isPollingPaused = false;
  await waitFor('the first one is there', () => Promise.resolve(router.map.version === 2));
  // It holds version 2 since its start.
  await cluster.inPhase('a', 'await-routers-after');
  expect(late.map.version).toBe(2);
  await waitsFor('a', /routers are to hold map version 3/);
  late.isPollingPaused = false;
  await cluster.operation('a').result();
  await isWhole();
});

it('a list that is emptied while an operation waits leaves it the grace', async () => {
  await put(router.url);
  router.isPollingPaused = true;
  await cluster.announce('a', { timings: { ...timings, routerPatienceMs: 60_000 } });
  await waitsFor('a', /routers are to hold map version 2/);
  await put();
  await cluster.operation('a').result();
  await isWhole();
});

it('a list is seeded by the setting of an API, and by a changed one, until it is changed by hand', async () => {
  await change({ type: 'seedRouters', entries: ['http://127.0.0.1:9'] });
  await change({ type: 'seedRouters', entries: [router.url] });
  expect((await cluster.state()).routers).toEqual({ entries: [router.url], isByHand: false });
  await change({ type: 'changeRouters', add: ['http://127.0.0.1:9'], remove: [], seed: [] });
  await change({ type: 'seedRouters', entries: [] });
  expect((await cluster.state()).routers?.entries).toEqual([router.url, 'http://127.0.0.1:9']);
});
