/**
 * A grow: one or several empty shards join the cluster, online.
 *
 *  1. preflight            take the lock, look at everything, change nothing      crash: looked at again
 *  2. prepare              create the collections on the joiner                   crash: created again, which is harmless
 *  3. announce             the joiner enters the map; the REST call is answered   crash: the transition recognises its repeat
 *  4. await-routers        every router writes to the joiner too                  crash: asked again
 *  5. copy                 blind, page by page                                    crash: a page is copied again
 *  6. reconcile            until a pass wrote nothing (INV-4)                     crash: from the last cursor
 *  7. warm-up              the joiner builds its indexes, for a while             crash: asked again
 *  8. promote              --- the point of no return ---                         crash: the transition recognises its repeat
 *  9. await-routers-after, drop                                                   crash: from the last cursor
 * 10. confirm              no donor holds what it doesn't own                     crash: counted again
 *
 * Before step 8 every failure and every cancel is undone: the joiner leaves the map, routers are waited for, what was copied is
 * removed, the lock is given back (INV-7). From step 8 on there is only forward: what fails is tried until it succeeds.
 */
import {
  ActivityFailure,
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  ContinueAsNew,
  continueAsNew,
  isCancellation,
  setHandler,
} from '@temporalio/workflow';
import type { ClusterAnswer, ClusterTransition } from '../activities/contract';
import type { OperationEnd } from '../domain/cluster-state';
import type { OperationOutcome, OperationProgress } from '../domain/progress';
import { placementSpec, type Shard } from '../domain/shard-map';
import { nowMs } from './clock';
import {
  announcedQuery,
  announcedUpdate,
  cancelUpdate,
  growOperationId,
  progressQuery,
  type AnnouncedAnswer,
  type GrowInput,
} from './messages';
import {
  copyPoints,
  idsOf,
  prepareCollections,
  reconcileUntilClean,
  sweepDonors,
  type MoveParties,
} from './move-points';
import { count } from './operation-details';
import { cancelled, OperationRun } from './operation-run';
import { newOperationState, type OperationState } from './operation-state';

/** The reason of a cancel stays in the history and in the outcome. */
const CANCEL_REASON_CHARS_MAX = 200;

export async function grow(input: GrowInput): Promise<OperationOutcome> {
  const state = input.carried ?? newOperationState('grow', growOperationId(input.key), nowMs());
  const forward = new CancellationScope({ cancellable: true });
  handleMessages(state, forward);
  if (state.progress.cancelRequested) forward.cancel();
  const run = new OperationRun({
    ...input,
    state,
    continueAsNew: async () => {
      await condition(allHandlersFinished);
      return continueAsNew<typeof grow>({ ...input, carried: state });
    },
  });
  const steps = new GrowSteps(run, input);

  if (!state.progress.pointOfNoReturnPassed) {
    try {
      await forward.run(async () => {
        await run.phase('preflight', 'prepare collections on the joiner', () => steps.preflight());
        await run.phase('prepare', 'announce the joiner to the routers', () => steps.prepare());
        await run.phase('announce', 'wait until every router writes to the joiner too', () => steps.announce());
        await run.phase('await-routers', 'copy', () => steps.awaitRouters());
        await run.phase('copy', 'compare donors and joiner until nothing differs', () =>
          copyPoints(run, steps.parties()),
        );
        await run.phase('reconcile', 'build the indexes', () => reconcileUntilClean(run, steps.parties()));
        await run.phase('warm-up', 'promote the joiner', () => steps.warmUp());
        await run.phase('promote', 'wait until every router reads from the joiner', () => steps.promote(forward));
      });
    } catch (error) {
      if (error instanceof ContinueAsNew) throw error;
      return CancellationScope.nonCancellable(() => undo(run, steps, error));
    }
  }
  return CancellationScope.nonCancellable(async () => {
    await run.phase('await-routers-after', 'drop the slice from the donors', () => steps.awaitRoutersAfter());
    await run.phase('drop', 'count what is left', () => sweepDonors(run, steps.parties(), 'drop'));
    await run.phase('confirm', 'give the lock back', () => sweepDonors(run, steps.parties(), 'confirm'));
    return succeed(run, steps);
  });
}

