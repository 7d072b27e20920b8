import type { ClusterAnswer, ClusterTransition } from '../../contract/cluster';
import type { OperationRun } from './run';

/** Has the cluster workflow apply one transition, and notes where the lock stands then. Repeating it is harmless. */
export async function applyTransition(
  run: OperationRun,
  summary: string,
  transition: ClusterTransition,
  patience: 'limited' | 'forever' = 'limited',
): Promise<ClusterAnswer> {
  const answer = await run.persist(
    summary,
    () => run.activities.transition(summary).changeCluster({ cluster: run.cluster, transition }),
    patience,
  );
  const { state } = run;
  if (answer.limits !== undefined) run.holds.adoptClusterLimits(answer.limits);
  state.lockStage = answer.lock?.operationId === state.progress.operationId ? answer.lock.stage : null;
  return answer;
}
