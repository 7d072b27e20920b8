/**
 * Finds a lock whose holder was ended from outside (terminated, timed out, or gone with its history) and starts the recovery. Asked by
 * every evaluation of the autoscale policy and by the requests that come to the API, so nobody has to know.
 */
import { WorkflowNotFoundError } from '@temporalio/common';
import type { WorkflowClient } from '@temporalio/client';
import type { Logger } from 'pino';
import type { ClusterState } from '../domain/cluster-state';
import { isBehind, type PublishedState } from '../domain/witnessed';
import { recoveryKey } from '../domain/lock-transitions';
import type { LockLook } from '../contract/evaluation-activities';
import { publishedQuery, stateQuery, type RecoverInput } from '../contract/messages';
import type { OperationSettings } from '../contract/requests';
import {
  clusterWorkflowId,
  operationIdOf,
  operationWorkflowId,
  parseOperationId,
  publishedWorkflowId,
} from '../contract/ids';
import { operationStartOptions } from './start-operation';

export interface DeadLockOptions {
  readonly workflows: WorkflowClient;
  /** Asks closed workflows too: the record of what was published tells what it knows also when it was terminated. */
  readonly records: WorkflowClient;
  readonly cluster: string;
  readonly settings: OperationSettings;
  readonly logger: Logger;
}

/**
 * Harmless to call at any time, by any number of callers: the recovery of one lock has one id. A cluster workflow that was rewound shows locks of
 * operations that have long ended well, and to undo one of those would empty an owner: so it is left to whoever puts back what was published.
 */
export async function recoverDeadLock(options: DeadLockOptions): Promise<LockLook> {
  const { workflows, cluster, logger } = options;
  const { lock } = await stateOf(options);
  if (lock === null) return { kind: 'free' };
  const { operationId } = lock;
  const diedAtMs = await deathOf(options, operationId);
  if (diedAtMs === null) return { kind: 'held', operationId };
  const published = await publishedOf(options.records, cluster);
  // Read last. An operation lets go of its lock before it ends: only one that still has it after its end is dead.
  const state = await stateOf(options);
  if (state.lock?.operationId !== operationId) return { kind: 'held', operationId };
  if (published !== null && isBehind(state, published)) {
    logger.warn(
      { operationId, version: state.map.version, publishedVersion: published.map.version },
      'the lock is held by an operation that has ended, but the cluster workflow was rewound: the lock is not recovered before what was published is put back',
    );
    return { kind: 'held', operationId };
  }
  const key = recoveryKey(lock);
  const recovery = operationIdOf('recover', key);
  const input: RecoverInput = { ...options.settings, cluster, key, request: { dead: operationId, diedAtMs } };
  await workflows.start('recover', operationStartOptions('recover', input));
  logger.warn({ operationId, stage: lock.stage, recovery }, 'an operation was ended from outside: recovering its lock');
  return { kind: 'recovering', operationId, recovery };
}

function stateOf({ workflows, cluster }: DeadLockOptions): Promise<ClusterState> {
  return workflows.getHandle(clusterWorkflowId(cluster)).query(stateQuery);
}

/** Null when nothing was published yet. Rejects when the record does not answer: what is unknown is not behind nothing (INV-8). */
export async function publishedOf(records: WorkflowClient, cluster: string): Promise<PublishedState | null> {
  try {
    return (await records.getHandle(publishedWorkflowId(cluster)).query(publishedQuery)).state;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null;
    throw error;
  }
}

/** Everything else is alive, or unknown, as a lagging replica may say: unknown is not ended (INV-8). */
const ENDED: readonly string[] = ['COMPLETED', 'FAILED', 'CANCELLED', 'TERMINATED', 'TIMED_OUT'];

/** When the operation's workflow ended (ms since the epoch), or null while it runs. */
async function deathOf({ workflows, cluster }: DeadLockOptions, operationId: string): Promise<number | null> {
  const parsed = parseOperationId(operationId);
  if (parsed === null) return Date.now();
  try {
    const { status, closeTime } = await workflows
      .getHandle(operationWorkflowId(cluster, parsed.kind, parsed.key))
      .describe();
    if (!ENDED.includes(status.name)) return null;
    return closeTime?.getTime() ?? Date.now();
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return Date.now();
    throw error;
  }
}
