/** The steps that only a grow has: what it does with the shards that join. */
import { patched } from '@temporalio/workflow';
import type { PreflightReport } from '../../contract/move';
import type { GrowRequest } from '../../contract/requests';
import { requestDigest } from '../../domain/request-digest';
import type { Shard } from '../../domain/shard-map';
import { askShards, broughtUid, recordEpochs } from '../identity/identify';
import { listOf } from '../operation/routers';
import type { OperationRun } from '../operation/run';
import { applyTransition } from '../operation/transition';
import { PATCHES } from '../patches';
import { count, counted } from '../wording';
import { prepareCollections } from './collections';
import { planMove } from './map-changes';
import { idsOf, moveOf, partiesOf } from './placement';
import type { MoveContext } from './context';
import { planScans } from './rows/plan';
import { readersOfGrow } from './rows/readers';
import { sweepReceivers } from './rows/sweep';

/** INV-2: the lock first, so that no other operation changes what preflight finds. */
export async function preflightGrow(context: MoveContext): Promise<string> {
  const { run } = context;
  const { state, activities } = run;
  const { shards, allowNonempty, fromStandby, seenLastScaleAtMs } = context.request as GrowRequest;
  const { operationId } = state.progress;
  const seen = seenLastScaleAtMs === undefined ? {} : { seenLastScaleAtMs };
  const request = { kind: 'grow', shards, fromStandby: fromStandby === true, ...seen } as const;
  const answer = await applyTransition(run, 'take the lock', {
    type: 'reserve',
    operationId,
    request,
    asked: requestDigest(context.request),
    ...broughtUid(),
  });
  const { map } = planMove(context, answer);
  const epochs = await askShards(run, answer, {
    joiners: state.shards,
    members: map.shards,
    leftovers: [],
    isCheck: false,
    roleOf: () => 'donor',
  });
  const remember = (): Promise<void> => recordEpochs(run, epochs);
  const look = async (): Promise<PreflightReport> => {
    state.preflight = await activities
      .preflight(`preflight of ${shards.length} joining`, map.shards.length)
      .preflightGrow({
        joiners: shards,
        donors: map.shards,
        ...listOf(context),
        allowNonempty,
        mapVersion: map.version,
      });
    return state.preflight;
  };
  const plan = (): Promise<string> =>
    planScans(run, context, { move: moveOf(run), readers: readersOfGrow(map.shards, state.shards.length) });
  const [, { collections }, planned] = await sideBySide(remember, look, plan);
  return `${counted(collections.length, 'collection')} on ${counted(map.shards.length, 'donor')}; ${planned}`;
}

/** A caller waits for all three. A failure of an earlier one is told first, as if they had followed each other. */
async function sideBySide<A, B, C>(
  first: () => Promise<A>,
  second: () => Promise<B>,
  third: () => Promise<C>,
): Promise<[A, B, C]> {
  if (!patched(PATCHES.preflightSideBySide)) return [await first(), await second(), await third()];
  const [a, b, c] = await Promise.allSettled([first(), second(), third()]);
  return [settled(a), settled(b), settled(c)];
}

function settled<T>(result: PromiseSettledResult<T>): T {
  if (result.status === 'rejected') throw result.reason;
  return result.value;
}

export async function prepareJoiners({ run, kind }: MoveContext): Promise<string> {
  const { collections, created } = await prepareCollections(run, partiesOf(kind, run.state), {});
  return `${counted(collections.length, 'collection')}, ${created} created on the joiner`;
}

/** INV-7: the undo of all that a grow puts on its shards. */
export async function cleanJoiners({ run, kind }: MoveContext, left: string[]): Promise<void> {
  const { state } = run;
  // What came before the announcement is known from preflight, or it was not even begun.
  if (state.move === null || (state.preflight === null && !state.wasAnnounced)) return;
  const { preflight } = state;
  if (preflight === null) {
    await run.part(left, `cleaning shard ${idsOf(state.shards)}`, () => cleanWithCare({ run, kind }, left));
    return;
  }
  for (const joiner of state.shards) {
    if (state.undoing?.cleaned.includes(joiner.id)) continue;
    await run.part(left, `cleaning shard ${joiner.id}`, () => cleanJoiner(run, joiner, preflight));
    state.undoing?.cleaned.push(joiner.id);
    await run.checkpointOnceAnnounced();
  }
}

/** INV-5: a recovery that could learn nothing does not know what the joiner held before, nor whether the donors still have what it holds. */
async function cleanWithCare({ run, kind }: Pick<MoveContext, 'run' | 'kind'>, left: string[]): Promise<void> {
  const kept = await sweepReceivers(run, partiesOf(kind, run.state), { absentIsDeleted: false });
  if (kept === 0) return;
  left.push(
    `${count(kept)} points were kept on shard ${idsOf(run.state.shards)}, because the donors do not hold them: look at them before it is used again`,
  );
}

async function cleanJoiner(run: OperationRun, joiner: Shard, preflight: PreflightReport): Promise<void> {
  const index = run.state.shards.indexOf(joiner);
  const collectionsBefore = preflight.collectionsBefore[index] ?? [];
  const nonemptyBefore = preflight.nonemptyBefore[index] ?? [];
  const input = { ...moveOf(run), joiner, collectionsBefore, nonemptyBefore };
  const what = `remove from shard ${joiner.id} what this operation put there`;
  run.waits.noted(
    await run.persist(`cleaning shard ${joiner.id}`, () => run.activities.rows(what, null).cleanJoiner(input)),
  );
}
