/** What clients of a router feel of a grow: read from followers, and read from the primaries themselves. */
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../test/support/free-port';
import {} from '../test/support/real-quiver';
import { bareStopMs } from './bare-mover';
import type { Bed, Shard } from './bed';
import { ms, ratioText, rowsText, type Figure } from './figures';
import { grow, type Grown } from './grow-run';
import type { BenchOptions } from './options';
import { COLLECTION, idOf, payloadOf, placementBefore, vectorOf } from './rows';
import { latencyOf, latencyText, SteadyLoad, type Latency, type Request, type Sample } from './steady-load';
import { lengthOf, longestStops, outside, SLOW_MS, stopsIn } from './stops';

const GETS_PER_SECOND = 50;
const WRITES_PER_SECOND = 50;
const FOLLOWER_P99_MAX = 3;
const PRIMARY_P99_MAX = 5;
const STOPS_MAX = 2;
const STOP_RATIO_MAX = 1.2;
const KINDS = ['get', 'write'] as const;

type ReadFrom = 'followers' | 'primaries';

interface Felt {
  readonly quiet: readonly Sample[];
  readonly moving: readonly Sample[];
  readonly grown: Grown;
  /** By donor: how long one bare scan stops it. */
  readonly bareStops: readonly number[];
}

export async function measureClients(bed: Bed, options: BenchOptions): Promise<Figure[]> {
  const fromFollowers = await feel(bed, options, 'followers');
  await bed.end();
  const fromPrimaries = await feel(bed, options, 'primaries');
  return [...followerFigures(fromFollowers, options), ...primaryFigures(fromPrimaries, options)];
}

async function feel(bed: Bed, { clientRows, quietMs }: BenchOptions, readFrom: ReadFrom): Promise<Felt> {
  bed.say(`clients: ${rowsText(clientRows)} sealed rows, read from ${readFrom}`);
  const donors = await bed.startDonors(clientRows);
  const followers = readFrom === 'followers' ? await Promise.all(donors.map((donor) => bed.startFollower(donor))) : [];
  const bareStops: number[] = [];
  for (const donor of donors) bareStops.push(await bareStopMs(donor));
  const { coordinator, routerUrl } = await startCluster(bed, donors, followers);
  const joiner = await bed.startDonor();

  const load = new SteadyLoad(GETS_PER_SECOND + WRITES_PER_SECOND, requestsOf(routerUrl, clientRows));
  load.start();
  // The first requests open connections.
  await delay(1_000);
  load.take();
  await delay(quietMs);
  const quiet = load.take();
  const grown = await grow(bed, coordinator, joiner);
  const moving = await load.stop();
  reportPhases(bed, moving, grown);
  for (const kind of KINDS) {
    bed.say(`  ${kind} quiet: ${latencyText(latencyOf(of(quiet, kind)))}`);
    bed.say(`  ${kind} during the grow: ${latencyText(latencyOf(of(moving, kind)))}`);
  }
  const source = readFrom === 'followers' ? 'follower' : 'primary';
  const wrong = grown.sources.find((each) => each.source !== source);
  if (wrong !== undefined) throw new Error(`shard ${wrong.shard_id} was read by its ${wrong.source}: ${wrong.reason}`);
  return { quiet, moving, grown, bareStops };
}

/** Which phase of the grow the clients feel most. */
function reportPhases(bed: Bed, moving: readonly Sample[], { spans }: Grown): void {
  for (const { phase, startMs, endMs } of spans) {
    const begun = moving.filter((sample) => sample.startMs >= startMs && sample.startMs < endMs);
    if (begun.length > 0) bed.say(`  in ${phase}: ${latencyText(latencyOf(begun))} of ${begun.length} requests`);
  }
}

async function startCluster(
  bed: Bed,
  donors: readonly Shard[],
  followers: readonly Shard[],
): Promise<{ coordinator: Awaited<ReturnType<Bed['startCoordinator']>>; routerUrl: string }> {
  const [apiPort, routerPort] = [await freePort(), await freePort()];
  const replicas = followers.map(({ url }, id) => `${id}=${url}`);
  const coordinator = await bed.startCoordinator({
    shardUrls: donors.map(({ url }) => url),
    port: apiPort,
    env: {
      COORDINATOR_ROUTER_URLS: `http://127.0.0.1:${routerPort}`,
      COORDINATOR_ROUTERS_FAIL_CLOSED: 'true',
      COORDINATOR_WARM_UP_MS: '0',
      ...(replicas.length > 0 ? { QUIVER_CLUSTER_REPLICAS: `[${replicas.join(',')}]` } : {}),
    },
  });
  return { coordinator, routerUrl: await bed.startRouter(coordinator.url, routerPort) };
}

/** Gets and writes in turn, of ids at random. A write changes the payload. */
function requestsOf(routerUrl: string, rows: number): (count: number) => Request {
  const plan = placementBefore();
  return (count) => {
    const index = Math.floor(Math.random() * rows);
    const id = idOf(index);
    const shardId = plan.ownerOf(Buffer.from(id));
    const points = `${routerUrl}/v1/collections/${COLLECTION}/points`;
    if (count % 2 === 0) return { kind: 'get', method: 'GET', url: `${points}/${id}`, shardId };
    const point = { id, vector: Array.from(vectorOf(index)), payload: JSON.parse(payloadOf(index + count)) as unknown };
    return { kind: 'write', method: 'POST', url: points, body: JSON.stringify({ points: [point] }), shardId };
  };
}

