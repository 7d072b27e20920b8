/** The move of a grow against a bare loop and against Quiver's own coordinator: 100,000 points, 2 donors, 1 joiner, nobody else. */
import { waitFor } from '../test/support/wait-for';
import { bareCopy, bareDrop } from './bare-loop';
import { call, countPoints, createCollection, type Bed, type Donors } from './bed';
import { KEY } from './coordinator-run';
import { ANSWER_MS_MAX, judge, median, ms, runs, type Figure } from './figures';
import { timeGrow, type GrowTimes } from './grow-run';
import { makeBodies, type ShardBodies } from './points';

const SHAPE = { points: 100_000, dimensions: 64 };
const COPY_RATIO_MAX = 1.5;
const FLIP_RATIO_MAX = 1 / 8;
const ROUNDS = 3;
const OWN_TIMEOUT_MS = 420_000;
const NO_WAITING = { COORDINATOR_GRACE_MS: '0', COORDINATOR_IN_FLIGHT_MS: '0', COORDINATOR_WARM_UP_MS: '0' };

const SETTING = `${SHAPE.points.toLocaleString('en')} points × ${SHAPE.dimensions} dimensions, 2 donors → 1 joiner, quiet cluster`;

export async function measureMove(bed: Bed): Promise<readonly Figure[]> {
  const bodies = makeBodies(SHAPE);
  const bareCopies: number[] = [];
  const grows: GrowTimes[] = [];
  for (let round = 1; round <= ROUNDS; round++) {
    bed.say(`move, round ${round} of ${ROUNDS}: bare loop, then a grow, on the same donors`);
    await withDonors(bed, bodies, async (donors) => {
      bareCopies.push((await bareCopyOnto(bed, donors)).elapsedMs);
      grows.push(await grow(bed, donors, NO_WAITING));
    });
  }
  bed.say('move: a grow with the index warm-up');
  const warm = await withDonors(bed, bodies, (donors) =>
    grow(bed, donors, { COORDINATOR_GRACE_MS: '0', COORDINATOR_IN_FLIGHT_MS: '0' }),
  );
  bed.say('move: the bare loop, copy and drop');
  const dropMs = await withDonors(bed, bodies, async (donors) => {
    const { elapsedMs, idsByDonor } = await bareCopyOnto(bed, donors);
    bareCopies.push(elapsedMs);
    return bareDrop(donors.urls, idsByDonor, KEY);
  });
  bed.say("move: Quiver's own coordinator (about 45 s)");
  const own = await withDonors(bed, bodies, (donors) => quiversOwn(bed, donors));
  return figures({ bareCopies, grows, warm, bareDropMs: dropMs, own });
}

async function withDonors<T>(
  bed: Bed,
  bodies: readonly ShardBodies[],
  work: (donors: Donors) => Promise<T>,
): Promise<T> {
  const donors = await bed.startDonors(bodies, SHAPE.dimensions);
  try {
    return await work(donors);
  } finally {
    await Promise.all(donors.shards.map((shard) => shard.kill()));
  }
}

async function bareCopyOnto(bed: Bed, donors: Donors): ReturnType<typeof bareCopy> {
  const joiner = await bed.startShard();
  try {
    await createCollection(joiner.url, donors.dimensions);
    const copy = await bareCopy(donors.urls, joiner.url, KEY);
    bed.say(`  bare copy ${ms(copy.elapsedMs)}`);
    return copy;
  } finally {
    await joiner.kill();
  }
}

async function grow(bed: Bed, donors: Donors, env: Readonly<Record<string, string>>): Promise<GrowTimes> {
  const joiner = await bed.startShard();
  const coordinator = await bed.startCoordinator(donors.urls, env);
  try {
    return await timeGrow(bed, coordinator, donors.urls, joiner.url);
  } finally {
    await coordinator.stop();
    await joiner.kill();
  }
}

interface OwnTimes {
  readonly announceToFlipMs: number;
  /** From the announced map until its first point arrived on the joiner: mostly its fixed wait for routers. */
  readonly waitMs: number;
}