function handleMessages(state: OperationState, forward: CancellationScope): void {
  const { progress } = state;
  setHandler(progressQuery, () => state.progress);
  setHandler(announcedQuery, () => ({ answer: state.announced, refusal: state.refusal }));
  setHandler(announcedUpdate, async (): Promise<AnnouncedAnswer> => {
    await condition(() => state.announced !== null || state.refusal !== null);
    if (state.announced !== null) return state.announced;
    throw ApplicationFailure.nonRetryable(state.refusal?.message ?? '', state.refusal?.type ?? 'InvalidRequest');
  });
  setHandler(
    cancelUpdate,
    ({ reason }: { reason: string }): OperationProgress => {
      progress.cancelRequested = true;
      progress.next = 'undo everything';
      state.cancelReason ??= reason;
      forward.cancel();
      return progress;
    },
    {
      validator: ({ reason }: { reason: string }): void => {
        if (reason.length > CANCEL_REASON_CHARS_MAX) {
          throw ApplicationFailure.nonRetryable(
            `a reason has at most ${CANCEL_REASON_CHARS_MAX} characters`,
            'InvalidRequest',
          );
        }
        if (progress.pointOfNoReturnPassed) {
          throw ApplicationFailure.nonRetryable(
            `operation ${progress.operationId} has flipped ownership and only goes forward: wait for its end, then drain the shard`,
            'PointOfNoReturnPassed',
          );
        }
        if (progress.status !== 'running') {
          throw ApplicationFailure.nonRetryable(
            `operation ${progress.operationId} has ended: ${progress.status}`,
            'OperationEnded',
          );
        }
      },
    },
  );
}

/** The steps that only a grow has. What it shares with other operations is in move-points.ts. */
class GrowSteps {
  private readonly run: OperationRun;
  private readonly input: GrowInput;

  constructor(run: OperationRun, input: GrowInput) {
    this.run = run;
    this.input = input;
  }

  parties(): MoveParties {
    const { state } = this.run;
    const joining = new Set(state.shards.map((shard) => shard.id));
    const donors = (state.move?.shards ?? []).filter((shard) => !joining.has(shard.id));
    return { donors, receivers: state.shards, before: state.preflight?.collectionsBefore ?? [] };
  }

  transition(summary: string, transition: ClusterTransition): Promise<ClusterAnswer> {
    return this.run.persist(summary, () =>
      this.run.activities.transition(summary).changeCluster({ cluster: this.input.cluster, transition }),
    );
  }

  /** The lock first, so that nothing that preflight finds can be changed by another operation afterwards (INV-2). */
  async preflight(): Promise<string> {
    const { state, activities } = this.run;
    const { shards, allowNonempty } = this.input.request;
    const { operationId } = state.progress;
    const reserve = { type: 'reserve', operationId, kind: 'grow', shards } as const;
    const { map, lockShards } = await this.transition('take the lock', reserve);
    state.shards = lockShards;
    state.progress.shardIds = lockShards.map((shard) => shard.id);
    state.mapVersion = map.version;
    // Its placement is set when the joiner is announced; the donors can't change from here on, because the lock is held.
    state.move = { placement: placementSpec(map), shards: [...map.shards, ...lockShards] };
    state.preflight = await activities.preflight(`preflight of ${shards.length} joining`).preflightGrow({
      joiners: shards,
      donors: map.shards,
      routerUrls: this.input.routerUrls,
      allowNonempty,
    });
    return `${state.preflight.collections.length} collections on ${map.shards.length} donors`;
  }

  async prepare(): Promise<string> {
    const { collections, created } = await prepareCollections(this.run, this.parties());
    return `${collections.length} collections, ${created} created on the joiner`;
  }

  async announce(): Promise<string> {
    const { state } = this.run;
    const { operationId } = state.progress;
    const { map } = await this.transition('announce the joiner', { type: 'announceJoin', operationId });
    state.mapVersion = map.version;
    state.move = { placement: placementSpec(map), shards: map.shards };
    state.announced = { map, shardIds: state.progress.shardIds, request: this.input.request };
    return `map version ${map.version}`;
  }

  /** Design step 4, before the flip: a router that never gets there fails the operation. */
  async awaitRouters(): Promise<string> {
    const lagging = await this.routersBehind();
    if (lagging === null) return this.routersNote();
    throw ApplicationFailure.nonRetryable(
      `not every router adopted map version ${this.run.state.mapVersion} in ${this.run.timings.routerPatienceMs} ms: ${lagging}`,
      'RoutersLagging',
    );
  }

