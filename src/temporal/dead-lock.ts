/**
 * Finds a lock whose holder was ended from outside (terminated, timed out, or gone with its history) and starts the recovery. Asked by
 * every evaluation of the autoscale policy and by the requests that come to the API, so nobody has to know.
 */
import { WorkflowNotFoundError } from '@temporalio/common';
import type { WorkflowClient } from '@temporalio/client';
import type { Logger } from 'pino';
import type { ClusterState, OperationLock } from '../domain/cluster-state';
import { recoveryKey } from '../domain/lock-transitions';
import {
  clusterWorkflowId,
  operationIdOf,
  operationWorkflowId,
  parseOperationId,
  stateQuery,
  type OperationSettings,
  type RecoverInput,
} from '../workflows/messages';
import { operationStartOptions } from './operation-start';

export type LockLook =
  | { readonly kind: 'free' }
  | { readonly kind: 'held'; readonly operationId: string }
  /** `operationId` is dead, `recovery` takes over from it. */
  | { readonly kind: 'recovering'; readonly operationId: string; readonly recovery: string };

export interface DeadLockOptions {
  readonly workflows: WorkflowClient;
  readonly cluster: string;
  readonly settings: OperationSettings;
  readonly logger: Logger;
}

/** Harmless to call at any time, by any number of callers: the recovery of one lock has one id. */
export async function recoverDeadLock(options: DeadLockOptions): Promise<LockLook> {
  const { workflows, cluster, logger } = options;
  const lock = await lockOf(options);
  if (lock === null) return { kind: 'free' };
  const { operationId } = lock;
  const diedAtMs = await deathOf(options, operationId);
  // An operation lets go of its lock before it ends: only one that still has it after its end is dead.
  if (diedAtMs === null || (await lockOf(options))?.operationId !== operationId) return { kind: 'held', operationId };
  const key = recoveryKey(lock);
  const recovery = operationIdOf('recover', key);
  const input: RecoverInput = { ...options.settings, cluster, key, request: { dead: operationId, diedAtMs } };
  await workflows.start('recover', operationStartOptions('recover', input));
  logger.warn({ operationId, stage: lock.stage, recovery }, 'an operation was ended from outside: recovering its lock');
  return { kind: 'recovering', operationId, recovery };
}

async function lockOf({ workflows, cluster }: DeadLockOptions): Promise<OperationLock | null> {
  const state: ClusterState = await workflows.getHandle(clusterWorkflowId(cluster)).query(stateQuery);
  return state.lock;
}

/** When the operation's workflow ended (ms since the epoch), or null while it runs. */
async function deathOf({ workflows, cluster }: DeadLockOptions, operationId: string): Promise<number | null> {
  const parsed = parseOperationId(operationId);
  if (parsed === null) return Date.now();
  try {
    const { status, closeTime } = await workflows
      .getHandle(operationWorkflowId(cluster, parsed.kind, parsed.key))
      .describe();
    if (status.name === 'RUNNING' || status.name === 'PAUSED') return null;
    return closeTime?.getTime() ?? Date.now();
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return Date.now();
    throw error;
  }
}
