import type { Move, PreflightReport } from '../../contract/move';
import type { Shard, ShardMap } from '../../domain/shard-map';
import type { GrowInput } from '../../contract/messages';
import { idsOf, moveOf, prepareCollections, type MoveParties } from './copy';
import { MoveSteps } from './steps';
import { count, counted } from '../web-ui-details';
import { sweepDonors, sweepReceivers } from './sweep';

/** The steps that only a grow has: its shards are the receivers, and all others are possible donors. */
export class GrowSteps extends MoveSteps {
  protected readonly words = {
    announce: 'announce the joiner',
    flip: 'promote the joiner',
    withdraw: 'take the joiner out of the map',
  };

  plannedMove(map: ShardMap, shards: readonly Shard[]): Move {
    const joining = shards.map((shard) => shard.id);
    const others = map.shards.filter((shard) => !joining.includes(shard.id));
    const all = [...others, ...shards];
    const placement = { shards: all.map((shard) => shard.id), joining, leaving: map.leaving };
    return { placement, shards: all };
  }

  parties(): MoveParties {
    const { state } = this.run;
    const joining = new Set(state.shards.map((shard) => shard.id));
    const donors = (state.move?.shards ?? []).filter((shard) => !joining.has(shard.id));
    return { donors, receivers: state.shards, mayCreate: true, before: state.preflight?.collectionsBefore ?? [] };
  }

  /** The lock first, so that nothing that preflight finds can be changed by another operation afterwards (INV-2). */
  async preflight(input: GrowInput): Promise<string> {
    const { state, activities } = this.run;
    const { shards, allowNonempty, fromStandby, seenLastScaleAtMs } = input.request;
    const { operationId } = state.progress;
    const seen = seenLastScaleAtMs === undefined ? {} : { seenLastScaleAtMs };
    const request = { kind: 'grow', shards, fromStandby: fromStandby === true, ...seen } as const;
    const { map } = this.plan(await this.transition('take the lock', { type: 'reserve', operationId, request }));
    state.preflight = await activities.preflight(`preflight of ${shards.length} joining`).preflightGrow({
      joiners: shards,
      donors: map.shards,
      routerUrls: this.routerUrls,
      allowNonempty,
      mapVersion: map.version,
    });
    return `${counted(state.preflight.collections.length, 'collection')} on ${counted(map.shards.length, 'donor')}`;
  }

  async prepare(): Promise<string> {
    const { collections, created } = await prepareCollections(this.run, this.parties(), {});
    return `${counted(collections.length, 'collection')}, ${created} created on the joiner`;
  }

  /** Searches of the joiner are answered at once after the flip. */
  warmUp(): Promise<string> {
    return this.indexesOrNot(false);
  }

  /**
   * After the flip, before the donors drop the slice: searches of the joiner find what it holds. An index that was built early is
   * brought up to date in the background; until then only the donors' answers make searches complete.
   */
  private async awaitIndex(): Promise<string> {
    if (this.run.timings.warmUpMs === 0) return 'not waited for';
    return this.buildIndexes(true);
  }

  async finish(): Promise<void> {
    const { run } = this;
    await run.phase('await-routers-after', 'wait until searches find what was moved', () => this.awaitRoutersAfter());
    await run.phase('await-index', 'drop the slice from the donors', () => this.awaitIndex());
    await run.phase('drop', 'count what is left', () => sweepDonors(run, this.parties(), 'drop'));
    await run.phase('confirm', 'give the lock back', () => sweepDonors(run, this.parties(), 'confirm'));
  }

  summary(): string {
    const { state } = this.run;
    return `shard ${idsOf(state.shards)} joined and took over ${count(state.progress.pointsDone)} points`;
  }

  async clean(): Promise<readonly string[]> {
    const { state } = this.run;
    const left: string[] = [];
    // What came before the announcement is known from preflight, or it was not even begun.
    if (state.move === null || (state.preflight === null && !state.wasAnnounced)) return left;
    const { preflight } = state;
    if (preflight === null) {
      await this.run.part(left, `cleaning shard ${idsOf(state.shards)}`, () => this.cleanWithCare(left));
      return left;
    }
    for (const joiner of state.shards) {
      await this.run.part(left, `cleaning shard ${joiner.id}`, () => this.cleanJoiner(joiner, preflight));
    }
    return left;
  }

  /** A recovery that could learn nothing does not know what the joiner held before, nor whether the donors still have what it holds (INV-5). */
  private async cleanWithCare(left: string[]): Promise<void> {
    const { run } = this;
    const kept = await sweepReceivers(run, this.parties(), { absentIsDeleted: false });
    if (kept === 0) return;
    left.push(
      `${count(kept)} points were kept on shard ${idsOf(run.state.shards)}, because the donors do not hold them: look at them before it is used again`,
    );
  }

  private async cleanJoiner(joiner: Shard, preflight: PreflightReport): Promise<void> {
    const { run } = this;
    const index = run.state.shards.indexOf(joiner);
    const collectionsBefore = preflight.collectionsBefore[index] ?? [];
    const nonemptyBefore = preflight.nonemptyBefore[index] ?? [];
    const input = { ...moveOf(run), joiner, collectionsBefore, nonemptyBefore };
    const what = `remove from shard ${joiner.id} what this operation put there`;
    for (let done = false; !done;) {
      const result = await run.persist(`cleaning shard ${joiner.id}`, () =>
        run.activities.points(what).cleanJoiner(input),
      );
      run.expectLateWrites(result.lateWritesUntilMs);
      done = result.done;
    }
  }
}
