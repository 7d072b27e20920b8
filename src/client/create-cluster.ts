import { readFileSync } from 'node:fs';
import { WorkflowClient, WorkflowExecutionAlreadyStartedError, type Connection } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import type { Logger } from 'pino';
import { ConfigError, type Config } from '../config';
import { adoptState, seedState, type ClusterState } from '../domain/cluster-state';
import { DomainError } from '../domain/errors';
import { normalizeMap } from '../domain/shard-map';
import { stateFileSchema } from '../wire/cluster-map';
import { describeIssues } from '../wire/problem';
import { CLUSTER_WORKFLOW, clusterWorkflowId } from '../contract/ids';
import { clusterStartOptions } from './start-cluster';
import type { ClusterTraces } from './survey';

export interface EnsureClusterOptions {
  readonly connection: Connection;
  readonly config: Pick<Config, 'cluster' | 'seedShards' | 'stateFile' | 'temporal'>;
  readonly traces: Pick<ClusterTraces, 'lostSince'>;
  readonly logger: Logger;
}

/**
 * `closed`: the cluster's workflow has ended. `lost`: it is gone, and others still know the cluster. Both are reported, and never silently begun
 * anew at version 0: that is for POST /cluster/restore to do.
 */
export type EnsuredCluster = 'existed' | 'created' | 'closed' | 'lost';

/**
 * Makes sure that the cluster has its workflow. What exists wins over every setting; else the state file of Quiver's own
 * coordinator; else the configured shards. A cluster that somebody knows a later map of was lost, and is not begun anew. @throws ConfigError
 */
export async function ensureCluster(options: EnsureClusterOptions): Promise<EnsuredCluster> {
  const { config, logger } = options;
  const { namespace } = config.temporal;
  const workflows = new WorkflowClient({ connection: options.connection, namespace });
  const workflowId = clusterWorkflowId(config.cluster);
  const status = await statusOf(workflows, workflowId);
  if (status === 'RUNNING') {
    logger.info({ workflowId }, 'the cluster exists: its state wins over the configured shards');
    return 'existed';
  }
  if (status !== null) return reportClosed(logger, workflowId, status);

  const first = firstState(config);
  const lost = await options.traces.lostSince(first?.state ?? null);
  if (lost !== null) {
    logger.error({ workflowId }, `the cluster is lost and is not begun anew: ${lost}`);
    return 'lost';
  }
  const { state, source } = first ?? refuseToBeginWithout(config.cluster);
  try {
    await workflows.start(CLUSTER_WORKFLOW, {
      ...clusterStartOptions(config.cluster, state),
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

/** Null when the settings name nothing to begin with. @throws ConfigError */
function firstState(config: EnsureClusterOptions['config']): { state: ClusterState; source: string } | null {
  if (config.stateFile !== null) return { state: readStateFile(config.stateFile), source: config.stateFile };
  if (config.seedShards.length > 0) return { state: seedState(config.seedShards), source: 'QUIVER_CLUSTER_SHARDS' };
  return null;
}

function refuseToBeginWithout(cluster: string): never {
  throw new ConfigError(
    `QUIVER_CLUSTER_SHARDS: expected the shards of cluster ${cluster}, which does not exist yet, got none: ` +
      'give for instance [http://s0:6333,http://s1:6333], or QUIVER_COORDINATOR_STATE to take a cluster over',
  );
}

/** @throws ConfigError. Falling back to the configured shards would begin anew at version 0, which routers ignore or misread. */
export function readStateFile(path: string): ClusterState {
  const refuse = (seen: string): never => {
    throw new ConfigError(
      `QUIVER_COORDINATOR_STATE: expected a state file {next_id, map}, got ${path} ${seen}: ` +
        'correct the path or the file, or leave it out for a cluster that never had a coordinator',
    );
  };
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    return refuse(code === undefined ? 'which is not JSON' : `which cannot be read (${code})`);
  }
  const parsed = stateFileSchema.safeParse(content);
  if (!parsed.success) return refuse(`with a mistake (${describeIssues(parsed.error)})`);
  try {
    return adoptState({ next_id: parsed.data.next_id, map: normalizeMap(parsed.data.map) });
  } catch (error) {
    if (error instanceof DomainError) return refuse(`with a mistake (${error.message})`);
    throw error;
  }
}
