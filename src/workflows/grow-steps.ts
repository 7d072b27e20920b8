import { ApplicationFailure, CancellationScope } from '@temporalio/workflow';
import type { ClusterAnswer, ClusterTransition } from '../activities/contract';
import { placementSpec } from '../domain/shard-map';
import { nowMs } from './clock';
import type { GrowInput } from './messages';
import { idsOf, prepareCollections, type MoveParties } from './move-points';
import { cancelled, type OperationRun } from './operation-run';

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
