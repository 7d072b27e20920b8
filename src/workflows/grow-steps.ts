import { ApplicationFailure, CancellationScope, isCancellation } from '@temporalio/workflow';
import type { ClusterAnswer, ClusterTransition } from '../activities/contract';
import { placementSpec } from '../domain/shard-map';
import { nowMs } from './clock';
import type { GrowInput } from './messages';
import { idsOf, prepareCollections, type MoveParties, type PassConditions } from './move-points';
import { cancelled, type OperationRun } from './operation-run';

/** What is waited for, in progress.waiting, while routers lag. */
const ROUTERS = 'routers';
const LAGGING = 'lagging routers';
const INDEX = 'index';

/** The steps that only a grow has. What it shares with other operations is in move-points.ts. */
export class GrowSteps {
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

  transition(
    summary: string,
    transition: ClusterTransition,
    patience: 'limited' | 'forever' = 'limited',
  ): Promise<ClusterAnswer> {
    return this.run.persist(
      summary,
      () => this.run.activities.transition(summary).changeCluster({ cluster: this.input.cluster, transition }),
      patience,
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
    // As it will be announced: nothing else can change the map from here on, because the lock is held. Known before the
    // announcement, so that an undo finds the slice also when the answer to the announcement was lost.
    const { shards: owners, leaving } = placementSpec(map);
    const joining = state.progress.shardIds;
    const placement = { shards: [...owners, ...joining], joining, leaving };
    state.move = { placement, shards: [...map.shards, ...lockShards] };
    state.preflight = await activities.preflight(`preflight of ${shards.length} joining`).preflightGrow({
      joiners: shards,
      donors: map.shards,
      routerUrls: this.input.routerUrls,
      allowNonempty,
      mapVersion: map.version,
    });
    return `${state.preflight.collections.length} collections on ${map.shards.length} donors`;
  }

  async prepare(): Promise<string> {
    const { collections, created } = await prepareCollections(this.run, this.parties(), {});
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
    const sinceMs = nowMs();
    for (;;) {
      const lagging = await this.routersBehind();
      if (lagging === null) {
        this.run.endWaiting(LAGGING);
        return this.routersNote();
      }
      this.run.showWaiting(LAGGING, {
        reason: `a router does not hold map version ${this.run.state.mapVersion}: ${lagging}`,
        endsWhen: 'it does',
        sinceMs,
      });
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
    this.run.showWaiting(ROUTERS, {
      reason: `routers are to hold map version ${version}; they ask for it every 2 s`,
      endsWhen: `all ${routerUrls.length} hold it, or ${timings.routerPatienceMs} ms are over`,
      sinceMs: nowMs(),
    });
    const { lagging } = await this.run.persist(`asking routers for map version ${version}`, () =>
      activities
        .patient(`wait until ${routerUrls.length} routers hold map version ${version}`, timings.routerPatienceMs)
        .awaitRouters({ routerUrls, version, patienceMs: timings.routerPatienceMs }),
    );
    this.run.endWaiting(ROUTERS);
    if (lagging.length > 0) return lagging.map((router) => `${router.url} (${router.reason})`).join(', ');
    state.routersAdoptedAtMs = nowMs();
    return null;
  }

  private routersNote(): string {
    const { routerUrls } = this.input;
    return routerUrls.length === 0
      ? `waited ${this.run.timings.graceMs} ms for routers that could not be asked`
      : `${routerUrls.length} routers hold version ${this.run.state.mapVersion}`;
  }

  /** Around a pass of reconcile: the operation still owns the joining, and every router writes to the joiner. */
  passConditions(): PassConditions {
    const { operationId } = this.run.state.progress;
    return {
      beforePass: async () => {
        await this.transition('confirm that the joiner is joining', { type: 'confirmAnnounced', operationId });
        if (!(await this.routersHoldTheMap())) await this.awaitRouters();
      },
      heldDuringPass: () => this.routersHoldTheMap(),
    };
  }

  /** A router that restarted serves from its seed map until it polls again, and writes to donors only meanwhile. */
  private async routersHoldTheMap(): Promise<boolean> {
    const { routerUrls } = this.input;
    if (routerUrls.length === 0) return true;
    const { mapVersion: version } = this.run.state;
    const { lagging } = await this.run.persist(`asking routers for map version ${version}`, () =>
      this.run.activities
        .patient(`do all routers hold map version ${version}?`, 0)
        .awaitRouters({ routerUrls, version, patienceMs: 0 }),
    );
    return lagging.length === 0;
  }

  /** Before the flip: searches of the joiner are answered at once. What can't be had in time is left to the searches themselves. */
  async warmUp(): Promise<string> {
    if (this.run.timings.warmUpMs === 0) return 'left to the first searches';
    try {
      return await this.buildIndexes(false);
    } catch (error) {
      this.run.endWaiting(INDEX);
      if (isCancellation(error) || !(error instanceof ApplicationFailure)) throw error;
      return `left to the first searches: ${error.message}`;
    }
  }

  /**
   * After the flip, before the donors drop the slice: searches of the joiner find what it holds. An index that was built early is
   * brought up to date in the background; until then only the donors' answers make searches complete.
   */
  async awaitIndex(): Promise<string> {
    if (this.run.timings.warmUpMs === 0) return 'not waited for';
    return this.buildIndexes(true);
  }

  private async buildIndexes(mustFind: boolean): Promise<string> {
    const { state, timings, activities } = this.run;
    const collections = state.copy?.collections.map((each) => each.name) ?? [];
    this.run.showWaiting(INDEX, {
      reason: mustFind
        ? 'searches of the joiner may not find all moved points yet, so the donors keep theirs'
        : 'the joiner builds its indexes, so that no search has to wait for that after the flip',
      endsWhen: `${mustFind ? 'they are found' : 'they are built'}, or ${timings.warmUpMs} ms are over`,
      sinceMs: nowMs(),
    });
    const doing = mustFind ? 'wait until searches find all on' : 'build the indexes of';
    const { notReady } = await this.run.persist('building indexes', () =>
      activities
        .patient(`${doing} shard ${idsOf(state.shards)}`, timings.warmUpMs)
        .warmUp({ receivers: state.shards, collections, patienceMs: timings.warmUpMs, mustFind }),
    );
    this.run.endWaiting(INDEX);
    if (notReady.length > 0) return `not ready after ${timings.warmUpMs} ms: ${notReady.join(', ')}`;
    return mustFind ? 'searches find what was moved' : 'searches are answered at once';
  }

  async promote(forward: CancellationScope): Promise<string> {
    const { state } = this.run;
    const isCancelled = forward.consideredCancelled || state.progress.cancelRequested;
    // A run that continued as new while it waited for the flip has passed the point already.
    if (isCancelled && !state.progress.pointOfNoReturnPassed) throw cancelled();
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
