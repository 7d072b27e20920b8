/** `npm run demo -- --autoscale`: points come in until a shard is above the policy's mark, and the policy grows the cluster by a standby. */
import { setTimeout as delay } from 'node:timers/promises';
import { startCluster, type DemoCluster } from '../cluster';
import { PolicyWatch } from '../policy-watch';
import type { Stage } from '../stage';
import { callLines, pointsTable, verdictLine, type PointsSeen } from '../summary';
import { count } from '../terminal';

const POINTS = 30_000;
/** Of one shard: two of them are below it until nearly all points are there, three of them afterwards too. */
const HIGH_WATER_POINTS = 14_000;
const INTERVAL_SECS = 2;
/** So that some evaluations see the shards fill. */
const BETWEEN_BATCHES_MS = 1_000;

export async function autoscaleScenario(stage: Stage): Promise<boolean> {
  stage.title('A Quiver cluster fills up, and its policy grows it by a standby; nobody calls for it');
  const cluster = await startCluster(stage, { points: POINTS, outsider: 'standby' });
  await setPolicy(stage, cluster);
  const watch = new PolicyWatch(stage, cluster, HIGH_WATER_POINTS);
  watch.start();
  await cluster.fill(
    () => delay(BETWEEN_BATCHES_MS),
    () => watch.loadLines(),
  );
  const before = await tellLoads(stage, watch);
  await cluster.startClients();

  const isGrown = await grow({ stage, cluster, watch });
  await tellLoads(stage, watch);
  const isCooling = await coolDown({ stage, cluster, watch });
  await watch.stop();

  const after = await cluster.pointsPerShard();
  stage.lines(pointsTable(stage.terminal, { before, after }));
  const isRight = await cluster.verify();
  cluster.end([{ what: 'look at the policy', words: 'autoscale' }]);
  return isGrown && isCooling && isRight;
}

interface Scene {
  readonly stage: Stage;
  readonly cluster: DemoCluster;
  readonly watch: PolicyWatch;
}

async function setPolicy(stage: Stage, { api, outsiderUrl }: DemoCluster): Promise<void> {
  const { terminal } = stage;
  const set = await api.setPolicy({
    enabled: true,
    high_water_points: HIGH_WATER_POINTS,
    interval_secs: INTERVAL_SECS,
  });
  const { interval_secs } = set.body.policy;
  const meaning = `from now on it looks every ${interval_secs} s whether a shard is above ${count(HIGH_WATER_POINTS)} points`;
  const added = await api.addStandby(outsiderUrl);
  stage.lines([
    '',
    ...callLines(terminal, set, meaning),
    ...callLines(terminal, added, `standbys: ${added.body.standbys.map((each) => each.primary_url).join(', ')}`),
    '',
  ]);
}

/** True when an evaluation started a grow and the grow succeeded. */
async function grow({ stage, cluster, watch }: Scene): Promise<boolean> {
  const { operation_id } = await stage.step('mark passed', async (say) => {
    say('until the next evaluation');
    const result = await watch.decision((each) => each.operation_id !== null);
    return { result, note: 'the policy has started a grow' };
  });
  stage.lines(['']);
  return cluster.watch(operation_id ?? '');
}

/** True when an evaluation after the grow says that it is too early for another one. */
async function coolDown({ stage, cluster, watch }: Scene): Promise<boolean> {
  const { terminal } = stage;
  await watch.decision((each) => each.reason === 'cooling_down');
  const answer = await cluster.api.autoscale();
  const { cooldown_left_secs, standbys, evaluations, notices } = answer.body;
  const facts = `${evaluations.length} evaluations kept, ${standbys.length} standbys left, ${notices.length} notices`;
  stage.lines(['', ...callLines(terminal, answer, facts), '']);
  const isRight = cooldown_left_secs > 0 && standbys.length === 0;
  const right = `the policy took the standby, and begins no other grow for ${cooldown_left_secs} s`;
  const wrong = `${standbys.length} standbys are left, and the cooldown has ${cooldown_left_secs} s left`;
  stage.lines([verdictLine(terminal, { isRight, right, wrong }), '']);
  return isRight;
}

/** The last look at the shards stays on the screen. */
async function tellLoads(stage: Stage, watch: PolicyWatch): Promise<PointsSeen> {
  const loads = await watch.readLoads();
  stage.lines(watch.loadLines());
  return loads;
}
