import { ApplicationFailure } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import { lockQuery } from '../../contract/messages';
import { clusterWorkflowId } from '../../contract/ids';
import type { LockGuard } from '../../contract/cluster';
import type { ActivityErrorCode } from './failures';
import { openWorkflows } from '../../client/open-workflows';

const QUERY_TIMEOUT_MS = 5_000;

/** Fails unless the lock is as the operation believes. */
export type ConfirmLock = (guard: LockGuard) => Promise<void>;

/**
 * INV-2, INV-3. An operation knows the lock from its own history, and a workflow that somebody resets begins again in the middle of one that
 * may be over: its copy would overwrite, and its undo would empty, shards that are owners by now. So whatever touches points asks first.
 */
export function createConfirmLock({ client }: { client: Client }): ConfirmLock {
  const workflows = openWorkflows(client);
  return async ({ cluster, operationId, stage }) => {
    const handle = workflows().getHandle(clusterWorkflowId(cluster));
    const lock = await client
      .withDeadline(Date.now() + QUERY_TIMEOUT_MS, () => handle.query(lockQuery))
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
