/** How many map reads one process serves, against a plain Node server, and how it serves 20,000 routers. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Bed, Coordinator } from './bed';
import { ms, ratioText, rowsText, type Figure } from './figures';
import { KEY } from './http';
import { PollLoad, type Polls } from './poll-load';

const CONNECTIONS = 64;
const CLOSED_LOOP_MS = 10_000;
const WARM_UP_MS = 3_000;
const RATE_RATIO_MIN = 0.7;
const P99_RATIO_MAX = 2;

const ROUTERS = 20_000;
const ROUTER_INTERVAL_MS = 2_000;
const ROUTERS_MS = 20_000;
const ROUTERS_P99_MAX_MS = 250;
/** For what a process has open beside the connections of routers. */
const SPARE_FILES = 600;

export async function measureReads(bed: Bed): Promise<Figure[]> {
  const shardUrls = [(await bed.startDonor()).url, (await bed.startDonor()).url];
  const figures: Figure[] = [];
  const start = (maxAgeMs: number): Promise<Coordinator> =>
    bed.startCoordinator({
      shardUrls,
      env: { COORDINATOR_MAP_MAX_AGE_MS: String(maxAgeMs), COORDINATOR_CONNECTIONS_MAX: String(ROUTERS + 100) },
    });
  const coordinator = await start(100);
  const constant = await constantBodyLike(coordinator.url);
  bed.say(`map reads: ${CONNECTIONS} connections, one after the other`);
  const plain = await closedLoop(constant.url);
  const ours = await closedLoop(coordinator.url);
  constant.stop();
  figures.push(againstPlain(plain, ours), await twentyThousandRouters(bed, coordinator));
  await coordinator.stop();

  const exact = await start(0);
  figures.push(forInformation(plain, await closedLoop(exact.url)));
  await exact.stop();
  return figures;
}

async function closedLoop(url: string): Promise<Polls> {
  const load = new PollLoad({ url, connections: CONNECTIONS, intervalMs: 0, isConditional: false });
  await load.connect();
  await load.run(WARM_UP_MS);
  const polls = await load.run(CLOSED_LOOP_MS);
  load.close();
  return polls;
}

/** Plain Node with the body and the headers of `url`'s map, in a process of its own. */
async function constantBodyLike(url: string): Promise<{ url: string; stop(): void }> {
  const answer = await fetch(`${url}/cluster/map`, { headers: { authorization: `Bearer ${KEY}` } });
  const args = [join(__dirname, 'constant-body.cjs'), await answer.text(), answer.headers.get('etag') ?? ''];
  const server = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  process.once('exit', () => server.kill());
  const [port] = (await once(server.stdout, 'data')) as [Buffer];
  return { url: `http://127.0.0.1:${String(port).trim()}`, stop: () => void server.kill() };
}

function againstPlain(plain: Polls, ours: Polls): Figure {
  const [rate, p99] = [rateOf(ours) / rateOf(plain), p99Of(ours) / p99Of(plain)];
  return {
    what: `map reads, ${CONNECTIONS} connections, against plain Node with the same body and headers`,
    measured: `${ratioText(rate)} × (${rateText(ours)}, plain ${rateText(plain)}); p99 ${ratioText(p99)} × (${ms(p99Of(ours))} and ${ms(p99Of(plain))})`,
    goal: `≥ ${RATE_RATIO_MIN} ×, p99 ≤ ${P99_RATIO_MAX} ×`,
    isMet: rate >= RATE_RATIO_MIN && p99 <= P99_RATIO_MAX && ours.failed === 0,
    how: `Each connection asks again as soon as it is answered, for ${CLOSED_LOOP_MS / 1_000} s. One \`serve\` process is API and worker. The load and Temporal share the cores with both.`,
    values: { ours: rateOf(ours), plain: rateOf(plain), oursP99: p99Of(ours), plainP99: p99Of(plain) },
  };
}

function forInformation(plain: Polls, exact: Polls): Figure {
  return {
    what: 'the same with `COORDINATOR_MAP_MAX_AGE_MS=0`',
    measured: `${ratioText(rateOf(exact) / rateOf(plain))} × (${rateText(exact)}, p99 ${ms(p99Of(exact))})`,
    goal: '',
    isMet: null,
    how: 'Every answer comes from a query that began after its request.',
    values: { exact: rateOf(exact), exactP99: p99Of(exact) },
  };
}

async function twentyThousandRouters(bed: Bed, coordinator: Coordinator): Promise<Figure> {
  const connections = Math.min(ROUTERS, openFilesMax() - SPARE_FILES);
  // Fewer connections ask as often together.
  const intervalMs = Math.floor((ROUTER_INTERVAL_MS * connections) / ROUTERS);
  bed.say(`map reads: ${rowsText(connections)} connections, each every ${intervalMs} ms`);
  const load = new PollLoad({ url: coordinator.url, connections, intervalMs, isConditional: true });
  await load.connect();
  await load.run(WARM_UP_MS);
  const polls = await load.run(ROUTERS_MS);
  load.close();
  const p99 = p99Of(polls);
  return {
    what: `${rowsText(ROUTERS)} simulated routers that poll every ${ROUTER_INTERVAL_MS / 1_000} s, one API`,
    measured: `p99 ${ms(p99)} at ${rateText(polls)}, ${rowsText(polls.unchanged)} of ${rowsText(polls.answers)} answered with 304, ${polls.failed} failed`,
    goal: `p99 ≤ ${ROUTERS_P99_MAX_MS} ms, none failed`,
    isMet: p99 <= ROUTERS_P99_MAX_MS && polls.failed === 0,
    how: `${rowsText(connections)} kept-alive connections, as many as one process of this machine may open, each ${intervalMs} ms after its last answer. They ask with the ETag that they know.`,
    values: { connections, p99, answers: polls.answers, unchanged: polls.unchanged, failed: polls.failed },
  };
}

function openFilesMax(): number {
  const limit = execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }).trim();
  return limit === 'unlimited' ? Number.POSITIVE_INFINITY : Number(limit);
}

const rateOf = ({ answers, seconds }: Polls): number => answers / seconds;
const rateText = (polls: Polls): string => `${rowsText(Math.round(rateOf(polls)))}/s`;

function p99Of({ latenciesMs }: Polls): number {
  const sorted = [...latenciesMs].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length * 0.99)] ?? NaN;
}
