/** Whether routers hold the operation's version of the map: what they write, and where to, depends on it. */
import { ActivityFailure, ApplicationFailure, isCancellation, patched } from '@temporalio/workflow';
import type { RouterList } from '../../contract/move';
import { samplesOf } from '../../domain/bounded-text';
import { nowMs } from '../clock';
import { counted } from '../wording';
import type { OperationRun } from './run';
import { applyTransition, noteRouters } from './transition';
import { PATCHES } from '../patches';

/** An operation that depends on routers. `routerUrls`: those of its settings, which count until the cluster tells of others. */
export interface AsksRouters {
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
      endsWhen: 'it does, or is gone for good and its entry is removed (PATCH /cluster/routers)',
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
export async function routersBehind(context: AsksRouters): Promise<string | null> {
  const { run } = context;
  const { state, timings, activities } = run;
  await askForRouters(run);
  if (routerEntries(context) === 0) return grace(run);
  await run.renewAddresses();
  const version = state.mapVersion;
  const asked = routerEntries(context);
  run.waits.begin(ROUTERS, {
    reason: `routers are to hold map version ${version}; they ask for it every 2 s`,
    endsWhen: `all of them do (${asked} asked), or ${timings.routerPatienceMs} ms are over`,
    sinceMs: nowMs(),
  });
  const {
    lagging,
    more = 0,
    none = false,
  } = await run.persist(`asking routers for map version ${version}`, () =>
    activities
      .patient(`wait until all routers hold map version ${version} (${asked} asked)`, timings.routerPatienceMs)
      .awaitRouters({ ...listOf(context), version, patienceMs: timings.routerPatienceMs }),
  );
  run.waits.end(ROUTERS);
  if (none) {
    // Somebody has emptied the list while it waited.
    state.routerEntries = 0;
    return grace(run);
  }
  if (lagging.length > 0) {
    return samplesOf(
      lagging.map((router) => `${router.url} (${router.reason})`),
      { more },
    );
  }
  state.routersAdoptedAtMs = nowMs();
  return null;
}

/** Where none can be asked. */
async function grace({ waits, timings, state }: OperationRun): Promise<null> {
  await waits.until(
    nowMs() + timings.graceMs,
    'no router URLs are configured, so routers get a grace to adopt the map',
  );
  state.routersAdoptedAtMs = nowMs();
  return null;
}

/** Before each wait: somebody may have given the cluster routers, or its last one may be gone. */
async function askForRouters({ state, cluster, activities }: OperationRun): Promise<void> {
  if (state.lockStage === null || !patched(PATCHES.routersAreState)) return;
  const { operationId } = state.progress;
  try {
    const answer = await activities
      .transition('which routers does the cluster have?')
      .changeCluster({ cluster, transition: { type: 'confirmHeld', operationId } });
    noteRouters(state, answer);
  } catch (error) {
    // What it told last counts. The step that follows says what a lost lock means.
    if (!(error instanceof ActivityFailure) || isCancellation(error)) throw error;
  }
}

/** How many entries the list has. 0: nobody can be asked, and the grace stands for it. */
export function routerEntries({ run, routerUrls }: AsksRouters): number {
  return run.state.routerEntries ?? routerUrls.length;
}

/** For the activities, which read the cluster's list themselves, each time. */
export function listOf({ run, routerUrls }: AsksRouters): RouterList {
  return { cluster: run.cluster, routerUrls };
}

/** Asks once. A router that restarted serves from its seed map until it polls again. True where none can be asked. */
export async function routersHoldTheMap(context: AsksRouters): Promise<boolean> {
  const { run } = context;
  if (routerEntries(context) === 0) return true;
  const { mapVersion: version } = run.state;
  const { lagging } = await run.persist(`asking routers for map version ${version}`, () =>
    run.activities
      .patient(`do all routers hold map version ${version}?`, 0)
      .awaitRouters({ ...listOf(context), version, patienceMs: 0 }),
  );
  return lagging.length === 0;
}

function routersNote(context: AsksRouters): string {
  const { timings, state } = context.run;
  const entries = routerEntries(context);
  return entries === 0
    ? `waited ${timings.graceMs} ms for routers that could not be asked`
    : `${counted(entries, 'router')} at version ${state.mapVersion}`;
}
