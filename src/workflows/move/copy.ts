/**
 * The engine that moves points online, told by a `Move` which id has which donor and which owner. A grow is one use of it.
 *
 * - `copyPoints` overwrites blindly, page by page, donors side by side. It needs no care, because
 * - `reconcileUntilClean` has the last word: pass after pass until one compared everything and wrote nothing (INV-4).
 * - `sweepDonors` (sweep-donors.ts) deletes from the donors what their owners hold or are known to have deleted (INV-5), and counts what is left.
 *
 * Crash: every step is an activity that may run again from its last page or cursor. All positions are in the operation's state,
 * so a workflow that continues as new goes on where it stood.
 */
import { CancellationScope, isCancellation } from '@temporalio/workflow';
import type { CollectionInfo, MayWriteLate } from '../../contract/move';
import {
  COPY_WINDOW_MAX,
  COPY_WINDOW_PER_DONOR,
  PAGE_OVERLAP_ROWS,
  PAGE_ROWS_MAX,
  RECONCILE_PASSES_MAX,
} from '../../domain/limits';
import type { Shard } from '../../domain/shard-map';
import { nowMs } from '../clock';
import { count } from '../web-ui-details';
import type { OperationRun } from '../operation/run';
import type { CopyState, PassState } from '../../contract/operation-state';

const PAGE_STEP_ROWS = PAGE_ROWS_MAX - PAGE_OVERLAP_ROWS;

/** Who takes part: donors hold the slice now, receivers will. `before` are the collections that a receiver had on its own. */
export interface MoveParties {
  readonly donors: readonly Shard[];
  readonly receivers: readonly Shard[];
  /** Whether collections may be created on receivers and removed from them. Not where they are owners already: see drain.ts. */
  readonly mayCreate: boolean;
  readonly before: readonly (readonly string[])[];
}

// ---- Copy ----

export async function copyPoints(run: OperationRun, parties: MoveParties): Promise<string> {
  const { state } = run;
  state.copy ??= await planCopy(run, parties);
  const { copy } = state;
  await run.checkpoint();
  await inLanes(parties.donors, (donor) => copyDonor(run, copy, donor));
  await run.checkpoint();
  if (parties.donors.some((donor) => nextPage(copy, donor) !== null)) return copyPoints(run, parties);
  return `${count(state.progress.pointsDone)} points, ${count(state.progress.bytesDone)} bytes`;
}

async function planCopy(run: OperationRun, parties: MoveParties): Promise<CopyState> {
  const { collections } = await prepareCollections(run, parties);
  const rows = collections.map((each) => sum(Object.values(each.countByShard)));
  const shares = parties.mayCreate ? parties.receivers.length / (parties.donors.length + parties.receivers.length) : 1;
  run.state.progress.pointsExpected = Math.round(sum(rows) * shares);
  return { collections, rowsExpected: sum(rows), rowsRead: 0, nextPage: {} };
}

/**
 * Creates on the receivers what the donors have. Also right before each pass: clients may have created more meanwhile. Once the
 * receivers are announced, a client's own create may be half-way, so what is missing is looked at again before it is created.
 */
export async function prepareCollections(
  run: OperationRun,
  parties: MoveParties,
  settle: { settleMs?: number } = { settleMs: run.timings.settleMs },
): Promise<{ collections: readonly CollectionInfo[]; created: number }> {
  const { donors, receivers, mayCreate } = parties;
  return noteLateWrites(
    run,
    await run.persist('preparing collections', () =>
      run.activities
        .points(`prepare collections on shard ${idsOf(receivers)}`)
        .prepareCollections({ donors, receivers, mayCreate, ...settle }),
    ),
  );
}

interface Page {
  readonly collection: string;
  readonly offset: number;
}

/** The next page of a donor that nobody has taken yet, or null. Collections are walked in order. */
function nextPage(copy: CopyState, donor: Shard): Page | null {
  let index = copy.nextPage[donor.id] ?? 0;
  for (const collection of copy.collections) {
    const pages = Math.ceil((collection.countByShard[donor.id] ?? 0) / PAGE_STEP_ROWS);
    if (index < pages) return { collection: collection.name, offset: index * PAGE_STEP_ROWS };
    index -= pages;
  }
  return null;
}

