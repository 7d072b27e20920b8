/** `npm run demo -- --drain`: a third shard joins, and the first one is drained: it leaves empty, and could be switched off. */
import { startCluster, type DemoCluster } from '../cluster';
import type { Stage } from '../stage';
import { callLines, mapChange, pointsTable, verdictLine } from '../summary';

const POINTS = 20_000;
const DRAINED_ID = 0;

export async function drainScenario(stage: Stage): Promise<boolean> {
  const { terminal } = stage;
  stage.title('A shard of a Quiver cluster is replaced: a third one joins, the first one is drained, clients write on');
  const cluster = await startCluster(stage, { points: POINTS, outsider: 'third one' });
  await cluster.fill();
  await cluster.startClients();
  const before = await cluster.pointsPerShard();

  const growing = await cluster.api.grow(cluster.outsiderUrl);
  stage.lines(['', ...callLines(terminal, growing, mapChange(growing.body))]);
  if (!(await cluster.watch(growing.location))) return false;
  const grown = await cluster.pointsPerShard();

  const draining = await cluster.api.drain(DRAINED_ID);
  stage.lines(callLines(terminal, draining, mapChange(draining.body)));
  const isDrained = await cluster.watch(draining.location);

  const drained = await cluster.pointsPerShard();
  stage.lines(pointsTable(terminal, { before, grown, drained }));
  const isEmpty = await tellLeaver(stage, cluster);
  const isRight = await cluster.verify();
  cluster.end([{ what: 'drain another shard', args: (api) => `-X POST ${api}/cluster/shards/1/drain` }]);
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
