/** The steps that all operations share which move points and flip ownership. What differs is in grow-steps.ts and drain-steps.ts. */
import { ApplicationFailure, CancellationScope, isCancellation } from '@temporalio/workflow';
import type { Move } from '../../contract/move';
import type { ClusterAnswer, ClusterTransition } from '../../contract/cluster';
import type { OperationLock } from '../../domain/cluster-state';
import type { OperationResult } from '../../domain/lock-transitions';
import type { Shard, ShardMap } from '../../domain/shard-map';
import { nowMs } from '../clock';
import type { OperationRequest } from '../../contract/requests';
import { idsOf, type MoveParties, type PassConditions } from './copy';
import { cancelled, type OperationRun } from '../operation/run';
import { awaitRouters, routersBehind, routersHoldTheMap, routersNote } from '../operation/routers';
import { applyTransition } from '../operation/transition';

/** What is waited for, in progress.waiting, while routers lag. */
const LAGGING = 'lagging routers';
const INDEX = 'index';

/** What this kind of move is called where people read it. */
export interface MoveWords {
  readonly announce: string;
  readonly flip: string;
  readonly withdraw: string;
}

export abstract class MoveSteps {
  protected readonly run: OperationRun;
  protected readonly routerUrls: readonly string[];
  protected abstract readonly words: MoveWords;

  constructor(run: OperationRun, input: { readonly routerUrls: readonly string[] }) {
    this.run = run;
    this.routerUrls = input.routerUrls;
  }

  /** The move of this change, while its shards are joining or leaving. `map` may be that of any moment of the operation. */
  abstract plannedMove(map: ShardMap, shards: readonly Shard[]): Move;
  abstract parties(): MoveParties;
  /** INV-7: removes what the operation has put on shards, when the change is out of the map again. Returns what it had to leave. */
  abstract clean(): Promise<readonly string[]>;
  /** All phases behind the flip. */
  abstract finish(): Promise<void>;
  /** What came of it, for people, when everything succeeded. */
  abstract summary(): string;

  transition(
    summary: string,
    transition: ClusterTransition,
    patience: 'limited' | 'forever' = 'limited',
  ): Promise<ClusterAnswer> {
    return applyTransition(this.run, summary, transition, patience);
  }

  /** Knows from here on which shards take part, in every step and in the undo, also when a later answer is lost. */
  protected plan({ map, lock }: ClusterAnswer): { map: ShardMap; shards: readonly Shard[] } {
    const { state } = this.run;
    const shards = (lock as OperationLock).shards;
    state.shards = shards;
    state.progress.shardIds = shards.map((shard) => shard.id);
    state.mapVersion = map.version;
    state.move = this.plannedMove(map, shards);
    return { map, shards };
  }

  async announce(request: OperationRequest): Promise<string> {
    const { state } = this.run;
    const { operationId } = state.progress;
    const { map } = await this.transition(this.words.announce, { type: 'announce', operationId });
    state.mapVersion = map.version;
    state.wasAnnounced = true;
    state.announced = { map, shardIds: state.progress.shardIds, request };
    return `map version ${map.version}`;
  }

  awaitRouters(): Promise<string> {
    return awaitRouters(this.run, this.routerUrls);
  }

  /** Design step 9, after the flip: it stalls, visibly, for as long as a router lags. */
  async awaitRoutersAfter(): Promise<string> {
    const { state } = this.run;
    const sinceMs = nowMs();
    for (;;) {
      const lagging = await this.routersBehind();
      if (lagging === null) {
        this.run.endWaiting(LAGGING);
        return routersNote(this.run, this.routerUrls);
      }
      this.run.showWaiting(LAGGING, {
        reason: `a router does not hold map version ${state.mapVersion}: ${lagging}`,
        endsWhen: 'it does',
        sinceMs,
      });
      await this.run.checkpoint();
      // A restore of the cluster gives the same map a higher version.
      const { operationId } = state.progress;
      const { map } = await this.transition('which version does the map have?', { type: 'confirmHeld', operationId });
      state.mapVersion = map.version;
    }
  }