async function copyDonor(run: OperationRun, copy: CopyState, donor: Shard): Promise<void> {
  while (!run.historyIsLong()) {
    const page = nextPage(copy, donor);
    if (page === null) return;
    copy.nextPage[donor.id] = (copy.nextPage[donor.id] ?? 0) + 1;
    await copyPage(run, copy, donor, page);
  }
}

async function copyPage(run: OperationRun, copy: CopyState, donor: Shard, page: Page): Promise<void> {
  const { collection, offset } = page;
  const range = `${count(offset + 1)}–${count(offset + PAGE_ROWS_MAX)}`;
  const input = { ...moveOf(run), collection, donorId: donor.id, offset, limit: PAGE_ROWS_MAX };
  const result = noteLateWrites(
    run,
    await run.persist(`copying ${collection} from shard ${donor.id}`, () =>
      run.activities.points(`copy ${collection} ${range} from shard ${donor.id}`).copyPage(input),
    ),
  );
  // Pages overlap, so rows are counted by the step and can't add up to more than there are.
  copy.rowsRead += Math.min(result.rowsRead, PAGE_STEP_ROWS);
  run.countPoints(result.pointsCopied, result.bytesCopied);
  run.pace(copy.rowsRead, copy.rowsExpected, run.state.progress.pointsDone);
}

/** Runs `work` for several donors side by side, each in a few lanes. The first failure stops all lanes before it is thrown. */
async function inLanes(donors: readonly Shard[], work: (donor: Shard) => Promise<void>): Promise<void> {
  const lanes = Array.from({ length: COPY_WINDOW_PER_DONOR }, () => donors).flat();
  let next = 0;
  const failures: unknown[] = [];
  await CancellationScope.cancellable(async () => {
    const scope = CancellationScope.current();
    const worker = async (): Promise<void> => {
      for (let donor = lanes[next++]; donor !== undefined && failures.length === 0; donor = lanes[next++]) {
        try {
          await work(donor);
        } catch (error) {
          failures.push(error);
          scope.cancel();
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(COPY_WINDOW_MAX, lanes.length) }, worker));
  });
  if (failures.length > 0) throw failures.find((error) => !isCancellation(error)) ?? failures[0];
}

// ---- Reconcile ----

/** What must hold around a pass, besides what the pass itself sees. */
export interface PassConditions {
  /** Throws when this operation may not write to its shards any more; waits until every router writes to the receivers. */
  readonly beforePass: () => Promise<void>;
  /** False when a router has lost the map meanwhile (it restarted): what it wrote went to donors only, so the pass proves nothing. */
  readonly heldDuringPass: () => Promise<boolean>;
}

/**
 * INV-4: returns only behind a pass that began after every late write was over, compared everything and wrote nothing, with
 * every router writing to the receivers before and after it.
 *
 * A pass that wrote is followed by a pause as long as a client's write may live: what it deleted from a receiver may have been
 * the first half of a dual write, whose second half is still to come. Only a pass that begins behind it can see the difference.
 */
export async function reconcileUntilClean(
  run: OperationRun,
  parties: MoveParties,
  conditions: PassConditions,
): Promise<string> {
  const { state } = run;
  for (;;) {
    if (state.pass === null) {
      await conditions.beforePass();
      await run.waitUntil(
        state.routersAdoptedAtMs + run.timings.inFlightMs,
        'a write that a router began with the map before may still be under way',
      );
      await run.waitForLateWrites();
      state.pass = await beginPass(run, parties);
    }
    const pass = state.pass;
    await walkPass(run, pass);
    state.pass = null;
    state.passes += 1;
    const isClean = pass.written === 0 && state.lateWritesUntilMs <= pass.startedAtMs;
    if (isClean && (await conditions.heldDuringPass())) {
      state.proven = pass.collections;
      state.progress.pointsDone = pass.pointsCompared;
      state.progress.pointsExpected = pass.pointsCompared;
      state.progress.bytesDone = pass.bytesCompared;
      state.progress.bytesExpected = pass.bytesCompared;
      return `pass ${state.passes} compared ${count(pass.pointsCompared)} points and wrote nothing`;
    }
    if (pass.written > 0) {
      await run.waitUntil(
        nowMs() + run.timings.inFlightMs,
        `pass ${state.passes} mended ${count(pass.written)} differences, and a client's write may have been half-way`,
      );
    }
    await slowDownAfterTooManyPasses(run, pass);
    await run.checkpoint();
  }
}

