/**
 * The proof of a move: pass after pass, until one compared all that may differ and wrote nothing (INV-4).
 *
 * A pass looks by id at what this operation has written and at what clients have changed since the donor was read. It
 * reads the donor again where rows may be on it alone: a router was not watched all the time, or the worker that kept
 * the ids is gone.
 *
 * Crash: a pass begins anew.
 */
import type { CompareDonorResult } from '../../../contract/move';
import { RECONCILE_PASSES_MAX } from '../../../domain/limits';
import type { Shard } from '../../../domain/shard-map';
import { nowMs } from '../../clock';
import { awaitRouters, routersHoldTheMap } from '../../operation/routers';
import type { OperationRun } from '../../operation/run';
import { applyTransition } from '../../operation/transition';
import { count } from '../../wording';
import { prepareCollections, prepareForDonor, removeOrphans } from '../collections';
import type { MoveContext } from '../context';
import { partiesOf, type MoveParties } from '../placement';
import { mustStandStill, standStill } from '../standing';
import { donorInput, donorState, onItsWorker, sideBySide } from './donors';
import { noteScan } from './sources';
import { readWatch } from './watch';

/** What one pass over all donors came to. */
interface Pass {
  readonly startedAtMs: number;
  readonly collections: readonly string[];
  /** Points and collections that it wrote. INV-4: the flip needs a pass with 0. */
  written: number;
}

/**
 * INV-4: returns only behind a pass that began after every late write was over, compared everything and wrote nothing,
 * with every router watched since the donors were read, or every change of the donors known since then.
 *
 * A pass that wrote is followed by a pause as long as a client's write may live: what it deleted from a receiver may
 * have been the first half of a dual write, whose second half is still to come. Only a pass that begins after it can see
 * the difference. So it is with the copy, too.
 */
export async function reconcileUntilClean(context: MoveContext): Promise<string> {
  const { run, kind } = context;
  const { state } = run;
  const parties = partiesOf(kind, state);
  for (;;) {
    while (mustStandStill(run)) await standStill(context);
    await confirmAnnounced(context);
    await run.waits.until(
      state.routersAdoptedAtMs + run.timings.inFlightMs,
      'a write that a router began with another map may still be under way',
    );
    await run.waits.until(
      state.copiedAtMs + run.timings.inFlightMs,
      'the copy may have undone the first half of a write of a client, whose second half is still under way',
    );
    await run.waits.forLateWrites();
    const pass = await beginPass(run, parties);
    await sideBySide(parties.donors, (donor) => compareDonor(run, { parties, pass, donor }));
    state.passes += 1;
    const isClean = pass.written === 0 && state.lateWritesUntilMs <= pass.startedAtMs;
    const isWatched = await wasWatched(context, parties);
    // What is paused proves itself again afterwards. A window that closes does not discard what was proven, else a pass longer than it would never count.
    if (isClean && isWatched && !run.holds.isPaused()) return endClean(run, parties, pass);
    if (pass.written > 0) {
      await run.waits.until(
        nowMs() + run.timings.inFlightMs,
        `pass ${state.passes} applied ${count(pass.written)} differences, and a client's write may have been half-way`,
      );
    }
    await slowDownAfterTooManyPasses(run, pass);
    await run.checkpoint();
  }
}

async function beginPass(run: OperationRun, parties: MoveParties): Promise<Pass> {
  const startedAtMs = nowMs();
  const { collections, created } = await prepareCollections(run, parties);
  const removed = parties.canCreateCollections ? await removeOrphans(run, parties) : 0;
  return { startedAtMs, collections: collections.map(({ name }) => name), written: created + removed };
}

