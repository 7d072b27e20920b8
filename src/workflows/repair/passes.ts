import { ApplicationFailure } from '@temporalio/workflow';
import type { InspectedCollection, RepairParties } from '../../contract/repair';
import type { MayWriteLate } from '../../contract/move';
import {
  addByHolder,
  describePass,
  isClean,
  NOTHING_FOUND,
  NOTHING_MENDED,
  withCollection,
  type CollectionFindings,
  type PassFindings,
} from '../../domain/findings';
import { FINDING_SAMPLES_MAX, REPAIR_PASSES_MAX } from '../../domain/limits';
import type { OperationResult } from '../../domain/lock-transitions';
import type { OperationOutcome } from '../../domain/progress';
import { requireParties } from '../../domain/repair-request';
import { placementSpec, type ShardMap } from '../../domain/shard-map';
import { nowMs } from '../clock';
import { answering } from '../operation/domain-failures';
import type { RepairInput } from '../../contract/messages';
import { moveOf, noteLateWrites } from '../move/copy';
import { count } from '../web-ui-details';
import type { OperationRun } from '../operation/run';
import type { RepairState } from '../../contract/operation-state';
import { awaitRouters, routersHoldTheMap } from '../operation/routers';
import { applyTransition } from '../operation/transition';

const NOTHING_SEEN: RepairState['current'] = {
  seen: { points: 0, byHolder: {} },
  mended: {},
  samples: [],
  rowsRead: 0,
};

/** The steps of a check and, with `mends`, of a repair. */
export class RepairSteps {
  readonly mends: boolean;
  private readonly run: OperationRun;
  private readonly input: RepairInput;

  constructor(run: OperationRun, input: RepairInput, { mends }: { mends: boolean }) {
    this.run = run;
    this.input = input;
    this.mends = mends;
  }

  // ---- Preflight ----

  async preflight(): Promise<string> {
    const { run, input } = this;
    const { state } = run;
    const { map } = await this.hold();
    state.mapVersion = map.version;
    state.move = { placement: placementSpec(map), shards: map.shards };
    answering(() => requireParties(map, input.request));
    state.announced = { map, shardIds: [], request: input.request };
    const leftovers = input.request.leftovers.length;
    return `map version ${map.version}, ${map.shards.length} shards${leftovers === 0 ? '' : `, ${leftovers} leftovers`}`;
  }

  /** Takes the lock, or says that the check runs. A repeat only asks for the map. */
  private hold(): Promise<{ map: ShardMap }> {
    const { operationId } = this.run.state.progress;
    return this.mends
      ? applyTransition(this.run, 'take the lock', { type: 'reserve', operationId, request: { kind: 'repair' } })
      : applyTransition(this.run, 'may a check begin?', { type: 'beginCheck', operationId });
  }

  /**
   * INV-2: a repair whose workflow was reset must not go on without the lock. What is judged by a map is worth nothing under another
   * one; a restored cluster may have given the same map a higher version.
   */
  private async confirmMap(): Promise<void> {
    const { run } = this;
    const { operationId } = run.state.progress;
    const { map } = this.mends
      ? await applyTransition(run, 'confirm that the lock is held', { type: 'confirmHeld', operationId })
      : await this.hold();
    const { placement, shards } = moveOf(run);
    const isSame =
      JSON.stringify(placementSpec(map)) === JSON.stringify(placement) &&
      JSON.stringify(map.shards) === JSON.stringify(shards);
    if (this.mends && isSame) {
      run.state.mapVersion = map.version;
      return;
    }
    if (map.version === run.state.mapVersion) return;
    throw ApplicationFailure.nonRetryable(
      `the map was version ${run.state.mapVersion} when this began and is ${map.version} now, so what was found says nothing any more: start another one`,
      'MapChanged',
    );
  }

  async awaitRouters(): Promise<string> {
    const { run, input } = this;
    const note = await awaitRouters(run, input.routerUrls);
    await this.waitForOldWrites();
    return note;
  }

  /** A router that follows an older map writes to shards that own nothing of it by now, and that copy would be taken for an old one. */
  private async waitForOldWrites(): Promise<void> {
    await this.run.waitUntil(
      this.run.state.routersAdoptedAtMs + this.run.timings.inFlightMs,
      'a write that a router began with the map before may still be under way',
    );
  }

  // ---- Collections ----

