/** Which build of a worker runs the workflows of a cluster, under Worker Versioning. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from '@temporalio/client';
import type { Logger } from 'pino';
import { deploymentName } from '../contract/ids';

const CALL_TIMEOUT_MS = 5_000;
/** A worker's first poll makes its build known. */
const KNOWN_SOON_MS = 500;
/** While this worker gets nothing to do, the log says so as often. */
const LOOK_INTERVAL_MS = 30_000;

export interface BuildOptions {
  readonly connection: Connection;
  readonly namespace: string;
  readonly cluster: string;
  /** Null: a worker without a build, which gets nothing to do while some build is the current one. */
  readonly buildId: string | null;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  readonly intervalMs?: number;
}

/**
 * What the deployment says of this worker.
 *
 * - `current`: it runs the workflows.
 * - `waits`: another build is current.
 * - `unknown`: Temporal has not seen its build yet.
 * - `none`: no build is current, so workers without a build run the workflows.
 */
type Standing =
  { readonly kind: 'current' | 'unknown' | 'none' } | { readonly kind: 'waits'; readonly current: string };

/**
 * Tells in the log whether this worker has work. The very first build of a cluster becomes the current one by itself,
 * because nothing would run it otherwise. Later nobody is promoted unasked: the choice may have been taken back.
 */
export async function watchStanding(options: BuildOptions): Promise<void> {
  const { buildId, logger, signal, intervalMs = LOOK_INTERVAL_MS } = options;
  let told = '';
  while (!signal.aborted) {
    let standing: Standing | null = null;
    try {
      standing = await readStanding(options);
      const isNews = JSON.stringify(standing) !== told;
      told = JSON.stringify(standing);
      if (standing.kind === 'current' && isNews) logger.info({ buildId }, 'this build is the current one');
      if (standing.kind === 'waits' || (standing.kind === 'none' && buildId !== null))
        tellWhy(options, standing, isNews);
    } catch (error) {
      // A server without deployments, or a key that may not read them, is no trouble for a worker without a build.
      const level = buildId === null ? 'debug' : 'warn';
      if (told !== 'failed') logger[level]({ err: error, buildId }, 'the current build could not be read');
      told = 'failed';
    }
    const isSoon = standing?.kind === 'unknown';
    await delay(isSoon ? Math.min(KNOWN_SOON_MS, intervalMs) : intervalMs, undefined, { signal }).catch(
      () => undefined,
    );
  }
}

/** A later build waits for its turn, which is in order. A worker without a build would wait for ever. */
function tellWhy({ cluster, namespace, buildId, logger }: BuildOptions, standing: Standing, isNews: boolean): void {
  const set = `temporal worker deployment set-current-version --namespace ${namespace} --deployment-name ${deploymentName(cluster)}`;
  const current = standing.kind === 'waits' ? standing.current : null;
  if (buildId === null) {
    logger.error(
      { current, takeBack: `${set} --unversioned` },
      'this worker gets no workflows, because a build is current and it has none: set COORDINATOR_BUILD_ID, or take the build back',
    );
  } else if (isNews) {
    const promotion = `${set} --build-id ${buildId}`;
    logger.info(
      { buildId, current, promotion },
      'another build is current: make this one current when it may take over',
    );
  }
}

async function readStanding(options: BuildOptions): Promise<Standing> {
  const { connection, namespace, cluster, buildId } = options;
  const name = deploymentName(cluster);
  const { workflowService } = connection;
  const inTime = <T>(call: () => Promise<T>): Promise<T> => connection.withDeadline(Date.now() + CALL_TIMEOUT_MS, call);
  let described;
  try {
    described = await inTime(() => workflowService.describeWorkerDeployment({ namespace, deploymentName: name }));
  } catch (error) {
    if (isNotFound(error)) return { kind: buildId === null ? 'none' : 'unknown' };
    throw error;
  }
  const { workerDeploymentInfo: info, conflictToken } = described;
  const versions = info?.versionSummaries ?? [];
  const current = info?.routingConfig?.currentDeploymentVersion?.buildId ?? '';
  if (current !== '' && current === buildId) return { kind: 'current' };
  if (current !== '') return { kind: 'waits', current };
  if (buildId === null) return { kind: 'none' };
  if (!versions.some(({ deploymentVersion }) => deploymentVersion?.buildId === buildId)) return { kind: 'unknown' };
  const isFirst = versions.length === 1 && info?.routingConfig?.currentVersionChangedTime == null;
  if (!isFirst) return { kind: 'none' };
  // The token makes the second of two first builds fail. It looks again, and finds the other one.
  await inTime(() =>
    workflowService.setWorkerDeploymentCurrentVersion({ namespace, deploymentName: name, buildId, conflictToken }),
  );
  return { kind: 'current' };
}

const NOT_FOUND = 5;
const isNotFound = (error: unknown): boolean => (error as { code?: unknown } | null)?.code === NOT_FOUND;