  /** Design step 9, after the flip: it stalls, visibly, for as long as a router lags. */
  async awaitRoutersAfter(): Promise<string> {
    for (;;) {
      const lagging = await this.routersBehind();
      if (lagging === null) return this.routersNote();
      this.run.showWaiting(
        `a router does not hold map version ${this.run.state.mapVersion} yet: ${lagging}`,
        'it does',
      );
      await this.run.checkpoint();
    }
  }

  /** Waits for the routers, bounded. Returns who lags, or null when all are there or, where none can be asked, the grace is over. */
  async routersBehind(): Promise<string | null> {
    const { state, timings, activities } = this.run;
    const { routerUrls } = this.input;
    if (routerUrls.length === 0) {
      await this.run.waitUntil(
        nowMs() + timings.graceMs,
        'no router URLs are configured, so routers get a grace to adopt the map',
      );
      state.routersAdoptedAtMs = nowMs();
      return null;
    }
    const version = state.mapVersion;
    const { lagging } = await this.run.persist(`asking routers for map version ${version}`, () =>
      activities
        .patient(`wait until ${routerUrls.length} routers hold map version ${version}`, timings.routerPatienceMs)
        .awaitRouters({ routerUrls, version, patienceMs: timings.routerPatienceMs }),
    );
    if (lagging.length > 0) return lagging.map((router) => `${router.url} (${router.reason})`).join(', ');
    state.routersAdoptedAtMs = nowMs();
    this.run.endWaiting();
    return null;
  }

  private routersNote(): string {
    const { routerUrls } = this.input;
    return routerUrls.length === 0
      ? `waited ${this.run.timings.graceMs} ms for routers that could not be asked`
      : `${routerUrls.length} routers hold version ${this.run.state.mapVersion}`;
  }

  async warmUp(): Promise<string> {
    const { state, timings, activities } = this.run;
    if (timings.warmUpMs === 0) return 'left to the first searches';
    const { notReady } = await this.run.persist('building indexes', () =>
      activities
        .patient(`build the indexes of shard ${idsOf(state.shards)}`, timings.warmUpMs)
        .warmUp({ receivers: state.shards, collections: state.proven, patienceMs: timings.warmUpMs }),
    );
    if (notReady.length === 0) return 'all indexes are ready';
    return `not ready after ${timings.warmUpMs} ms, left to the first searches: ${notReady.join(', ')}`;
  }

  async promote(forward: CancellationScope): Promise<string> {
    const { state } = this.run;
    if (forward.consideredCancelled || state.progress.cancelRequested) throw cancelled();
    // ---- The point of no return. Set in the same step as the request, so that no cancel can slip in between. ----
    state.progress.pointOfNoReturnPassed = true;
    const { operationId } = state.progress;
    const { map } = await CancellationScope.nonCancellable(() =>
      this.transition('promote the joiner', { type: 'flipJoin', operationId }),
    );
    state.mapVersion = map.version;
    state.routersAdoptedAtMs = 0;
    return `map version ${map.version}`;
  }
}

async function succeed(run: OperationRun, steps: GrowSteps): Promise<OperationOutcome> {
  const { state } = run;
  const { progress } = state;
  // A delete of the sweep that is still under way must not outlive the lock: the next operation may move the points back.
  await run.waitForLateWrites();
  const kept = state.kept === 0 ? '' : `; ${count(state.kept)} points were kept on their donors (INV-5), run a repair`;
  const outcome: OperationOutcome = {
    message: `shard ${idsOf(state.shards)} joined and took over ${count(progress.pointsDone)} points${kept}`,
    pointsMoved: progress.pointsDone,
    droppedByDonor: state.dropped,
    pointsKept: state.kept,
    durationMs: nowMs() - progress.startedAtMs,
  };
  await release(run, steps, 'succeeded', outcome);
  await condition(allHandlersFinished);
  return outcome;
}

async function release(
  run: OperationRun,
  steps: GrowSteps,
  end: OperationEnd,
  outcome: OperationOutcome,
): Promise<void> {
  const { operationId } = run.state.progress;
  await steps.transition('give the lock back', {
    type: 'release',
    operationId,
    end,
    pointsMoved: outcome.pointsMoved,
    message: outcome.message,
  });
  run.state.progress.outcome = outcome;
  run.end(end);
}

