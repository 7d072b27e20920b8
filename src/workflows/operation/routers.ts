/** Whether routers hold the operation's version of the map: what they write, and where to, depends on it. */
import { ApplicationFailure } from '@temporalio/workflow';
import { nowMs } from '../clock';
import { counted } from '../web-ui-details';
import type { OperationRun } from './run';

/** What is waited for, in progress.waiting. */
const ROUTERS = 'routers';

/** Design step 4, before the flip: a router that never gets there fails the operation. */
export async function awaitRouters(run: OperationRun, routerUrls: readonly string[]): Promise<string> {
  const lagging = await routersBehind(run, routerUrls);
  if (lagging === null) return routersNote(run, routerUrls);
  throw ApplicationFailure.nonRetryable(
    `not every router adopted map version ${run.state.mapVersion} in ${run.timings.routerPatienceMs} ms: ${lagging}`,
    'RoutersLagging',
  );
}

/** Waits for the routers, bounded. Returns who lags, or null when all are there or, where none can be asked, the grace is over. */
export async function routersBehind(run: OperationRun, routerUrls: readonly string[]): Promise<string | null> {
  const { state, timings, activities } = run;
  if (routerUrls.length === 0) {
    await run.waitUntil(
      nowMs() + timings.graceMs,
      'no router URLs are configured, so routers get a grace to adopt the map',
    );
    state.routersAdoptedAtMs = nowMs();
    return null;
  }
  const version = state.mapVersion;
  run.showWaiting(ROUTERS, {
    reason: `routers are to hold map version ${version}; they ask for it every 2 s`,
    endsWhen: `all of them do (${routerUrls.length} asked), or ${timings.routerPatienceMs} ms are over`,
    sinceMs: nowMs(),
  });
  const { lagging } = await run.persist(`asking routers for map version ${version}`, () =>
    activities
      .patient(
        `wait until all routers hold map version ${version} (${routerUrls.length} asked)`,
        timings.routerPatienceMs,
      )
      .awaitRouters({ routerUrls, version, patienceMs: timings.routerPatienceMs }),
  );
  run.endWaiting(ROUTERS);
  if (lagging.length > 0) return lagging.map((router) => `${router.url} (${router.reason})`).join(', ');
  state.routersAdoptedAtMs = nowMs();
  return null;
}

/** Asks once. A router that restarted serves from its seed map until it polls again. True where none can be asked. */
export async function routersHoldTheMap(run: OperationRun, routerUrls: readonly string[]): Promise<boolean> {
  if (routerUrls.length === 0) return true;
  const { mapVersion: version } = run.state;
  const { lagging } = await run.persist(`asking routers for map version ${version}`, () =>
    run.activities
      .patient(`do all routers hold map version ${version}?`, 0)
      .awaitRouters({ routerUrls, version, patienceMs: 0 }),
  );
  return lagging.length === 0;
}

export function routersNote(run: OperationRun, routerUrls: readonly string[]): string {
  return routerUrls.length === 0
    ? `waited ${run.timings.graceMs} ms for routers that could not be asked`
    : `${counted(routerUrls.length, 'router')} at version ${run.state.mapVersion}`;
}
