/** How activities talk to our own workflows, and the one translation of what goes wrong with that. */
import { ApplicationFailure } from '@temporalio/common';
import type { Client } from '@temporalio/client';
import { pino, type Logger } from 'pino';
import { boundedText } from '../../domain/bounded-text';
import { ClusterClient } from '../../client/cluster-client';
import { ClientError, CutShortError, RefusedError, type ClientErrorCode } from '../../client/calls/errors';
import { clusterWorkflowId } from '../../contract/ids';

/** Below the start-to-close timeouts of the activities, so that a failure says what did not answer. */
const TIMEOUTS = {
  queryMs: 5_000,
  updateMs: 8_000,
  startAnswerMs: 20_000,
  lookMs: 8_000,
  recallMs: 8_000,
  wholeCallMs: 8_000,
};

export interface ClusterClientDeps {
  readonly client: Client;
  readonly logger?: Logger;
}

/** One client per cluster, made at its first use: a worker has one cluster. */
export function clusterClients(deps: ClusterClientDeps): (cluster: string) => ClusterClient {
  const clients = new Map<string, ClusterClient>();
  return (cluster) => {
    const known = clients.get(cluster);
    if (known !== undefined) return known;
    const { connection, options } = deps.client;
    const made = new ClusterClient({
      connection,
      namespace: options.namespace,
      cluster,
      recoverWith: null,
      logger: deps.logger ?? pino({ level: 'silent' }),
      timeouts: TIMEOUTS,
    });
    clients.set(cluster, made);
    return made;
  };
}

/** Total on purpose: a new code of the client must say whether the cluster workflow is gone. Everything else may answer the next time. */
const IS_CLUSTER_GONE: Record<Exclude<ClientErrorCode, 'Refused'>, boolean> = {
  ClusterMissing: true,
  ClusterClosed: true,
  ClusterLost: true,
  Busy: false,
  TemporalUnreachable: false,
  QueryUnknown: false,
  UnknownOperation: false,
  EndedUnannounced: false,
  LockRecovering: false,
  EvaluationFailed: false,
  TransitionUnanswered: false,
  StartUnanswered: false,
  CancelUnanswered: false,
  AdjustUnanswered: false,
  EvaluationUnanswered: false,
  RestoreUnanswered: false,
  HooksUnanswered: false,
  ClusterRuns: false,
  WitnessUnread: false,
  EndedStateUnread: false,
  NothingKnown: false,
};

/**
 * A refusal is final, and its code is the type. An update that was cut short is not: its repeat is harmless.
 * A cluster workflow that is gone is `ClusterStateLost`: an operation waits for a restore (`whenGone: 'retry'`), an evaluation ends,
 * because the next one looks again (`whenGone: 'fail'`).
 */
export function clientFailure(error: unknown, cluster: string, whenGone: 'retry' | 'fail'): unknown {
  if (!(error instanceof ClientError)) return error;
  if (error instanceof CutShortError) {
    const message = `workflow ${clusterWorkflowId(cluster)} ended or was cancelled before it could answer`;
    return ApplicationFailure.create({ message, type: error.unanswered, cause: error });
  }
  const message = boundedText(error.message);
  if (error instanceof RefusedError) {
    return ApplicationFailure.create({ message, type: error.refusal.type, nonRetryable: true });
  }
  if (error.code === 'Refused' || !IS_CLUSTER_GONE[error.code]) {
    return ApplicationFailure.create({ message, type: error.code, cause: error });
  }
  return ApplicationFailure.create({
    type: 'ClusterStateLost',
    message: `expected the running workflow ${clusterWorkflowId(cluster)}, found none: look at GET /readyz, and begin it again with POST /cluster/restore`,
    nonRetryable: whenGone === 'fail',
    cause: error,
  });
}

/** An activity that is one call of the cluster's client, with its errors translated. */
export function clusterActivity<I extends { readonly cluster: string }, R>(
  deps: ClusterClientDeps,
  whenGone: 'retry' | 'fail',
  call: (client: ClusterClient, input: I) => Promise<R>,
): (input: I) => Promise<R> {
  const clientOf = clusterClients(deps);
  return async (input) => {
    try {
      return await call(clientOf(input.cluster), input);
    } catch (error) {
      throw clientFailure(error, input.cluster, whenGone);
    }
  };
}
