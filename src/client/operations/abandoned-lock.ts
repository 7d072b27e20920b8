/**
 * Finds a lock whose holder was ended from outside (terminated, timed out, or gone with its history) and starts the recovery. Every
 * evaluation of the autoscale policy and the API's requests look for it, so no operator has to notice.
 */
import { WorkflowNotFoundError } from '@temporalio/common';
import type { WorkflowClient } from '@temporalio/client';
import type { Logger } from 'pino';
import type { ClusterState } from '../../domain/cluster-state';
import { isBehind, type WitnessedState } from '../../domain/witnessed';
import { recoveryKey } from '../../domain/lock-transitions';
import type { LockLook } from '../../contract/evaluation-activities';
import { witnessQuery, stateQuery, type RecoverInput } from '../../contract/messages';
import type { OperationSettings } from '../../contract/requests';
import {
  clusterWorkflowId,
  operationIdOf,
  operationWorkflowId,
  parseOperationId,
  witnessWorkflowId,
} from '../../contract/ids';
import { operationStartOptions } from './start-operation';

export interface AbandonedLockOptions {
  readonly workflows: WorkflowClient;
  /** Asks closed workflows too: a terminated witness still answers. */
  readonly records: WorkflowClient;
  readonly cluster: string;
  readonly settings: OperationSettings;
  readonly logger: Logger;
}

/**
 * Harmless to call at any time, by any number of callers: the recovery of one lock has one id. A cluster workflow that was rewound shows
 * locks of operations that have ended well. To undo one of these would empty an owner, so such a lock waits until the cluster has caught
 * up with the witness.
 */
export async function recoverAbandonedLock(options: AbandonedLockOptions): Promise<LockLook> {
  const { workflows, cluster, logger } = options;
  const { lock } = await stateOf(options);
  if (lock === null) return { kind: 'free' };
  const { operationId } = lock;
  const diedAtMs = await deathOf(options, operationId);
  if (diedAtMs === null) return { kind: 'held', operationId };
  const witnessed = await witnessedBy(options.records, cluster);
  // Read last. An operation releases its lock before it ends: a lock that is still held after that is abandoned.
  const state = await stateOf(options);
  if (state.lock?.operationId !== operationId) return { kind: 'held', operationId };
  if (witnessed !== null && isBehind(state, witnessed)) {
    logger.warn(
      { operationId, version: state.map.version, witnessedVersion: witnessed.map.version },
      'the lock is held by an operation that has ended, but the cluster workflow was rewound: the lock is recovered after the state of the witness is put back',
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

function stateOf({ workflows, cluster }: AbandonedLockOptions): Promise<ClusterState> {
  return workflows.getHandle(clusterWorkflowId(cluster)).query(stateQuery);
}

/** Null when there is no witness yet. Rejects when it does not answer: unknown is not the same as none (INV-8). */
export async function witnessedBy(records: WorkflowClient, cluster: string): Promise<WitnessedState | null> {
  try {
    return (await records.getHandle(witnessWorkflowId(cluster)).query(witnessQuery)).state;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null;
    throw error;
  }
}

/** Everything else is alive, or unknown, as a lagging replica may say: unknown is not ended (INV-8). */
const ENDED: readonly string[] = ['COMPLETED', 'FAILED', 'CANCELLED', 'TERMINATED', 'TIMED_OUT'];

/** When the operation's workflow ended (ms since the epoch), or null while it runs. */
async function deathOf({ workflows, cluster }: AbandonedLockOptions, operationId: string): Promise<number | null> {
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