/**
 * INV-7. Every part is tried, even when another one fails, each within the operation's patience. What could not be undone is
 * said in the outcome. Throws the failure that the workflow ends with.
 */
async function undo(run: OperationRun, steps: GrowSteps, cause: unknown): Promise<never> {
  const { state } = run;
  const { progress } = state;
  const versionBefore = state.mapVersion;
  // Only a flip that was refused comes here from behind the point of no return: nothing has flipped then.
  progress.pointOfNoReturnPassed = false;
  run.endPhase('ended by a failure or a cancel');
  const left: string[] = [];
  const part = async (what: string, work: () => Promise<unknown>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      left.push(`${what}: ${messageOf(error)}`);
    }
  };
  const why = isCancellation(cause) ? (state.cancelReason ?? 'on request') : messageOf(cause);
  const { operationId } = progress;
  await run.phase('undo', 'give the lock back', async () => {
    if (state.shards.length > 0) {
      await part('taking the joiner out of the map', async () => {
        const { map } = await steps.transition('take the joiner out of the map', { type: 'withdrawJoin', operationId });
        state.mapVersion = map.version;
      });
    }
    // Not `announced`: an announcement whose answer was lost has reached the map all the same.
    if (state.mapVersion !== versionBefore) {
      await part('waiting for the routers', async () => {
        const lagging = await steps.routersBehind();
        if (lagging !== null) left.push(`these routers still hold an older map: ${lagging}`);
      });
      await run.waitUntil(
        nowMs() + run.timings.inFlightMs,
        'a write that a router began before may still be under way',
      );
    }
    await run.waitForLateWrites();
    for (const joiner of state.shards) await part(`cleaning shard ${joiner.id}`, () => clean(run, joiner));
    return left.length === 0 ? 'everything is as it was' : left.join('; ');
  });
  const end = endOf(cause, state.mapVersion !== versionBefore);
  const rest = left.length === 0 ? '' : `. Left to do by hand: ${left.join('; ')}`;
  const outcome: OperationOutcome = {
    message: `${end}: ${why}${rest}`,
    pointsMoved: 0,
    droppedByDonor: {},
    pointsKept: 0,
    durationMs: nowMs() - progress.startedAtMs,
  };
  // Also when the lock was never answered: giving back what one does not hold changes nothing.
  await part('giving the lock back', () => release(run, steps, end, outcome));
  progress.outcome = outcome;
  run.end(end);
  const type = isCancellation(cause) ? 'OperationCancelled' : failureType(cause);
  state.refusal = {
    type,
    message: isCancellation(cause) ? `operation ${operationId} was cancelled before the joiner was announced` : why,
  };
  await condition(allHandlersFinished);
  if (isCancellation(cause)) throw cancelled();
  throw ApplicationFailure.nonRetryable(outcome.message, type);
}

async function clean(run: OperationRun, joiner: Shard): Promise<void> {
  const { state } = run;
  const { move, preflight } = state;
  if (move === null || preflight === null) return;
  const index = state.shards.indexOf(joiner);
  const collectionsBefore = preflight.collectionsBefore[index] ?? [];
  const input = { ...move, joiner, collectionsBefore };
  await run.persist(`cleaning shard ${joiner.id}`, () =>
    run.activities.points(`remove from shard ${joiner.id} what this operation put there`).cleanJoiner(input),
  );
}

function endOf(cause: unknown, wasAnnounced: boolean): OperationEnd {
  if (isCancellation(cause)) return 'cancelled';
  return wasAnnounced ? 'failed' : 'refused';
}

/** What was thrown, without what Temporal wraps around it. */
function innermost(cause: unknown): unknown {
  return cause instanceof ActivityFailure && cause.cause !== undefined ? cause.cause : cause;
}

function failureType(cause: unknown): string {
  const inner = innermost(cause);
  return inner instanceof ApplicationFailure ? (inner.type ?? 'NeedsOperator') : 'NeedsOperator';
}

function messageOf(cause: unknown): string {
  const inner = innermost(cause);
  return inner instanceof Error ? inner.message : 'unknown failure';
}