  routersBehind(): Promise<string | null> {
    return routersBehind(this.run, this.routerUrls);
  }

  /** Around a pass of reconcile: the operation still owns the change, and every router writes to the receivers too. */
  passConditions(): PassConditions {
    const { state } = this.run;
    const { operationId } = state.progress;
    return {
      beforePass: async () => {
        const { map } = await this.transition('confirm that the change is announced', {
          type: 'confirmAnnounced',
          operationId,
        });
        state.mapVersion = map.version;
        if (!(await routersHoldTheMap(this.run, this.routerUrls))) await this.awaitRouters();
      },
      heldDuringPass: () => routersHoldTheMap(this.run, this.routerUrls),
    };
  }

  /** Before the flip: what can't be had in time is left to the searches themselves. */
  protected async indexesOrNot(mustFind: boolean): Promise<string> {
    if (this.run.timings.warmUpMs === 0) return 'left to the first searches';
    try {
      return await this.buildIndexes(mustFind);
    } catch (error) {
      this.run.endWaiting(INDEX);
      if (isCancellation(error) || !(error instanceof ApplicationFailure)) throw error;
      return `left to the first searches: ${error.message}`;
    }
  }

  /** `mustFind`: searches find what was moved, and do not only get an answer. */
  protected async buildIndexes(mustFind: boolean): Promise<string> {
    const { state, timings, activities } = this.run;
    const { receivers } = this.parties();
    const collections = state.copy?.collections.map((each) => each.name) ?? [];
    this.run.showWaiting(INDEX, {
      reason: mustFind
        ? 'searches of the new owners may not find all moved points yet, so the donors keep theirs'
        : 'the new owners build their indexes, so that no search has to wait for that after the flip',
      endsWhen: `${mustFind ? 'they are found' : 'they are built'}, or ${timings.warmUpMs} ms are over`,
      sinceMs: nowMs(),
    });
    const doing = mustFind ? 'wait until searches find all on' : 'build the indexes of';
    const slice = mustFind && state.move !== null ? { slice: state.move } : {};
    const { notReady } = await this.run.persist('building indexes', () =>
      activities
        .patient(`${doing} shard ${idsOf(receivers)}`, timings.warmUpMs)
        .warmUp({ receivers, collections, patienceMs: timings.warmUpMs, mustFind, ...slice }),
    );
    this.run.endWaiting(INDEX);
    if (notReady.length > 0) return `not ready after ${timings.warmUpMs} ms: ${notReady.join(', ')}`;
    return mustFind ? 'searches find what was moved' : 'searches are answered at once';
  }

  async flip(forward: CancellationScope): Promise<string> {
    const { state } = this.run;
    const isCancelled = forward.consideredCancelled || state.progress.cancelRequested;
    // A run that continued as new while it waited for the flip has passed the point already.
    if (isCancelled && !state.progress.pointOfNoReturnPassed) throw cancelled();
    // ---- The point of no return. Set in the same step as the request, so that no cancel can slip in between. ----
    state.progress.pointOfNoReturnPassed = true;
    const { operationId } = state.progress;
    const { map } = await CancellationScope.nonCancellable(() =>
      this.transition(this.words.flip, { type: 'flip', operationId }),
    );
    state.mapVersion = map.version;
    state.routersAdoptedAtMs = 0;
    return `map version ${map.version}`;
  }

  /** The first part of the undo: the change leaves the map. */
  async withdraw(): Promise<void> {
    const { operationId } = this.run.state.progress;
    const { map, lock } = await this.transition(this.words.withdraw, { type: 'withdraw', operationId }, 'forever');
    this.run.state.mapVersion = map.version;
    this.run.state.wasAnnounced = lock?.wasAnnounced === true;
  }

  async release(result: Omit<OperationResult, 'operationId'>): Promise<void> {
    const { operationId } = this.run.state.progress;
    await this.transition('give the lock back', { type: 'release', operationId, ...result }, 'forever');
  }
}
