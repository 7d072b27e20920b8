/** INV-7: marks that go again, because a shard did not join after all, or has left. */
import type { Shard } from '../../domain/shard-map';
import { emptyLeaver } from '../move/leaver';
import type { MoveContext } from '../move/context';
import type { OperationRun } from '../operation/run';

/** The last part of the undo of a grow, so that nobody else takes a joiner that still holds what was copied. */
export async function releaseJoiners({ run }: MoveContext): Promise<void> {
  const { identity, shards, wasAnnounced } = run.state;
  if (identity?.mayHaveClaimed !== true || shards.length === 0) return;
  // A claim that nobody has answered may still arrive. One that the refusal took back already is not found again.
  await run.waits.forLateWrites();
  const take = () => release(run, shards, identity.claimedBy);
  // A caller who waits for a refusal does not wait for a joiner as long as an undo would.
  await (wasAnnounced ? run.persist('taking the claim off the joiner', take) : take());
  run.state.identity = { ...identity, mayHaveClaimed: false };
}

/** A leaver that keeps points goes on to say of which cluster they are; an abandoned one never comes here. */
export async function emptyAndReleaseLeaver(context: MoveContext): Promise<string> {
  const { run } = context;
  const note = (run.state.emptied ??= await emptyLeaver(context));
  const { identity, pointsKept } = run.state;
  if (identity === null || pointsKept > 0) return note;
  await run.persist('taking the mark off the leaver', () => release(run, run.state.shards, null));
  return note;
}

async function release(run: OperationRun, shards: readonly Shard[], operationId: string | null): Promise<void> {
  const { identity } = run.state;
  if (identity === null) return;
  const input = { uid: identity.clusterUid, shards, operationId };
  run.waits.noted(await run.activities.identity('take the mark off', shards.length).releaseShards(input));
}
