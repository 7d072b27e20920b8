/**
 * Past the flip, and in an undo, an operation waits for as long as it takes. A shard that has moved for good meanwhile
 * gets its new address by hand (`PATCH /cluster/shards/{id}`), and the next try goes there.
 */
import { ActivityFailure, isCancellation, patched } from '@temporalio/workflow';
import type { ClusterAnswer } from '../../contract/cluster';
import type { OperationState } from '../../contract/operation-state';
import { withGrpcUrls } from '../../domain/members';
import type { Shard } from '../../domain/shard-map';
import { PATCHES } from '../patches';
import type { Profiles } from '../operation/activity-profiles';

/** What it needs of a run. */
interface Renewing {
  readonly cluster: string;
  readonly state: OperationState;
  readonly activities: Pick<Profiles, 'transition'>;
}

export async function renewAddresses(run: Renewing): Promise<void> {
  const { state } = run;
  const mayHaveMoved = state.progress.pointOfNoReturnPassed || state.undoing !== null;
  if (state.lockStage === null || !mayHaveMoved || !patched(PATCHES.renewedAddresses)) return;
  const answer = await ask(run);
  if (answer === null) return;
  const { map, lock, members = {} } = answer;
  state.mapVersion = map.version;
  // Those of the lock may have left the map, or were taken out of it.
  const all = [...(lock?.shards ?? []), ...withGrpcUrls(map.shards, members)];
  const known = new Map(all.map((shard) => [shard.id, shard]));
  const renewed = (shards: readonly Shard[]): readonly Shard[] => shards.map((shard) => known.get(shard.id) ?? shard);
  const moved = (state.move?.shards ?? []).filter((shard) => known.get(shard.id)?.primary_url !== shard.primary_url);
  state.shards = renewed(state.shards);
  if (state.move !== null) state.move = { ...state.move, shards: renewed(state.move.shards) };
  // What the caller named was a follower of the primary that is gone.
  const gone = new Set(moved.filter(({ id }) => known.has(id)).map(({ id }) => String(id)));
  if (state.sources !== null) {
    state.sources = Object.fromEntries(Object.entries(state.sources).filter(([id]) => !gone.has(id)));
  }
}

/** Null: the cluster does not answer, or somebody else has the lock. The step that failed says what follows from that. */
async function ask(run: Renewing): Promise<ClusterAnswer | null> {
  const { operationId } = run.state.progress;
  try {
    const answer = await run.activities
      .transition('does the map name another address by now?')
      .changeCluster({ cluster: run.cluster, transition: { type: 'confirmHeld', operationId } });
    return answer.lock?.operationId === operationId ? answer : null;
  } catch (error) {
    if (!(error instanceof ActivityFailure) || isCancellation(error)) throw error;
    return null;
  }
}
