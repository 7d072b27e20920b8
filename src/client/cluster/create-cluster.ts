import { WorkflowClient, WorkflowExecutionAlreadyStartedError, type ConnectionLike } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import type { Logger } from 'pino';
import type { ClusterState } from '../../domain/cluster-state';
import { RULES } from '../../domain/rules';
import { mapQuery, transitionUpdate } from '../../contract/messages';
import { CLUSTER_WORKFLOW, clusterWorkflowId } from '../../contract/ids';
import { bounded } from '../calls/bounded';
import { DATA_CONVERTER } from '../calls/large-payloads';
import { clusterStartOptions } from './start-cluster';
import type { ClusterTraces } from './survey';

export interface EnsureClusterOptions {
  readonly connection: ConnectionLike;
  readonly namespace: string;
  readonly cluster: string;
  /** What a new cluster begins with, and where that comes from; null when nothing is configured. Asked only when there is no workflow. */
  readonly firstState: () => { readonly state: ClusterState; readonly source: string } | null;
  readonly traces: Pick<ClusterTraces, 'lostSince'>;
  readonly logger: Logger;
}

/**
 * `closed`: the cluster's workflow has ended. `lost`: it is gone, and others still know the cluster. Both are reported, and never begun again
 * at version 0: that is for a restore. `unconfigured`: there is no cluster and nothing to begin with.
 */
export type EnsuredCluster = 'existed' | 'created' | 'closed' | 'lost' | 'unconfigured';

const RAISE_TIMEOUT_MS = 3_000;

/** Makes sure that the cluster has its workflow. What exists wins over every setting. Rejects as Temporal does, or as `firstState` throws. */
export async function ensureCluster(options: EnsureClusterOptions): Promise<EnsuredCluster> {
  const { namespace, cluster, logger } = options;
  const workflows = new WorkflowClient({ connection: options.connection, namespace, dataConverter: DATA_CONVERTER });
  const workflowId = clusterWorkflowId(cluster);
  const status = await statusOf(workflows, workflowId);
  if (status === 'RUNNING') {
    logger.info({ workflowId }, 'the cluster exists: its state wins over the configured shards');
    await raiseFromZero(workflows, options);
    return 'existed';
  }
  if (status !== null) return reportClosed(logger, workflowId, status);

  const first = options.firstState();
  const lost = await options.traces.lostSince(first?.state ?? null);
  if (lost !== null) {
    logger.error({ workflowId }, `the cluster is lost and is not begun again, GET /readyz says what to do: ${lost}`);
    return 'lost';
  }
  if (first === null) return 'unconfigured';
  const { state, source } = first;
  try {
    await workflows.start(CLUSTER_WORKFLOW, {
      ...clusterStartOptions(cluster, state),
      workflowIdConflictPolicy: 'USE_EXISTING',
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
    });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    return reportClosed(logger, workflowId, 'closed');
  }
  logger.info({ workflowId, source, version: state.map.version, shards: state.map.shards.length }, 'cluster created');
  return 'created';
}

async function statusOf(workflows: WorkflowClient, workflowId: string): Promise<string | null> {
  try {
    const { status } = await workflows.getHandle(workflowId).describe();
    return status.name;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null;
    throw error;
  }
}

function reportClosed(logger: Logger, workflowId: string, status: string): 'closed' {
  logger.error(
    { workflowId, status },
    'the workflow that keeps the map has ended and is not replaced: no map can be served until POST /cluster/restore {"last_known":true}',
  );
  return 'closed';
}

/** The first start of release 0.3 finds clusters of version 0 (see `raiseFromZero` of the domain). A repeat changes nothing. */
async function raiseFromZero(workflows: WorkflowClient, options: EnsureClusterOptions): Promise<void> {
  const { cluster, connection, logger } = options;
  const handle = workflows.getHandle(clusterWorkflowId(cluster));
  const deadlineMs = Date.now() + RAISE_TIMEOUT_MS;
  try {
    await bounded(RAISE_TIMEOUT_MS, new AbortController().signal, () =>
      connection.withDeadline(deadlineMs, async () => {
        const map = await handle.query(mapQuery);
        if (map.version === 0)
          await handle.executeUpdate(transitionUpdate, { args: [{ type: 'raiseFromZero', rules: RULES }] });
      }),
    );
  } catch (error) {
    // Without a worker nobody answers. Only routers that begin with a dead address need it.
    logger.warn(
      { err: error },
      'the map version could not be looked at: a cluster of version 0 is raised by a later start',
    );
  }
}