async function quiversOwn(bed: Bed, donors: Donors): Promise<OwnTimes> {
  const joiner = await bed.startShard();
  const coordinator = await bed.startQuiverCoordinator(donors.urls);
  try {
    await call('POST', `${coordinator.url}/cluster/shards/grow`, JSON.stringify({ primary_url: joiner.url }));
    const announcedMs = performance.now();
    const holdsPoints = (): Promise<boolean> =>
      countPoints(joiner.url).then(
        (count) => count > 0,
        () => false,
      );
    await waitFor("Quiver's own coordinator copies", holdsPoints, OWN_TIMEOUT_MS);
    const waitMs = performance.now() - announcedMs;
    const hasFlipped = async (): Promise<boolean> => {
      const map = (await call('GET', `${coordinator.url}/cluster/map`)) as {
        joining: readonly number[];
        shards: unknown[];
      };
      if (map.shards.length !== donors.urls.length + 1) throw new Error('the joiner has left the map');
      return map.joining.length === 0;
    };
    await waitFor("Quiver's own coordinator flips", hasFlipped, OWN_TIMEOUT_MS);
    const announceToFlipMs = performance.now() - announcedMs;
    bed.say(`  announce to flip ${ms(announceToFlipMs)}, of which ${ms(waitMs)} before the first point`);
    return { announceToFlipMs, waitMs };
  } finally {
    await coordinator.kill();
    await joiner.kill();
  }
}

interface Measured {
  readonly bareCopies: readonly number[];
  readonly grows: readonly GrowTimes[];
  readonly warm: GrowTimes;
  readonly bareDropMs: number;
  readonly own: OwnTimes;
}

function figures({ bareCopies, grows, warm, bareDropMs, own }: Measured): readonly Figure[] {
  const copies = grows.map((times) => times.copyMs);
  const flips = grows.map((times) => times.announceToFlipMs);
  const answers = grows.map((times) => times.answerMs);
  const drops = grows.map((times) => times.dropMs);
  const copyRatio = median(copies) / median(bareCopies);
  const ownWorkMs = own.announceToFlipMs - own.waitMs;
  const flipRatio = median(flips) / ownWorkMs;
  return [
    {
      what: 'copy phase against a bare loop',
      limit: `≤ ${COPY_RATIO_MAX} × ${runs(bareCopies)}`,
      measured: runs(copies),
      ratio: copyRatio,
      verdict: judge(copyRatio <= COPY_RATIO_MAX),
      how:
        `${SETTING}. The copy phase by the operation's own timestamps, which include Temporal. The bare loop is sequential: it ` +
        'fetches pages of 10,000 from each donor, parses them, keeps what the joiner will own and bulk-upserts it, one request ' +
        'at a time; it compares nothing, survives nothing, and sends numbers through JSON.parse.',
    },
    {
      what: "announce to flip against Quiver's own coordinator",
      limit: `≤ 1/8 of ${ms(ownWorkMs)}`,
      measured: runs(flips),
      ratio: flipRatio,
      verdict: judge(flipRatio <= FLIP_RATIO_MAX),
      how:
        `${SETTING}. Ours without the wait for routers (COORDINATOR_GRACE_MS=0, COORDINATOR_IN_FLIGHT_MS=0) and without the index warm-up, with the whole ` +
        `reconcile. Quiver's own took ${ms(own.announceToFlipMs)}, one run; the ${ms(own.waitMs)} until its first point arrived, its ` +
        'fixed wait for routers, are left out.',
    },
    {
      what: 'announce to flip with the index warm-up',
      limit: '',
      measured: ms(warm.announceToFlipMs),
      ratio: warm.announceToFlipMs / ownWorkMs,
      verdict: 'for information',
      how: `As above with the default COORDINATOR_WARM_UP_MS, one run; the ratio is against Quiver's own, which builds no index.`,
    },
    {
      what: 'REST call to answer, first grow of a worker',
      limit: `≤ ${ANSWER_MS_MAX} ms`,
      measured: runs(answers),
      ratio: median(answers) / ANSWER_MS_MAX,
      verdict: judge(median(answers) <= ANSWER_MS_MAX),
      how: `${SETTING}. As below, but by a worker and an api that have just been started and have never done it before.`,
    },
    {
      what: 'drop phase against a bare delete loop',
      limit: '',
      measured: runs(drops),
      ratio: median(drops) / bareDropMs,
      verdict: 'for information',
      how:
        `The bare loop took ${ms(bareDropMs)}, one run: it deletes the ids that it has just moved, in batches of 10,000. Ours first ` +
        'compares each donor with the joiner and deletes only what the joiner holds (INV-5).',
    },
    {
      what: 'whole grow, from its start to its confirmed end',
      limit: '',
      measured: runs(grows.map((times) => times.totalMs)),
      ratio: null,
      verdict: 'for information',
      how: `${SETTING}, without waiting for routers and without the index warm-up.`,
    },
  ];
}
