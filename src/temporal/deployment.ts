import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from '@temporalio/client';
import type { Logger } from 'pino';
import { deploymentName } from '../contract/ids';

const PAUSE_MS = 500;
/** A worker's first poll makes its build known. */
const PATIENCE_MS = 60_000;

export interface BuildOptions {
  readonly connection: Connection;
  readonly namespace: string;
  readonly cluster: string;
  readonly buildId: string;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  readonly patienceMs?: number;
}

/**
 * A deployment's first build becomes the current one by itself, because nothing would run without one. A later one
 * waits until somebody makes it current, and the log says how.
 */
export async function joinDeployment(options: BuildOptions): Promise<void> {
  const { cluster, buildId, namespace, logger, signal, patienceMs = PATIENCE_MS } = options;
  const name = deploymentName(cluster);
  const promotion = `temporal worker deployment set-current-version --namespace ${namespace} --deployment-name ${name} --build-id ${buildId}`;
  for (let waitedMs = 0; !signal.aborted; waitedMs += PAUSE_MS) {
    try {
      const current = await promoteFirst(options, name);
      if (current === buildId) logger.info({ buildId, deployment: name }, 'this build is the current one');
      else
        logger.info(
          { buildId, current, promotion },
          'another build is current: make this one current when it may take over',
        );
      return;
    } catch (error) {
      if (waitedMs >= patienceMs) {
        logger.error({ err: error, buildId, promotion }, 'the current build could not be read: make this one current');
        return;
      }
      await delay(PAUSE_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}

/** Returns the build that is current. Throws while Temporal does not know this one. */
async function promoteFirst(options: BuildOptions, name: string): Promise<string> {
  const { connection, namespace, buildId } = options;
  const { workflowService } = connection;
  const { workerDeploymentInfo: info, conflictToken } = await workflowService.describeWorkerDeployment({
    namespace,
    deploymentName: name,
  });
  const isKnown = info?.versionSummaries?.some(({ deploymentVersion }) => deploymentVersion?.buildId === buildId);
  if (isKnown !== true) throw new Error(`Temporal does not know the build ${buildId} yet`);
  const current = info?.routingConfig?.currentDeploymentVersion?.buildId ?? '';
  if (current !== '') return current;
  // The token makes the second of two first builds fail. It looks again, and finds the other one.
  await workflowService.setWorkerDeploymentCurrentVersion({ namespace, deploymentName: name, buildId, conflictToken });
  return buildId;
}
