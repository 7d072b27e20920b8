/** The steps that only a drain has: what it does with the shard that leaves. */
import type { DrainRequest } from '../../contract/requests';
import { requestDigest } from '../../domain/request-digest';
import { broughtUid, identifyShards } from '../identity/identify';
import { listOf } from '../operation/routers';
import { applyTransition } from '../operation/transition';
import { count, counted } from '../wording';
import { planScans } from './rows/plan';
import { readersOfDrain } from './rows/readers';
import { refuseStrays } from './rows/strays';
import { planMove } from './map-changes';
import { idsOf, moveOf, partiesOf, plannedMove } from './placement';
import type { MoveContext } from './context';
import { dropRound, keptBy, sweepReceivers } from './rows/sweep';

/** INV-2: the lock first, so that no other operation changes what preflight finds. */
export async function preflightDrain(context: MoveContext): Promise<string> {
  const { run } = context;
  const { state, activities } = run;
  const { shardId, toStandby, seenLastScaleAtMs: seen } = context.request as DrainRequest;
  const { operationId } = state.progress;
  const byPolicy = toStandby === true ? { toStandby, ...(seen === undefined ? {} : { seenLastScaleAtMs: seen }) } : {};
  const request = { kind: 'drain', shardId, ...byPolicy } as const;
  const answer = await applyTransition(run, 'take the lock', {
    type: 'reserve',
    operationId,
    request,
    asked: requestDigest(context.request),
    ...broughtUid(),
  });
  const { map } = planMove(context, answer);
  await identifyShards(run, answer, {
    joiners: [],
    members: map.shards,
    leftovers: [],
    isCheck: false,
    roleOf: ({ id }) => (id === shardId ? 'leaver' : 'stayer'),
  });
  const found = await activities
    .preflight(`preflight of the drain of shard ${shardId}`, map.shards.length)
    .preflightDrain({ ...plannedMove('drain', map, state.shards), ...listOf(context), mapVersion: map.version });
  const isInOrder = answer.isInOrder === true;
  const readers = readersOfDrain(map.shards, { shardId, isInOrder });
  const plan = await planScans(run, context, { move: moveOf(run), readers });
  const strays = isInOrder ? 'the cluster is in order' : await refuseStrays(context);
  return `${counted(found.collections, 'collection')} on ${counted(map.shards.length, 'shard')}; ${plan}; ${strays}`;
}

/** Nothing stays that a re-added shard could bring back: copies of points that others own, and the collections themselves. */
export async function emptyLeaver(context: MoveContext): Promise<string> {
  const { run, kind } = context;
  const { state } = run;
  if (state.move === null) return 'nothing to do';
  const { dropped, collectionsDropped } = await dropRound(context);
  const kept = keptBy(run, partiesOf(kind, state));
  state.pointsKept = kept;
  return `${count(dropped)} more points removed, ${collectionsDropped} collections dropped, ${count(kept)} points kept`;
}

/** INV-7: the undo of all that a drain puts on the other shards. */
export async function removeCopies({ run, kind }: MoveContext, left: string[]): Promise<void> {
  const { state } = run;
  // Not announced: no copy of ours is anywhere, and what lies in the slice on another shard may be its last one.
  if (state.move === null || !state.wasAnnounced) return;
  const kept = await sweepReceivers(run, partiesOf(kind, state), { absentIsDeleted: true });
  if (kept === 0) return;
  left.push(
    `${count(kept)} copies were kept on the other shards, because shard ${idsOf(state.shards)} does not hold these points: POST /cluster/check says more`,
  );
}
