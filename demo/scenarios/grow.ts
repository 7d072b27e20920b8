/** `npm run demo`: one command makes a cluster of two shards grow by a third one. */
import { startCluster } from '../cluster';
import type { Stage } from '../stage';
import { pointsTable } from '../summary';

const POINTS = 50_000;

export async function growScenario(stage: Stage): Promise<boolean> {
  stage.title('A Quiver cluster grows from two shards to three while clients write to it');
  const cluster = await startCluster(stage, { points: POINTS, outsider: 'third one' });
  await cluster.fill();
  await cluster.startClients();
  const before = await cluster.pointsPerShard();

  const isGrown = await cluster.run('grow', cluster.outsiderUrl, '--wait');

  const after = await cluster.pointsPerShard();
  stage.lines(pointsTable(stage.terminal, { before, after }));
  const isRight = await cluster.verify();
  cluster.end();
  return isGrown && isRight;
}