// ---- Figures ----

function followerFigures({ quiet, moving, grown }: Felt, { clientRows }: BenchOptions): Figure[] {
  const refused = moving.filter(({ refusal }) => refusal !== null);
  const comparisons = KINDS.map((kind) => compare(kind, of(quiet, kind), of(moving, kind)));
  return [
    ...comparisons.map(({ kind, before, during, ratio }) => ({
      what: `${kind}s through a router during a grow that reads followers, ${rowsText(clientRows)} rows`,
      measured: `p99 ${ratioText(ratio)} × quiet (${latencyText(during)}; quiet ${latencyText(before)})`,
      goal: `p99 ≤ ${FOLLOWER_P99_MAX} × quiet`,
      isMet: ratio <= FOLLOWER_P99_MAX,
      how: `${RATE} Default waits for routers, no index is built. Each donor has one follower, with its rows sealed but for the last 8 MiB.`,
      values: { ...before, p99During: during.p99, longestDuring: during.longest, growMs: grown.wholeMs },
    })),
    refusedFigure('followers', refused, moving.length),
  ];
}

function primaryFigures({ quiet, moving, grown, bareStops }: Felt, { clientRows }: BenchOptions): Figure[] {
  const stops = stopsIn(moving);
  const counted = longestStops(stops, STOPS_MAX);
  const calm = outside(moving, counted);
  const ratios = counted.map((stop) => lengthOf(stop) / (bareStops[stop.shardId ?? 0] ?? NaN));
  const longestRatio = Math.max(0, ...ratios);
  const perShard = bareStops.map((_bare, id) => stops.filter(({ shardId }) => shardId === id).length);
  const comparisons = KINDS.map((kind) => compare(kind, of(quiet, kind), of(calm, kind)));
  return [
    {
      what: `stops of a primary that is read during a grow, ${rowsText(clientRows)} rows`,
      measured: `${perShard.join(' and ')} a donor, the longest ${ratioText(longestRatio)} × a bare bootstrap (${counted.map((stop) => ms(lengthOf(stop))).join(' · ')}; bare ${bareStops.map(ms).join(' · ')})`,
      goal: `≤ ${STOPS_MAX} a donor, each ≤ ${STOP_RATIO_MAX} ×`,
      isMet: Math.max(...perShard) <= STOPS_MAX && longestRatio <= STOP_RATIO_MAX,
      how:
        `As the clients felt it: a stop is the time in which requests to one donor took longer than ${SLOW_MS} ms, from the start of the ` +
        'first to the end of the last. The bare bootstrap is the time until the first message of `Replicate` before any client came. The operation ' +
        `itself tells of ${grown.sources.map(({ shard_id, stops_ms }) => `shard ${shard_id}: ${stops_ms.map(ms).join(' · ')}`).join('; ')}.`,
      values: { bareStops, stops: stops.map(lengthOf), perShard },
    },
    ...comparisons.map(({ kind, before, during, ratio }) => ({
      what: `${kind}s through a router during a grow that reads primaries, outside of the stops`,
      measured: `p99 ${ratioText(ratio)} × quiet (${latencyText(during)}; quiet ${latencyText(before)})`,
      goal: `p99 ≤ ${PRIMARY_P99_MAX} × quiet, longest ≤ ${SLOW_MS} ms`,
      isMet: ratio <= PRIMARY_P99_MAX && during.longest <= SLOW_MS,
      how: `${RATE} The two longest stops of each donor are left out, with every request that one of them touched.`,
      values: { ...before, p99During: during.p99, longestDuring: during.longest, growMs: grown.wholeMs },
    })),
    refusedFigure(
      'primaries',
      moving.filter(({ refusal }) => refusal !== null),
      moving.length,
    ),
  ];
}

const RATE = `${GETS_PER_SECOND} gets and ${WRITES_PER_SECOND} writes a second of single points at random, sent whether or not earlier ones were answered.`;

function refusedFigure(readFrom: ReadFrom, refused: readonly Sample[], all: number): Figure {
  const first = refused[0]?.refusal ?? '';
  return {
    what: `requests refused during a grow that reads ${readFrom}`,
    measured: `${refused.length} of ${rowsText(all)}${first === '' ? '' : ` (${first})`}`,
    goal: '0',
    isMet: refused.length === 0,
    how: 'Every other answer than 200, the time-outs of the client included.',
    values: { refused: refused.length, all },
  };
}

interface Comparison {
  readonly kind: string;
  readonly before: Latency;
  readonly during: Latency;
  /** Of the 99th percentiles. */
  readonly ratio: number;
}

function compare(kind: string, quiet: readonly Sample[], moving: readonly Sample[]): Comparison {
  const [before, during] = [latencyOf(quiet), latencyOf(moving)];
  return { kind, before, during, ratio: during.p99 / before.p99 };
}

const of = (samples: readonly Sample[], kind: string): Sample[] => samples.filter((sample) => sample.kind === kind);
