import { ApplicationFailure } from '@temporalio/workflow';
import type { Move } from '../../contract/move';
import type { Shard, ShardMap } from '../../domain/shard-map';
import type { DrainInput } from '../../contract/messages';
import { idsOf, noteLateWrites, type MoveParties } from './copy';
import { MoveSteps } from './steps';
import { count, counted } from '../web-ui-details';
import { sweepDonors, sweepReceivers } from './sweep';

/** The steps that only a drain has: its shard is the donor and the truth for its slice, and all others are possible owners. */
export class DrainSteps extends MoveSteps {
  protected readonly words = {
    announce: 'mark the shard as leaving',
    flip: 'take the leaver out of the map',
    withdraw: 'make the leaver an owner again',
  };

  plannedMove(map: ShardMap, shards: readonly Shard[]): Move {
    const leaving = shards.map((shard) => shard.id);
    const isInMap = shards.every((shard) => map.shards.some(({ id }) => id === shard.id));
    const all = isInMap ? map.shards : [...map.shards, ...shards];
    return { placement: { shards: all.map((shard) => shard.id), joining: map.joining, leaving }, shards: all };
  }

  parties(): MoveParties {
    const { state } = this.run;
    const leaving = new Set(state.shards.map((shard) => shard.id));
    const receivers = (state.move?.shards ?? []).filter((shard) => !leaving.has(shard.id));
    return { donors: state.shards, receivers, mayCreate: false, before: [] };
  }

  /** The lock first, as in a grow. */
  async preflight(input: DrainInput): Promise<string> {
    const { state, activities } = this.run;
    const { shardId } = input.request;
    const { operationId } = state.progress;
    const request = { kind: 'drain', shardId } as const;
    const { map } = this.plan(await this.transition('take the lock', { type: 'reserve', operationId, request }));
    const { placement, shards } = this.plannedMove(map, state.shards);
    const found = await activities
      .preflight(`preflight of the drain of shard ${shardId}`)
      .preflightDrain({ placement, shards, routerUrls: this.routerUrls, mapVersion: map.version });
    const rows = `${count(found.rowsRead)} rows looked at, all where they belong`;
    return `${counted(found.collections, 'collection')} on ${counted(map.shards.length, 'shard')}; ${rows}`;
  }

  /**
   * Searches of the new owners find what was moved. Before the flip, because with it they lose sight of the leaver; an index is
   * brought up to date in the background, and until then only the leaver's answers make searches complete.
   */
  warmUp(): Promise<string> {
    return this.indexesOrNot(true);
  }

  /**
   * Its slice is on its new owners whatever becomes of the leaver now. A leaver that does not answer any more is given up after the
   * operation's patience, so that a machine that was switched off early does not hold the lock for ever.
   */
  async finish(): Promise<void> {
    const { run } = this;
    await run.phase('await-routers-after', 'empty the leaver', () => this.awaitRoutersAfter());
    run.givesUp = true;
    try {
      await run.phase('drop', 'count what is left', () => sweepDonors(run, this.parties(), 'drop'));
      await run.phase('confirm', 'remove what it holds of others', () => sweepDonors(run, this.parties(), 'confirm'));
      await run.phase('empty', 'give the lock back', () => this.empty());
    } catch (error) {
      if (!(error instanceof ApplicationFailure) || error.type !== 'PatienceExhausted') throw error;
      run.state.notEmptied = error.message;
      run.endPhase(`given up: ${error.message}`);
    } finally {
      run.givesUp = false;
    }
  }

  /** Nothing stays that a re-added shard could bring back: copies of points that others own, and the collections themselves. */
  private async empty(): Promise<string> {
    const { run } = this;
    const { move, shards } = run.state;
    const [leaver] = shards;
    if (move === null || leaver === undefined) return 'nothing to do';
    let [removed, collections] = [0, 0];
    for (;;) {
      const result = noteLateWrites(
        run,
        await run.persist(`emptying shard ${leaver.id}`, () =>
          run.activities
            .points(`empty shard ${leaver.id}`)
            .emptyLeaver({ ...move, leaver, settleMs: run.timings.settleMs }),
        ),
      );
      removed += result.removed;
      collections += result.collectionsDropped;
      if (result.done) {
        run.state.kept = result.kept;
        run.state.dropped[leaver.id] = (run.state.dropped[leaver.id] ?? 0) + removed;
        return `${count(removed)} copies of other shards' points removed, ${collections} collections dropped, ${count(result.kept)} points kept`;
      }
    }
  }

  summary(): string {
    const { state } = this.run;
    const left =
      state.notEmptied === null
        ? ''
        : `; it could not be emptied (${state.notEmptied}), so empty it before it is ever used again`;
    return `shard ${idsOf(state.shards)} left and gave away ${count(state.progress.pointsDone)} points${left}`;
  }

  async clean(): Promise<readonly string[]> {
    const { run } = this;
    const left: string[] = [];
    // Not announced: no copy of ours is anywhere, and what lies in the slice on another shard may be its last one.
    if (run.state.move === null || !run.state.wasAnnounced) return left;
    await run.part(left, 'removing the copies from the other shards', async () => {
      const kept = await sweepReceivers(run, this.parties(), { absentIsDeleted: true });
      if (kept > 0) {
        left.push(
          `${count(kept)} copies were kept on the other shards, because shard ${idsOf(run.state.shards)} does not hold these points: POST /cluster/check says more`,
        );
      }
    });
    return left;
  }
}
