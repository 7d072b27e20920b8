/** `npm run demo -- --drain`: a third shard joins, and the first one is drained: it leaves empty, and could be switched off. */
import { startCluster, type DemoCluster } from '../cluster';
import type { Stage } from '../stage';
import { pointsTable, verdictLine } from '../summary';

const POINTS = 20_000;
const DRAINED_ID = 0;

export async function drainScenario(stage: Stage): Promise<boolean> {
  const { terminal } = stage;
  stage.title('A shard of a Quiver cluster is replaced: a third one joins, the first one is drained, clients write on');
  const cluster = await startCluster(stage, { points: POINTS, outsider: 'third one' });
  await cluster.fill();
  await cluster.startClients();
  const before = await cluster.pointsPerShard();

  if (!(await cluster.run('grow', cluster.outsiderUrl, '--wait'))) return false;
  const grown = await cluster.pointsPerShard();

  const isDrained = await cluster.run('drain', String(DRAINED_ID), '--wait', '--yes');
  const drained = await cluster.pointsPerShard();
  stage.lines(pointsTable(terminal, { before, grown, drained }));
  const isEmpty = await tellLeaver(stage, cluster);
  const isRight = await cluster.verify();
  cluster.end([{ what: 'drain another shard', words: 'drain 1 --wait' }]);
  return isDrained && isEmpty && isRight;
}

async function tellLeaver(stage: Stage, cluster: DemoCluster): Promise<boolean> {
  const leaver = (await cluster.pointsPerShard()).find(({ id }) => id === DRAINED_ID);
  const isEmpty = leaver?.place === 'outside' && leaver.points === 0;
  const right = `shard ${DRAINED_ID} is in no map and holds no point: its process can be switched off`;
  const wrong = `shard ${DRAINED_ID} is still in the map, or still holds ${leaver?.points ?? 'unknown'} points`;
  stage.lines([verdictLine(stage.terminal, { isRight: isEmpty, right, wrong }), '']);
  return isEmpty;
}
