import { patched } from '@temporalio/workflow';
import type { ClusterAnswer, ClusterTransition } from '../../contract/cluster';
import type { OperationState } from '../../contract/operation-state';
import { PATCHES } from '../patches';
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
  if (answer.limits !== undefined && patched(PATCHES.limitsOfCluster)) run.holds.adoptClusterLimits(answer.limits);
  noteRouters(state, answer);
  state.lockStage = answer.lock?.operationId === state.progress.operationId ? answer.lock.stage : null;
  return answer;
}

/** Whether there are routers to ask is the cluster's word from now on, and not that of the settings. */
export function noteRouters(state: OperationState, { routers }: ClusterAnswer): void {
  if (routers !== undefined && patched(PATCHES.routersAreState)) state.routerEntries = routers;
}
