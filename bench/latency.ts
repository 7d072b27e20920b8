/** How soon a grow is answered, and how soon the last router knows of a change. */
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../test/support/free-port';
import { waitFor } from '../test/support/wait-for';
import { NO_WAITS, type Bed, type Coordinator, type Shard } from './bed';
import { ms, type Figure } from './figures';
import { call } from './http';

const ROWS = 2_000;
const GROWS = 5;
const QUIET_ANSWER_MAX_MS = 250;
const FRESH_ANSWER_MAX_MS = 350;
/** A worker that has just begun to work has answered a few queries, and nothing else. */
const SETTLED_MS = 5_000;

const ROUTERS = 50;
const CHANGES = 5;
const OUR_PART_MAX_MS = 150;
const LOOK_EVERY_MS = 100;

export async function measureLatency(bed: Bed): Promise<Figure[]> {
  bed.say(`latency: ${GROWS} grows, one after the other`);
  const donors = await bed.startDonors(ROWS);
  const coordinator = await bed.startCoordinator({ shardUrls: donors.map(({ url }) => url), env: NO_WAITS });
  await delay(SETTLED_MS);
  const answersMs: number[] = [];
  for (let n = 0; n < GROWS; n++) answersMs.push(await answerOfGrow(coordinator, await bed.startShard()));
  const [fresh = NaN, ...quiet] = answersMs;
  return [
    answerFigure('a fresh worker', fresh, FRESH_ANSWER_MAX_MS, 'The first grow after `serve` has started.'),
    answerFigure(
      'a quiet worker',
      medianOf(quiet),
      QUIET_ANSWER_MAX_MS,
      `The median of ${quiet.length} later grows: ${quiet.map(ms).join(' · ')}.`,
    ),
    await changeFigure(bed, coordinator),
  ];
}

/** From the request to its answer, which shows the shard joining. Returns when the grow has ended. */
async function answerOfGrow(coordinator: Coordinator, joiner: Shard): Promise<number> {
  const beganAtMs = performance.now();
  await call('POST', `${coordinator.url}/cluster/shards/grow`, JSON.stringify({ primary_url: joiner.url }));
  const tookMs = performance.now() - beganAtMs;
  await waitFor(
    'the grow has ended',
    async () => {
      const list = (await call('GET', `${coordinator.url}/cluster/operations`)) as {
        operations: { status: string }[];
      };
      return list.operations.every(({ status }) => status === 'succeeded');
    },
    120_000,
  );
  return tookMs;
}

function answerFigure(worker: string, tookMs: number, maxMs: number, how: string): Figure {
  return {
    what: `REST grow to its answer, ${worker}`,
    measured: ms(tookMs),
    goal: `≤ ${ms(maxMs)}`,
    isMet: tookMs <= maxMs,
    how: `${how} ${ROWS} rows on two shards, no router, Temporal of \`serve\`.`,
    values: { tookMs },
  };
}

/** A shard joins and is taken out again, and each time all routers are watched until they hold the new map. */
async function changeFigure(bed: Bed, coordinator: Coordinator): Promise<Figure> {
  bed.say(`latency: ${ROUTERS} routers, ${CHANGES} changes of the map`);
  const routers: string[] = [];
  for (let n = 0; n < ROUTERS; n++) routers.push(await bed.startRouter(coordinator.url, await freePort()));
  const joiner = await bed.startShard();
  const ours: number[] = [];
  const last: number[] = [];
  for (let n = 0; n < CHANGES; n++) {
    const beganAtMs = performance.now();
    const version = await changeMap(coordinator, joiner, n);
    await waitUntilHeld(coordinator.url, version, 1);
    ours.push(performance.now() - beganAtMs);
    await Promise.all(routers.map((url) => waitUntilHeld(url, version, LOOK_EVERY_MS)));
    last.push(performance.now() - beganAtMs);
  }
  const oursMs = medianOf(ours);
  return {
    what: `a change of the map to the last of ${ROUTERS} polling routers`,
    measured: `${ms(oursMs)} until every poll gets it, ${ms(medianOf(last))} until the last router holds it`,
    goal: `our part ≤ ${ms(OUR_PART_MAX_MS)}`,
    isMet: oursMs <= OUR_PART_MAX_MS,
    how:
      `The medians of ${CHANGES} changes by hand (a shard joins, a shard is removed), from the request on. Quiver's routers ask every 2 s, ` +
      `which is the rest. Each router is looked at every ${LOOK_EVERY_MS} ms.`,
    values: { oursMs, lastMs: medianOf(last) },
  };
}

async function changeMap(coordinator: Coordinator, joiner: Shard, n: number): Promise<number> {
  const shards = `${coordinator.url}/cluster/shards`;
  if (n % 2 === 0) {
    const map = await call('POST', `${shards}/joining`, JSON.stringify({ primary_url: joiner.url }));
    return (map as { version: number }).version;
  }
  const { joining } = (await call('GET', `${coordinator.url}/cluster/map`)) as { joining: number[] };
  return ((await call('DELETE', `${shards}/${joining[0]}`)) as { version: number }).version;
}

async function waitUntilHeld(url: string, version: number, everyMs: number): Promise<void> {
  for (;;) {
    const map = (await call('GET', `${url}/cluster/map`)) as { version: number };
    if (map.version >= version) return;
    await delay(everyMs);
  }
}

function medianOf(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}
