/** Ours against Quiver's own coordinator: the same grow of the same sealed rows, each on shards of its own. */
import { setTimeout as delay } from 'node:timers/promises';
import { waitFor } from '../test/support/wait-for';
import type { Bed, Shard } from './bed';
import { ms, ratioText, rowsText, type Figure } from './figures';
import { call } from './http';
import type { BenchOptions } from './options';
import { countPoints } from './rows';
import { growOfSize } from './sized-grow';

const FLIP_RATIO_MAX = 1 / 15;
const WHOLE_RATIO_MAX = 1 / 10;
const TIMEOUT_MS = 3_600_000;
const POLL_MS = 200;
/** Without a change for this long it has ended, although points are left behind. */
const STILL_MS = 60_000;

interface OwnTimes {
  /** From the announced map until its first point arrived on the joiner: mostly its fixed wait for routers. */
  readonly waitMs: number;
  readonly flipMs: number;
  readonly wholeMs: number;
  /** Of points that are on two shards when nothing changes any more. */
  readonly leftBehind: number;
}

export async function measureOwn(bed: Bed, { ownRows }: BenchOptions): Promise<Figure[]> {
  const { grown } = await growOfSize(bed, ownRows);
  bed.say(`own: Quiver's own coordinator, ${rowsText(ownRows)} sealed rows`);
  const donors = await bed.startDonors(ownRows);
  const joiner = await bed.startDonor();
  const own = await growByOwn(bed, { donors, joiner, rows: ownRows });
  const spans = {
    flip: { ours: grown.announceToFlipMs, own: own.flipMs - own.waitMs },
    whole: { ours: grown.wholeMs, own: own.wholeMs - own.waitMs },
  };
  const how =
    `${rowsText(ownRows)} sealed rows, a quiet cluster, one run each. Neither side’s waits for routers count: ours are set to 0, and ` +
    `the ${ms(own.waitMs)} until the first point of Quiver’s own arrived are left out. Neither builds an index.`;
  return [
    {
      what: `announce to flip against Quiver’s own coordinator, ${rowsText(ownRows)} rows`,
      ...compared(spans.flip, FLIP_RATIO_MAX),
      how,
    },
    {
      what: `whole grow against Quiver’s own coordinator, ${rowsText(ownRows)} rows`,
      ...compared(spans.whole, WHOLE_RATIO_MAX),
      how:
        `${how} Quiver’s own has ended when no shard’s count changes any more; ${rowsText(own.leftBehind)} points were left on ` +
        'shards that do not own them. Ours has a proof in it.',
    },
  ];
}

function compared(
  { ours, own }: { ours: number; own: number },
  ratioMax: number,
): Pick<Figure, 'measured' | 'goal' | 'isMet' | 'values'> {
  return {
    measured: `1/${(own / ours).toFixed(1)} (${ms(ours)} and ${ms(own)})`,
    goal: `≤ 1/${Math.round(1 / ratioMax)}`,
    isMet: ours / own <= ratioMax,
    values: { oursMs: ours, ownMs: own, ratio: ratioText(ours / own) },
  };
}

async function growByOwn(
  bed: Bed,
  { donors, joiner, rows }: { donors: readonly Shard[]; joiner: Shard; rows: number },
): Promise<OwnTimes> {
  const coordinator = await bed.startQuiversOwn(donors.map(({ url }) => url));
  await call('POST', `${coordinator.url}/cluster/shards/grow`, JSON.stringify({ primary_url: joiner.url }));
  const announcedMs = performance.now();
  const sinceMs = (): number => performance.now() - announcedMs;
  await waitFor('Quiver’s own copies', () => countOrZero(joiner.url).then((count) => count > 0), TIMEOUT_MS);
  const waitMs = sinceMs();
  await waitFor('Quiver’s own flips', () => hasFlipped(coordinator.url, donors.length + 1), TIMEOUT_MS);
  const flipMs = sinceMs();
  const all = [...donors, joiner];
  const { endMs, points } = await untilStill(all, rows);
  const own = { waitMs, flipMs, wholeMs: endMs - announcedMs, leftBehind: points - rows };
  bed.say(`  flip ${ms(flipMs)}, whole ${ms(own.wholeMs)}, of which ${ms(waitMs)} before the first point`);
  return own;
}

async function hasFlipped(url: string, shards: number): Promise<boolean> {
  const map = (await call('GET', `${url}/cluster/map`)) as { joining: readonly number[]; shards: unknown[] };
  if (map.shards.length !== shards) throw new Error('the joiner has left the map');
  return map.joining.length === 0;
}

/** Until each point is on one shard, or nothing has changed for STILL_MS; that wait does not count. */
async function untilStill(shards: readonly Shard[], rows: number): Promise<{ endMs: number; points: number }> {
  let points = -1;
  let endMs = performance.now();
  while (performance.now() - endMs < STILL_MS) {
    const counts = await Promise.all(shards.map(({ url }) => countPoints(url)));
    const now = counts.reduce((sum, count) => sum + count, 0);
    if (now !== points) {
      points = now;
      endMs = performance.now();
    }
    if (points === rows) break;
    await delay(POLL_MS);
  }
  return { endMs, points };
}

/** The collection is not there at first. */
const countOrZero = (url: string): Promise<number> => countPoints(url).catch(() => 0);
