/** The events of a real grow, through the listening app on a real Temporal. */
import { pino } from 'pino';
import { createEventHub } from '../../../src/api/events/sources';
import { MapReader } from '../../../src/api/map/reader';
import { ClusterClient } from '../../../src/client/cluster-client';
import { HistoryStamps } from '../../../src/client/operations/history-stamps';
import { operationViewSchema } from '../../../src/wire/coordinator-api';
import { ApiServer, KEYS } from '../../support/api-server';
import { FAST, type ClusterFixture, type TemporalForTests } from '../../support/cluster-fixture';
import { EventReader } from '../../support/event-reader';
import { useCluster } from '../../support/use-cluster';

let cluster: ClusterFixture;
let temporal: TemporalForTests;
useCluster('events', { points: 400 }, (started, on) => {
  cluster = started;
  temporal = on;
});

let api: ApiServer;
let queries: number;
const readers: EventReader[] = [];
beforeEach(async () => {
  queries = 0;
  const logger = pino({ level: 'silent' });
  const parts = { connection: temporal.connection, namespace: 'default', cluster: cluster.name };
  const client = new ClusterClient({ ...parts, logger, recoverWith: null });
  const stamps = new HistoryStamps(parts);
  const mapReader = new MapReader({ queryMap: () => client.queryMap() });
  const counted = {
    ...deps(client),
    queryState: () => {
      queries += 1;
      return client.queryState();
    },
  };
  const events = createEventHub({ client: counted, mapReader, stamps, ...parts, webUiUrl: 'http://ui', logger });
  api = await ApiServer.start({
    client: counted,
    cluster: cluster.name,
    mapReader,
    events,
    settings: { routerUrls: [], timings: FAST, searchAttributes: false },
  });
});
afterEach(async () => {
  for (const reader of readers.splice(0)) reader.close();
  await api.close();
});

function deps(client: ClusterClient) {
  return {
    queryMap: () => client.queryMap(),
    applyTransition: (...args: Parameters<ClusterClient['applyTransition']>) => client.applyTransition(...args),
    startOperation: (...args: Parameters<ClusterClient['startOperation']>) => client.startOperation(...args),
    queryProgress: (...args: Parameters<ClusterClient['queryProgress']>) => client.queryProgress(...args),
    describeOperation: (...args: Parameters<ClusterClient['describeOperation']>) => client.describeOperation(...args),
    cancelOperation: (...args: Parameters<ClusterClient['cancelOperation']>) => client.cancelOperation(...args),
    queryRouters: (...args: Parameters<ClusterClient['queryRouters']>) => client.queryRouters(...args),
    adjustOperation: (...args: Parameters<ClusterClient['adjustOperation']>) => client.adjustOperation(...args),
    clusterFailingTask: () => client.clusterFailingTask(),
  };
}

async function open(path: string, lastId?: string): Promise<EventReader> {
  const reader = await EventReader.open(`${api.url}${path}`, {
    key: KEYS.read,
    ...(lastId === undefined ? {} : { lastId }),
  });
  readers.push(reader);
  return reader;
}

it('tells a grow from its start to done, to two readers alike and to one that comes back, and rests while nothing happens', async () => {
  // Its history has begun once it answers.
  await cluster.map();
  const ofCluster = await open('/cluster/events');
  await ofCluster.next('map', ({ version }) => version === 1);
  const atRest = queries;
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  // Only the stamps of histories were looked at.
  expect(queries).toBe(atRest);

  const grown = await api.call('/cluster/shards/grow', {
    method: 'POST',
    headers: { 'Idempotency-Key': 'watched' },
    body: cluster.address(cluster.joiner),
  });
  expect(grown.status).toBe(200);
  const path = '/cluster/operations/grow-watched/events';
  const [one, two] = await Promise.all([open(path), open(path)]);
  await one.next('operation');
  await two.next('operation');
  const lost = two.lastId;
  two.close();
  const held = (await api.call('/cluster/operations/grow-watched')).headers.get('etag') ?? '';
  const waited = await api.call('/cluster/operations/grow-watched', {
    headers: { Prefer: 'wait=30', 'If-None-Match': held },
  });
  expect([waited.status, waited.headers.get('etag') === held]).toEqual([200, false]);

  const again = await open(path, lost);
  const done = operationViewSchema.parse(await again.next('done', undefined, 60_000));
  await Promise.all([one.ended(), again.ended()]);
  expect(done).toMatchObject({ id: 'grow-watched', status: 'succeeded' });
  // What was missed is there, and nothing twice. One may have come a state later than the other.
  const begin = Math.max(Number(one.seen[0]?.id), Number(two.seen[0]?.id));
  const since = (readers: EventReader[]): string[] =>
    readers.flatMap(({ seen }) =>
      seen.filter(({ id }) => Number(id) >= begin).map(({ id, event }) => `${id} ${event}`),
    );
  expect(since([two, again])).toEqual(since([one]));
  expect(again.seen.length).toBeGreaterThan(1);
  expect(done).toEqual((await api.call('/cluster/operations/grow-watched')).json);

  const { version } = await cluster.map();
  await ofCluster.next('map', (data) => data['version'] === version);
  await ofCluster.next('operation', (data) => data['id'] === 'grow-watched' && data['status'] === 'succeeded');
});
