import { ApplicationFailure } from '@temporalio/activity';
import type { LockGuard } from '../../contract/cluster';
import { clusterWorkflowId } from '../../contract/ids';
import { clusterClients, type ClusterClientDeps } from './cluster-clients';
import type { ActivityErrorCode } from './failures';

/** Fails unless the lock is as the operation believes. */
export type ConfirmLock = (guard: LockGuard) => Promise<void>;

/**
 * INV-2, INV-3. An operation knows the lock from its own history. After a reset, a workflow may stand in the middle of an operation that is
 * over. Its copy would overwrite shards that are owners by now, and its undo would empty them. So every activity that touches points asks
 * for the lock first.
 */
export function createConfirmLock(deps: ClusterClientDeps): ConfirmLock {
  const clientOf = clusterClients(deps);
  return async ({ cluster, operationId, stage }) => {
    const lock = await clientOf(cluster)
      .queryLock()
      .catch((error: unknown) => {
        throw lockUnknown(cluster, error);
      });
    if (lock?.operationId !== operationId) {
      throw ApplicationFailure.nonRetryable(
        `expected operation ${operationId} to hold the cluster's lock, ${lock?.operationId ?? 'nobody'} does: it is over, or another one took it over`,
        'NotLockHolder',
      );
    }
    if (lock.stage === stage) return;
    throw ApplicationFailure.nonRetryable(
      `expected the change of operation ${operationId} to be ${stage}, it is ${lock.stage}: its workflow was reset to a step that is over`,
      lock.stage === 'flipped' ? 'PointOfNoReturnPassed' : 'OperationEnded',
    );
  };
}

function lockUnknown(cluster: string, error: unknown): ApplicationFailure {
  const reason = error instanceof Error ? error.message : 'unknown reason';
  return ApplicationFailure.retryable(
    `the workflow ${clusterWorkflowId(cluster)} did not say who holds the lock, so nothing was touched (${reason})`,
    'LockUnknown' satisfies ActivityErrorCode,
  );
}