async function compareDonor(
  run: OperationRun,
  { parties, pass, donor }: { parties: MoveParties; pass: Pass; donor: Shard },
): Promise<void> {
  const known = donorState(run, donor);
  const failedBefore = run.state.progress.failedAttempts;
  const { replacements } = run.state;
  let tries = 0;
  const compare = (): Promise<CompareDonorResult> =>
    run.persist(`comparing shard ${donor.id}`, async () => {
      if (tries++ > 0) pass.written += (await prepareForDonor(run, parties, donor)).created;
      return onItsWorker(run, donor, (worker) =>
        run.activities.rows(`pass ${run.state.passes + 1}: compare shard ${donor.id}`, worker).compareDonor({
          ...donorInput(run, donor, known.pointsCopied),
          collections: pass.collections,
          settleMs: run.timings.settleMs,
          recut: known.needsCut,
          scanReceivers: known.mustScanReceivers,
        }),
      );
    });
  let result = await compare();
  if (result.needsCut) {
    // Another process knew what was copied. Both sides tell it again.
    known.needsCut = true;
    known.mustScanReceivers = true;
    result = await compare();
  }
  for (const scan of result.scans) noteScan(run, donor, scan);
  // Another donor's lane may have replaced a collection meanwhile: then this one must be read again.
  const isReplaced = run.state.replacements > replacements;
  // An attempt that failed may have written something before it did: unknown is not nothing.
  const mayHaveWritten = result.mayHaveWritten || run.state.progress.failedAttempts > failedBefore;
  // What it deleted may come to the donor yet, as the second half of a client's write. Then only a tail or a cut tells it.
  known.needsCut = isReplaced || (mayHaveWritten && !result.isTailKept);
  known.mustScanReceivers = isReplaced;
  known.isTailKept = result.isTailKept;
  known.pointsCompared = result.pointsCompared;
  known.bytesCompared = result.bytesCompared;
  pass.written += result.upserted + result.deleted;
  if (mayHaveWritten) pass.written += 1;
  const { pointsExpected } = run.state.progress;
  const compared = sumOf(run, parties, 'pointsCompared');
  run.pace(compared, pointsExpected, compared);
}

/** False: what a router may have written meanwhile is not compared yet. Says what the next pass must read for it. */
async function wasWatched(context: MoveContext, parties: MoveParties): Promise<boolean> {
  const { run } = context;
  const reading = await readWatch(context);
  if (reading === null) return routersHoldTheMap(context);
  if (reading.unbroken) return true;
  run.state.routersAdoptedAtMs = nowMs();
  for (const donor of parties.donors) {
    const known = donorState(run, donor);
    // A tail that was kept tells every change of the donor, whoever made it.
    if (known.isTailKept) continue;
    known.needsCut = true;
    known.mustScanReceivers = true;
  }
  return false;
}

function endClean(run: OperationRun, parties: MoveParties, pass: Pass): string {
  const { state } = run;
  const points = sumOf(run, parties, 'pointsCompared');
  const bytes = sumOf(run, parties, 'bytesCompared');
  state.provenCollections = pass.collections;
  delete state.isProofStale;
  Object.assign(state.progress, { pointsDone: points, pointsExpected: points, bytesDone: bytes, bytesExpected: bytes });
  return `pass ${state.passes} compared ${count(points)} points and wrote nothing`;
}

function sumOf(run: OperationRun, parties: MoveParties, what: 'pointsCompared' | 'bytesCompared'): number {
  return parties.donors.reduce((sum, donor) => sum + donorState(run, donor)[what], 0);
}

/** Differences that never end have a cause that a person must see: the flip waits, the passes go on, slowly. */
async function slowDownAfterTooManyPasses(run: OperationRun, pass: Pass): Promise<void> {
  if (run.state.passes < RECONCILE_PASSES_MAX) return;
  await run.waits.until(
    nowMs() + run.timings.retryMaxMs,
    `${run.state.passes} passes have each found differences (the last one ${count(pass.written)}): the flip needs one that finds nothing, or cancel this operation, which undoes everything`,
  );
}

/** The operation still owns the change, and every router writes to the receivers too. */
async function confirmAnnounced(context: MoveContext): Promise<void> {
  const { run } = context;
  const { state } = run;
  const { operationId } = state.progress;
  const what = 'confirm that the change is announced';
  const { map } = await applyTransition(run, what, { type: 'confirmAnnounced', operationId });
  state.mapVersion = map.version;
  if (!(await routersHoldTheMap(context))) await awaitRouters(context);
}
