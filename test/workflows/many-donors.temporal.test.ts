/** More donors than are worked on at once: the drop of the last ones begins when what was known of the routers is old. */
import { setTimeout as delay } from 'node:timers/promises';
import type { createActivities } from '../../src/activities';
import { type ClusterFixture, FAST } from '../support/cluster-fixture';
import { startRouter, type InProcessRouter } from '../support/in-process-router';
import { SHARD_KEY } from '../support/in-process-shard';
import { LocalServer } from '../support/local-server';
import { useCluster } from '../support/use-cluster';

const DONORS = 10;
/** So many are worked on at once. */
const LANES = 8;
/** Longer than a drop may go by what was read before. */
const HELD_MS = 6_000;
const REOPENING_MS = 3_000;
/** A step is held up behind its last heartbeat. */
const TIMINGS = { ...FAST, warmUpMs: 0, attemptMs: 60_000, heartbeatMs: 30_000 };

type Activities = ReturnType<typeof createActivities>;

let cluster: ClusterFixture;
let map: LocalServer;
let router: InProcessRouter;
/** Of each drop that began: whether it took the routers for watched. */
let drops: boolean[];
let heldUp: Promise<void> | null;
/** A break is found by one donor alone, and the others go on while the watch is being opened anew. */
let isFoundByOne: boolean;
let onReopening: () => void;
let isReopening: Promise<void>;

function wrap(activities: Activities): Activities {
  const dropFromDonor: Activities['dropFromDonor'] = async (input) => {
    const nth = drops.push(input.isWatchUnbroken);
    const result = await activities.dropFromDonor(input);
    if (nth <= LANES) await (heldUp ??= restartRouter());
    if (isFoundByOne && nth > 1) await isReopening;
    return result;
  };
  const openWatch: Activities['openWatch'] = async (input) => {
    if (heldUp !== null) {
      onReopening();
      await delay(REOPENING_MS);
    }
    return activities.openWatch(input);
  };
  return { ...activities, dropFromDonor, openWatch };
}

// Before the cluster goes, or the last polls would wait for a worker.
afterEach(async () => {
  await router.stop();
  await map.stop();
});

useCluster('many-donors', { points: 300, shards: DONORS, wrap }, (started) => {
  cluster = started;
  drops = [];
  heldUp = null;
  isFoundByOne = false;
  isReopening = new Promise((resolve) => (onReopening = resolve));
});

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
  router = await start(0);
});
function start(port: number): Promise<InProcessRouter> {
  const shardUrls = cluster.donors.map(({ url }) => url);
  return startRouter({ coordinatorUrl: map.url, shardUrls, shardKey: SHARD_KEY, pollMs: 200, port });
}

async function restartRouter(): Promise<void> {
  const port = Number(new URL(router.url).port);
  await router.stop();
  router = await start(port);
  await delay(HELD_MS);
}

it.each([
  ['by the donors whose turn comes then', false],
  ['by one of them, while the next one asks already', true],
])('has a restart found %s', async (_, byOne) => {
  isFoundByOne = byOne;
  await cluster.announce('a', { routerUrls: [router.url], timings: TIMINGS });
  await cluster.operation('a').result();
  expect(drops).toEqual(Array.from({ length: DONORS }, (_, nth) => nth < LANES));
  expect(await cluster.misplaced('docs')).toEqual([]);
});
