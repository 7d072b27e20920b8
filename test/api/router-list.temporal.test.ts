/** What becomes of the list of routers when an API starts again, with the same setting or with another one. */
import pino from 'pino';
import { RouterList } from '../../src/api/router-list';
import { ClusterClient } from '../../src/client/cluster-client';
import type { ClusterFixture, TemporalForTests } from '../support/cluster-fixture';
import { useCluster } from '../support/use-cluster';

const A = 'http://a:6333';
const B = 'dns+http://b:6333';
let cluster: ClusterFixture;
let temporal: TemporalForTests;
useCluster('router-list', { points: 0 }, (started, on) => {
  cluster = started;
  temporal = on;
});

/** An API that starts with this setting, and what it logs. */
async function startApi(...seed: string[]) {
  const logged: string[] = [];
  const client = new ClusterClient({
    connection: temporal.connection,
    namespace: 'default',
    cluster: cluster.name,
    stopping: new AbortController().signal,
    recoverWith: null,
    logger: pino({ level: 'silent' }),
  });
  const list = new RouterList({
    seed,
    client,
    findRouters: (entries) => Promise.resolve({ routers: entries.map((url) => ({ url, entry: url })), unknown: [] }),
    addressesOf: () => Promise.resolve([]),
    askRouter: () => Promise.resolve({ version: 1, map: null }),
    pollers: { list: () => [] },
    logger: pino({ level: 'warn' }, { write: (line: string) => void logged.push(line) }),
  });
  await list.start(new AbortController().signal);
  return { list, client, logged };
}

it('a setting seeds the list, a changed one does so again after a restart, and an empty one empties nothing', async () => {
  expect(await (await startApi(A)).list.entries()).toEqual([A]);
  expect((await cluster.state()).routers).toEqual({ entries: [A], isByHand: false });
  expect(await (await startApi(B)).list.entries()).toEqual([B]);
  const { list, logged } = await startApi();
  expect(await list.entries()).toEqual([B]);
  expect(logged.join()).toContain('names no router');
});

it('a list that was changed by hand survives a restart of the API, whose changed setting is told as such', async () => {
  const { client } = await startApi(A);
  await client.applyTransition({ type: 'changeRouters', add: [B], remove: [], seed: [A] });
  const again = await startApi(A);
  expect(await again.list.entries()).toEqual([A, B]);
  expect(again.list.lastKnown).toEqual([A, B]);
  expect(await again.list.view()).toMatchObject({ entries: [A, B], routers: [{ url: A, version: 1, lag: 0 }, {}] });
  expect(again.logged.join()).toContain('differs from the list of routers');
});

it('a cluster without a list keeps none where the setting names none', async () => {
  const { list, client } = await startApi();
  expect(await client.queryRouters()).toBeNull();
  expect(await list.entries()).toEqual([]);
  expect('routers' in (await cluster.state())).toBe(false);
});

it('a list is known to a worker that is started anew', async () => {
  const { client } = await startApi(A);
  await client.applyTransition({ type: 'setRouters', entries: [B] });
  await cluster.stopWorker();
  await cluster.startWorker();
  expect(await client.queryRouters()).toEqual([B]);
});
