/** How long the map's readers wait while a move runs, in the one process that does both. */
import { setTimeout as delay } from 'node:timers/promises';
import { NO_WAITS, type Bed } from './bed';
import { ratioText, rowsText, type Figure } from './figures';
import { grow } from './grow-run';
import type { BenchOptions } from './options';
import { latencyOf, latencyText, SteadyLoad } from './steady-load';

/** As many as 100 routers send. */
const READS_PER_SECOND = 50;
const P99_RATIO_MAX = 2;

export async function measureMap(bed: Bed, { clientRows, quietMs }: BenchOptions): Promise<Figure[]> {
  bed.say(`map: ${READS_PER_SECOND} reads a second, ${rowsText(clientRows)} sealed rows`);
  const donors = await bed.startDonors(clientRows);
  const joiner = await bed.startDonor();
  const coordinator = await bed.startCoordinator({ shardUrls: donors.map(({ url }) => url), env: NO_WAITS });
  const url = `${coordinator.url}/cluster/map`;
  const load = new SteadyLoad(READS_PER_SECOND, () => ({ kind: 'map', method: 'GET', url, shardId: null }));
  load.start();
  // The first reads start the queries, and load their code.
  await delay(3_000);
  load.take();
  await delay(quietMs);
  const quiet = load.take();
  const { wholeMs } = await grow(bed, coordinator, joiner);
  const moving = await load.stop();

  const [before, during] = [latencyOf(quiet), latencyOf(moving)];
  const refused = moving.filter(({ refusal }) => refusal !== null).length;
  const ratio = during.p99 / before.p99;
  return [
    {
      what: `map reads of \`serve\` while a move of ${rowsText(clientRows)} rows runs`,
      measured: `p99 ${ratioText(ratio)} × quiet (${latencyText(during)}; quiet ${latencyText(before)}; ${refused} refused)`,
      goal: `p99 ≤ ${P99_RATIO_MAX} × quiet, none refused`,
      isMet: ratio <= P99_RATIO_MAX && refused === 0,
      how:
        `${READS_PER_SECOND} \`GET /cluster/map\` a second, as 100 routers send, before a grow and until its end. One \`serve\` process is API ` +
        'and worker; Temporal and the shards share the machine’s cores with it.',
      values: { ...before, p99During: during.p99, longestDuring: during.longest, refused, growMs: wholeMs },
    },
  ];
}
