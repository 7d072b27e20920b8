/** How long the caller of a grow waits for its answer, on a coordinator that has grown its cluster before. */
import type { Bed } from './bed';
import { ANSWER_MS_MAX, judge, median, runs, type Figure } from './figures';
import { timeGrow } from './grow-run';
import { makeBodies } from './points';

const SHAPE = { points: 1_000, dimensions: 8 };
const GROWS = 5;

export async function measureAnswer(bed: Bed): Promise<readonly Figure[]> {
  bed.say(`answer: ${GROWS} grows of one small cluster, one after the other`);
  const donors = await bed.startDonors(makeBodies(SHAPE), SHAPE.dimensions);
  const shards = [...donors.shards];
  const coordinator = await bed.startCoordinator(donors.urls, {
    COORDINATOR_GRACE_MS: '0',
    COORDINATOR_IN_FLIGHT_MS: '0',
    COORDINATOR_WARM_UP_MS: '0',
  });
  const answers: number[] = [];
  try {
    for (let count = 0; count < GROWS; count++) {
      const urls = shards.map((shard) => shard.url);
      const joiner = await bed.startShard();
      shards.push(joiner);
      answers.push((await timeGrow(bed, coordinator, urls, joiner.url)).answerMs);
    }
  } finally {
    await coordinator.stop();
    await Promise.all(shards.map((shard) => shard.kill()));
  }
  const later = answers.slice(1);
  return [
    {
      what: 'REST call to answer, worker in use',
      limit: `≤ ${ANSWER_MS_MAX} ms`,
      measured: runs(later),
      ratio: median(later) / ANSWER_MS_MAX,
      verdict: judge(median(later) <= ANSWER_MS_MAX),
      how:
        `POST /cluster/shards/grow until its answer, with lock, preflight, creation of the collections and announcement: the second to ` +
        `the last of ${GROWS} grows in a row, each onto a fresh shard, by one \`api\` and one \`worker\`.`,
    },
  ];
}