  async inspect(): Promise<string> {
    const { run } = this;
    if (this.mends) {
      const looking = 'looking whether every shard is one of its own';
      this.noted(
        await run.persist(looking, () =>
          run.activities.points('look whether every shard is one of its own').refuseAliasesInMap(this.parties()),
        ),
      );
    }
    const repair = await this.beginPass(1, NOTHING_MENDED);
    const { collections } = repair;
    const wrong = collections.filter((each) => each.missingOn.length > 0 || each.notCompared !== null);
    const created = repair.mended.collectionsCreated === 0 ? '' : `, ${repair.mended.collectionsCreated} created`;
    return `${collections.length} collections, ${wrong.length} of them missing somewhere or not to be compared${created}`;
  }

  private async beginPass(pass: number, mended: RepairState['mended']): Promise<RepairState> {
    const { run, mends } = this;
    const { collections, created } = this.noted(
      await run.persist('looking at the collections', () =>
        run.activities.points(`pass ${pass}: which collections are where?`).inspectCollections({
          ...this.parties(),
          collections: this.input.request.collections,
          creates: mends,
          // What a client drops shard by shard must not be created anew behind it, so it gets as long as any write.
          settleMs: mends ? Math.max(run.timings.settleMs, run.timings.inFlightMs) : run.timings.settleMs,
        }),
      ),
    );
    const before = run.state.repair;
    const repair: RepairState = {
      pass,
      collections,
      index: 0,
      cursor: null,
      current: NOTHING_SEEN,
      found: NOTHING_FOUND,
      left: NOTHING_FOUND,
      rowsRead: 0,
      rowsReadBefore: before === null ? 0 : before.rowsReadBefore + before.rowsRead,
      written: created,
      first: before?.first ?? null,
      mended: { ...mended, collectionsCreated: mended.collectionsCreated + created },
      removedByHolder: before?.removedByHolder ?? {},
    };
    run.state.repair = repair;
    this.showFindings();
    return repair;
  }

  // ---- Compare ----

  async compare(): Promise<string> {
    const { run } = this;
    for (;;) {
      const repair = this.repairState();
      await this.walkPass(repair);
      repair.first ??= repair.found;
      if (!this.mends) {
        await this.confirmMap();
        return describePass(repair.found);
      }
      if (repair.written === 0 || repair.pass >= REPAIR_PASSES_MAX) return this.passesNote(repair);
      await run.waitForLateWrites();
      await this.confirmMap();
      if (!(await routersHoldTheMap(run, this.input.routerUrls))) await this.awaitRouters();
      await this.beginPass(repair.pass + 1, repair.mended);
      await run.checkpoint();
    }
  }

  private passesNote(repair: RepairState): string {
    if (repair.written === 0) return `pass ${repair.pass} mended nothing any more`;
    return `all ${repair.pass} passes found something to mend, the last one ${count(repair.written)}`;
  }

  private async walkPass(repair: RepairState): Promise<void> {
    for (;;) {
      const collection = repair.collections[repair.index];
      if (collection === undefined) return;
      if (collection.notCompared === null) await this.walkSegment(repair, collection);
      if (repair.cursor === null) this.endCollection(repair, collection);
      this.showFindings();
      await this.run.checkpoint();
    }
  }

  private async walkSegment(repair: RepairState, { collection }: InspectedCollection): Promise<void> {
    const { run, mends } = this;
    if (mends) await this.confirmMap();
    const failedBefore = run.state.progress.failedAttempts;
    const { settleMs } = run.timings;
    const input = {
      ...this.parties(),
      collection,
      cursor: repair.cursor,
      mend: mends ? { settleMs, prefer: this.input.request.prefer } : null,
    };
    const result = this.noted(
      await run.persist(`comparing ${collection}`, () =>
        run.activities.points(`pass ${repair.pass}: compare ${collection}`).compareSegment(input),
      ),
    );
    const { seen, mended, samples, rowsRead } = result.restarted
      ? { ...NOTHING_SEEN, mended: repair.current.mended }
      : repair.current;
    repair.current = {
      seen: {
        points: seen.points + result.seen.points,
        byHolder: addByHolder(seen.byHolder, result.seen.byHolder),
      },
      mended: addByHolder(mended, result.mended.byHolder),
      samples: [...samples, ...result.samples].slice(0, FINDING_SAMPLES_MAX),
      rowsRead: rowsRead + result.rowsRead,
    };
    repair.cursor = result.cursor;
    let removed = 0;
    for (const [holder, points] of Object.entries(result.mended.removedByHolder)) {
      repair.removedByHolder = { ...repair.removedByHolder, [holder]: (repair.removedByHolder[holder] ?? 0) + points };
      removed += points;
    }
    const { moved } = result.mended;
    repair.mended = { ...repair.mended, moved: repair.mended.moved + moved, removed: repair.mended.removed + removed };
    repair.written += moved + removed;
    // An attempt that failed may have mended something before it did: unknown is not nothing.
    if (mends && (result.mayHaveWritten || run.state.progress.failedAttempts > failedBefore)) repair.written += 1;
  }

