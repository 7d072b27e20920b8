/**
 * The proof of a move: pass after pass over donors and receivers, until one compared everything and wrote nothing (INV-4).
 *
 * Crash: every segment is an activity that may run again from its last cursor, which is in the operation's state.
 */
import type { PassState } from '../../contract/operation-state';
import { RECONCILE_PASSES_MAX } from '../../domain/limits';
import { nowMs } from '../clock';
import { awaitRouters, routersHoldTheMap } from '../operation/routers';
import type { OperationRun } from '../operation/run';
import { applyTransition } from '../operation/transition';
import { count } from '../wording';
import { prepareCollections, removeOrphans } from './collections';
import { moveOf, partiesOf, type MoveParties } from './placement';
import type { MoveContext } from './context';

/**
 * INV-4: returns only behind a pass that began after every late write was over, compared everything and wrote nothing, with
 * every router writing to the receivers before and after it.
 *
 * A pass that wrote is followed by a pause as long as a client's write may live: what it deleted from a receiver may have been
 * the first half of a dual write, whose second half is still to come. Only a pass that begins after it can see the difference.
 */
export async function reconcileUntilClean(context: MoveContext): Promise<string> {
  const { run, kind } = context;
  const { state } = run;
  const parties = partiesOf(kind, state);
  for (;;) {
    if (state.pass === null) {
      await confirmAnnounced(context);
      await run.waits.until(
        state.routersAdoptedAtMs + run.timings.inFlightMs,
        'a write that a router began with the map before may still be under way',
      );
      await run.waits.forLateWrites();
      state.pass = await beginPass(run, parties);
    }
    const pass = state.pass;
    await walkPass(run, pass);
    state.pass = null;
    state.passes += 1;
    const isClean = pass.written === 0 && state.lateWritesUntilMs <= pass.startedAtMs;
    if (isClean && (await routersHoldTheMap(context))) {
      state.provenCollections = pass.collections;
      state.progress.pointsDone = pass.pointsCompared;
      state.progress.pointsExpected = pass.pointsCompared;
      state.progress.bytesDone = pass.bytesCompared;
      state.progress.bytesExpected = pass.bytesCompared;
      return `pass ${state.passes} compared ${count(pass.pointsCompared)} points and wrote nothing`;
    }
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

async function beginPass(run: OperationRun, parties: MoveParties): Promise<PassState> {
  const startedAtMs = nowMs();
  const { collections, created } = await prepareCollections(run, parties);
  const removed = parties.canCreateCollections ? await removeOrphans(run, parties) : 0;
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

async function walkPass(run: OperationRun, pass: PassState): Promise<void> {
  for (;;) {
    const collection = pass.collections[pass.index];
    if (collection === undefined) return;
    const input = { ...moveOf(run), collection, cursor: pass.cursor, settleMs: run.timings.settleMs };
    const failedBefore = run.state.progress.failedAttempts;
    const result = run.waits.noted(
      await run.persist(`comparing ${collection}`, () =>
        run.activities.points(`pass ${run.state.passes + 1}: compare ${collection}`).reconcileSegment(input),
      ),
    );
    if (result.restarted) pass.current = { points: 0, bytes: 0 };
    pass.current.points += result.pointsCompared;
    pass.current.bytes += result.bytesCompared;
    pass.written += result.upserted + result.deleted;
    // An attempt that failed may have written something before it did: unknown is not nothing.
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
