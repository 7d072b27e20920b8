/** The changes of the map that a move makes: announce, flip, and withdraw, the undo of the announcement. */
import { CancellationScope } from '@temporalio/workflow';
import type { ClusterAnswer } from '../../contract/cluster';
import type { OperationLock } from '../../domain/cluster-state';
import type { Shard, ShardMap } from '../../domain/shard-map';
import { mapForMove } from '../identity/identify';
import { routersBehind } from '../operation/routers';
import { cancelled } from '../operation/step-failure';
import { applyTransition } from '../operation/transition';
import { nowMs } from '../clock';
import { plannedMove, type MoveKind } from './placement';
import type { MoveContext } from './context';
import { reconcileUntilClean } from './rows/reconcile';

/** What each change of the map is called where people read it. */
const WORDS: Record<MoveKind, { readonly announce: string; readonly flip: string; readonly withdraw: string }> = {
  grow: {
    announce: 'announce the joiner',
    flip: 'promote the joiner',
    withdraw: 'take the joiner out of the map',
  },
  drain: {
    announce: 'mark the shard as leaving',
    flip: 'take the leaver out of the map',
    withdraw: 'make the leaver an owner again',
  },
};

/** Notes which shards take part, for every later step and for the undo, also when a later answer is lost. */
export function planMove(
  { run, kind, request }: MoveContext,
  answer: ClusterAnswer,
): { map: ShardMap; shards: readonly Shard[] } {
  const { state } = run;
  const map = mapForMove(answer);
  const { shards } = answer.lock as OperationLock;
  state.shards = shards;
  state.progress.shardIds = shards.map((shard) => shard.id);
  state.mapVersion = map.version;
  state.sources = 'sources' in request ? (request.sources ?? null) : null;
  state.move = plannedMove(kind, map, shards);
  return { map, shards };
}

export async function announce({ run, kind, request }: MoveContext): Promise<string> {
  const { state } = run;
  const { operationId } = state.progress;
  const { map } = await applyTransition(run, WORDS[kind].announce, { type: 'announce', operationId });
  state.mapVersion = map.version;
  state.wasAnnounced = true;
  state.announced = { map, shardIds: state.progress.shardIds, request };
  return `map version ${map.version}`;
}

export async function flip(context: MoveContext): Promise<string> {
  const { run, kind, forward } = context;
  const { state } = run;
  while (!state.progress.pointOfNoReturnPassed && (run.holds.isPaused() || state.isProofStale === true)) {
    await reconcileUntilClean(context);
  }
  const isCancelled = forward?.consideredCancelled === true || state.progress.cancelRequested;
  // A run that continued as new while it waited for the flip has passed the point already.
  if (isCancelled && !state.progress.pointOfNoReturnPassed) throw cancelled();
  // ---- The point of no return. Set in the same step as the request, so that no cancel can slip in between. ----
  state.progress.pointOfNoReturnPassed = true;
  const { operationId } = state.progress;
  const { map } = await CancellationScope.nonCancellable(() =>
    applyTransition(run, WORDS[kind].flip, { type: 'flip', operationId }),
  );
  state.mapVersion = map.version;
  state.routersAdoptedAtMs = 0;
  return `map version ${map.version}`;
}

/**
 * INV-7. The undo of `announce`: the change leaves the map, and every write that a router began with it is over afterwards. Whether the
 * announcement took effect is known only when it was withdrawn.
 */
export async function withdraw(context: MoveContext, left: string[]): Promise<void> {
  const { run, kind } = context;
  const { state } = run;
  if (state.shards.length === 0) return;
  const versionBefore = state.mapVersion;
  const { operationId } = state.progress;
  const { map, lock } = await applyTransition(run, WORDS[kind].withdraw, { type: 'withdraw', operationId }, 'forever');
  state.mapVersion = map.version;
  state.wasAnnounced = lock?.wasAnnounced === true;
  // Not only by the version: a recovery may find the change taken out already.
  if (state.mapVersion === versionBefore && !state.wasAnnounced) return;
  await run.part(left, 'waiting for the routers', async () => {
    const lagging = await routersBehind(context);
    if (lagging !== null) left.push(`these routers do not hold the map without the change yet: ${lagging}`);
  });
  await run.waits.until(nowMs() + run.timings.inFlightMs, 'a write that a router began before may still be under way');
}
