import type { Client } from '@temporalio/client';
import type { Logger } from 'pino';
import { recoverDeadLock } from '../../client/abandoned-lock';
import type { AutoscaleActivities } from '../../contract/evaluation-activities';
import { clusterCallFailure } from './observe-cluster';
import { openWorkflows } from '../../client/open-workflows';

/** Two looks at the lock, one at its holder, and the start of a recovery. */
const LOOK_TIMEOUT_MS = 8_000;

/** Harmless to repeat, and to do twice at once: the recovery of one lock has one id. */
export function createLookAfterLock(deps: { client: Client; logger: Logger }): AutoscaleActivities['lookAfterLock'] {
  const workflows = openWorkflows(deps.client);
  return async ({ cluster, settings }) => {
    try {
      return await deps.client.withDeadline(Date.now() + LOOK_TIMEOUT_MS, () =>
        recoverDeadLock({
          workflows: workflows(),
          records: deps.client.workflow,
          cluster,
          settings,
          logger: deps.logger,
        }),
      );
    } catch (error) {
      throw clusterCallFailure(error, cluster);
    }
  };
}
