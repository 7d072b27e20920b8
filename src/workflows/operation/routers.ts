/** Whether routers hold the operation's version of the map: what they write, and where to, depends on it. */
import { ApplicationFailure } from '@temporalio/workflow';
import { samplesOf } from '../../domain/bounded-text';
import { nowMs } from '../clock';
import { counted } from '../wording';
import type { OperationRun } from './run';
import { applyTransition } from './transition';

/** An operation that depends on routers. `routerUrls` is empty where none can be asked. */
interface AsksRouters {
  readonly run: OperationRun;
  readonly routerUrls: readonly string[];
}

/** What is waited for, in progress.waiting. */
const ROUTERS = 'routers';
const LAGGING = 'lagging routers';

/** Before the flip: a router that does not get there in time fails the operation. */
export async function awaitRouters(context: AsksRouters): Promise<string> {
  const { run } = context;
  const lagging = await routersBehind(context);
  if (lagging === null) return routersNote(context);
  throw ApplicationFailure.nonRetryable(
    `not every router adopted map version ${run.state.mapVersion} in ${run.timings.routerPatienceMs} ms: ${lagging}`,
    'RoutersLagging',
  );
}

/** After the flip: it waits, visibly, for as long as a router lags. */
export async function awaitRoutersForever(context: AsksRouters): Promise<string> {
  const { run } = context;
  const { state } = run;
  const sinceMs = nowMs();
  for (;;) {
    const lagging = await routersBehind(context);
    if (lagging === null) {
      run.waits.end(LAGGING);
      return routersNote(context);
    }
    run.waits.begin(LAGGING, {
      reason: `a router does not hold map version ${state.mapVersion}: ${lagging}`,
      endsWhen: 'it does',
      sinceMs,
    });
    await run.checkpoint();
    // A restore of the cluster gives the same map a higher version.
    const { operationId } = state.progress;
    const what = 'which version does the map have?';
    const { map } = await applyTransition(run, what, { type: 'confirmHeld', operationId });
    state.mapVersion = map.version;
  }
}

/** Waits for the routers, bounded. Returns who lags, or null when all are there or, where none can be asked, the grace is over. */
export async function routersBehind({ run, routerUrls }: AsksRouters): Promise<string | null> {
  const { state, timings, activities } = run;
  if (routerUrls.length === 0) {
    await run.waits.until(
      nowMs() + timings.graceMs,
      'no router URLs are configured, so routers get a grace to adopt the map',
    );
    state.routersAdoptedAtMs = nowMs();
    return null;
  }
  await run.renewAddresses();
  const version = state.mapVersion;
  run.waits.begin(ROUTERS, {
    reason: `routers are to hold map version ${version}; they ask for it every 2 s`,
    endsWhen: `all of them do (${routerUrls.length} asked), or ${timings.routerPatienceMs} ms are over`,
    sinceMs: nowMs(),
  });
  const { lagging, more = 0 } = await run.persist(`asking routers for map version ${version}`, () =>
    activities
      .patient(
        `wait until all routers hold map version ${version} (${routerUrls.length} asked)`,
        timings.routerPatienceMs,
      )
      .awaitRouters({ routerUrls, version, patienceMs: timings.routerPatienceMs }),
  );
  run.waits.end(ROUTERS);
  if (lagging.length > 0) {
    return samplesOf(
      lagging.map((router) => `${router.url} (${router.reason})`),
      { more },
    );
  }
  state.routersAdoptedAtMs = nowMs();
  return null;
}

/** Asks once. A router that restarted serves from its seed map until it polls again. True where none can be asked. */
export async function routersHoldTheMap({ run, routerUrls }: AsksRouters): Promise<boolean> {
  if (routerUrls.length === 0) return true;
  const { mapVersion: version } = run.state;
  const { lagging } = await run.persist(`asking routers for map version ${version}`, () =>
    run.activities
      .patient(`do all routers hold map version ${version}?`, 0)
      .awaitRouters({ routerUrls, version, patienceMs: 0 }),
  );
  return lagging.length === 0;
}

function routersNote({ run, routerUrls }: AsksRouters): string {
  return routerUrls.length === 0
    ? `waited ${run.timings.graceMs} ms for routers that could not be asked`
    : `${counted(routerUrls.length, 'router')} at version ${run.state.mapVersion}`;
}