async function beginPass(run: OperationRun, parties: MoveParties): Promise<PassState> {
  const startedAtMs = nowMs();
  const { collections, created } = await prepareCollections(run, parties);
  const removed = parties.mayCreate ? await removeOrphans(run, parties) : 0;
  return {
    collections: collections.map((each) => each.name),
    startedAtMs,
    index: 0,
    cursor: null,
    pointsCompared: 0,
    bytesCompared: 0,
    current: { points: 0, bytes: 0 },
    written: created + removed,
  };
}

async function removeOrphans(run: OperationRun, parties: MoveParties): Promise<number> {
  const { donors, receivers, before: keep } = parties;
  const { settleMs } = run.timings;
  const { removed } = noteLateWrites(
    run,
    await run.persist('removing collections that were dropped meanwhile', () =>
      run.activities
        .points(`look for collections that clients have dropped`)
        .removeOrphanCollections({ donors, receivers, keep, settleMs }),
    ),
  );
  return removed;
}

async function walkPass(run: OperationRun, pass: PassState): Promise<void> {
  for (;;) {
    const collection = pass.collections[pass.index];
    if (collection === undefined) return;
    const input = { ...moveOf(run), collection, cursor: pass.cursor, settleMs: run.timings.settleMs };
    const failedBefore = run.state.progress.failedAttempts;
    const result = noteLateWrites(
      run,
      await run.persist(`comparing ${collection}`, () =>
        run.activities.points(`pass ${run.state.passes + 1}: compare ${collection}`).reconcileSegment(input),
      ),
    );
    if (result.restarted) pass.current = { points: 0, bytes: 0 };
    pass.current.points += result.pointsCompared;
    pass.current.bytes += result.bytesCompared;
    pass.written += result.upserted + result.deleted;
    // An attempt that failed may have mended something before it did: unknown is not nothing.
    if (result.mayHaveWritten || run.state.progress.failedAttempts > failedBefore) pass.written += 1;
    pass.cursor = result.cursor;
    const compared = pass.pointsCompared + pass.current.points;
    run.pace(compared, run.state.progress.pointsExpected, compared);
    if (result.cursor === null) {
      pass.index += 1;
      pass.pointsCompared = compared;
      pass.bytesCompared += pass.current.bytes;
      pass.current = { points: 0, bytes: 0 };
    }
    await run.checkpoint();
  }
}

/** Differences that never end have a cause that a person must see: the flip waits, the passes go on, slowly. */
async function slowDownAfterTooManyPasses(run: OperationRun, pass: PassState): Promise<void> {
  if (run.state.passes < RECONCILE_PASSES_MAX) return;
  await run.waitUntil(
    nowMs() + run.timings.retryMaxMs,
    `${run.state.passes} passes have each found something to mend (the last one ${count(pass.written)}): the flip needs one that finds nothing, or cancel this operation, which undoes everything`,
  );
}

// ---- Leaves ----

export function moveOf(run: OperationRun): NonNullable<OperationRun['state']['move']> {
  if (run.state.move === null)
    throw new Error('the move is planned when the shards are announced, before any point moves');
  return run.state.move;
}

export function noteLateWrites<T extends MayWriteLate>(run: OperationRun, result: T): T {
  run.expectLateWrites(result.lateWritesUntilMs);
  return result;
}

export function idsOf(shards: readonly Shard[]): string {
  return shards.map((shard) => shard.id).join(', ');
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
