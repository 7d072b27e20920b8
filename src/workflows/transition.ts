import type { ClusterAnswer, ClusterTransition } from '../activities/contract';
import type { OperationRun } from './operation-run';

/** Has the cluster workflow apply one transition. Repeating it is harmless. */
export function applyTransition(
  run: OperationRun,
  summary: string,
  transition: ClusterTransition,
  patience: 'limited' | 'forever' = 'limited',
): Promise<ClusterAnswer> {
  return run.persist(
    summary,
    () => run.activities.transition(summary).changeCluster({ cluster: run.cluster, transition }),
    patience,
  );
}