  private endCollection(repair: RepairState, inspected: InspectedCollection): void {
    const { samples } = repair.current;
    repair.found = withCollection(repair.found, foundNow(repair, inspected), samples);
    const { points, byHolder } = repair.current.seen;
    const left = { ...foundNow(repair, inspected), points, byHolder };
    const isWrong = !isClean(withCollection(NOTHING_FOUND, left, []));
    if (isWrong) repair.left = withCollection(repair.left, left, samples);
    repair.rowsRead += repair.current.rowsRead;
    repair.current = NOTHING_SEEN;
    repair.index += 1;
  }

  /** In `progress`, as far as it has come. */
  private showFindings(): void {
    const { run } = this;
    const { progress } = run.state;
    const repair = this.repairState();
    const walked = repair.rowsRead + repair.current.rowsRead;
    const compared = repair.collections.filter((each) => each.notCompared === null);
    const expected = compared.reduce((sum, { rows }) => sum + rows, 0);
    progress.findings = { found: repair.first ?? soFar(repair), mended: repair.mended, left: null };
    progress.pointsDone = walked;
    progress.pointsExpected = expected;
    const inPhase = repair.rowsReadBefore + walked;
    run.pace(inPhase, repair.rowsReadBefore + expected, inPhase);
  }

  // ---- The end ----

  async release(result: Omit<OperationResult, 'operationId'>): Promise<void> {
    const { operationId } = this.run.state.progress;
    await (this.mends
      ? applyTransition(this.run, 'give the lock back', { type: 'release', operationId, ...result }, 'forever')
      : applyTransition(this.run, 'end the check', { type: 'endCheck', operationId, ...result }, 'forever'));
  }

  /** When everything succeeded. */
  summary(): string {
    const repair = this.repairState();
    const { found, first, left, pass } = repair;
    const read = `${count((first ?? found).totals.points)} points in ${repair.collections.length} collections`;
    if (!this.mends) return `${read}: ${describePass(found)}`;
    this.run.state.progress.findings = { found: first ?? found, mended: repair.mended, left };
    const rest = isClean(left) ? 'nothing is left' : `left: ${describePass(left)}`;
    const unsettled =
      repair.written === 0
        ? ''
        : `. ${this.passesNote(repair)}: something goes on writing to shards that do not own the points, so look for a router with another map (${pass} passes)`;
    return `${read}: ${describePass(first ?? found)}${this.doneSoFar()}; ${rest}${unsettled}`;
  }

  /** Of a repair that mended something. */
  doneSoFar(): string {
    const { repair } = this.run.state;
    if (repair === null || !this.mends) return '';
    const { collectionsCreated, moved, removed } = repair.mended;
    if (collectionsCreated + moved + removed === 0) return '';
    return `; ${count(collectionsCreated)} collections created, ${count(moved)} points moved to their owners, ${count(removed)} copies removed`;
  }

  outcome(message: string): OperationOutcome {
    const { repair, progress } = this.run.state;
    return {
      message,
      pointsMoved: repair?.mended.moved ?? 0,
      droppedByDonor: repair?.removedByHolder ?? {},
      pointsKept: repair?.left.totals.conflicting ?? 0,
      durationMs: nowMs() - progress.startedAtMs,
    };
  }

  // ---- Leaves ----

  private parties(): RepairParties {
    return { ...moveOf(this.run), leftovers: this.input.request.leftovers };
  }

  private repairState(): RepairState {
    const { repair } = this.run.state;
    if (repair === null) throw new Error('a pass begins with looking at the collections');
    return repair;
  }

  private noted<T extends MayWriteLate>(result: T): T {
    return noteLateWrites(this.run, result);
  }
}

function foundNow(repair: RepairState, inspected: InspectedCollection): CollectionFindings {
  const { collection, notCompared, missingOn, otherSchemaOn } = inspected;
  const { seen, mended } = repair.current;
  const byHolder = addByHolder(seen.byHolder, mended);
  return { collection, notCompared, missingOn, otherSchemaOn, points: seen.points, byHolder };
}

/** With the collection that is walked now. */
function soFar(repair: RepairState): PassFindings {
  const inspected = repair.collections[repair.index];
  if (inspected === undefined || repair.current.rowsRead === 0) return repair.found;
  return withCollection(repair.found, foundNow(repair, inspected), repair.current.samples);
}
