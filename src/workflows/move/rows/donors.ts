/** What is known of each donor, and how a step reaches the worker that knows the rest. */
import { ActivityFailure, isCancellation, TimeoutFailure } from '@temporalio/workflow';
import type { DonorInput, KeptByWorker, MayWriteLate } from '../../../contract/move';
import type { DonorState } from '../../../contract/operation-state';
import { receiversOf } from '../../../domain/placement-plan';
import type { Shard } from '../../../domain/shard-map';
import type { OperationRun } from '../../operation/run';
import { endSlowed } from '../../holds/slowed';
import { moveOf, ofShards, sessionOf } from '../placement';

/** Donors that are worked on side by side. Each keeps a shard and a part of a worker busy. */
const DONORS_AT_ONCE = 8;

export function donorState({ state }: OperationRun, donor: Shard): DonorState {
  return (state.donors[donor.id] ??= newDonor());
}

function newDonor(): DonorState {
  return {
    worker: null,
    tries: 0,
    isCopied: false,
    pointsCopied: 0,
    bytesCopied: 0,
    pointsCompared: 0,
    bytesCompared: 0,
    needsCut: false,
    mustScanReceivers: false,
    isTailKept: false,
    isFollowed: false,
    pointsKept: 0,
  };
}

/** Only with the shards that the step touches: 1,000 donors with 1,000 addresses each would be more than a history holds. */
export function donorInput(run: OperationRun, donor: Shard, expected: number): DonorInput {
  const move = moveOf(run);
  const needed = new Set([donor.id, ...receiversOf(move.placement)]);
  return { ...ofShards(move, needed), session: sessionOf(run), donorId: donor.id, expected };
}

/** Everything that its worker kept is lost: a pass begins with a new cut. */
export function forgetWorker(donor: DonorState): void {
  donor.worker = null;
  donor.needsCut = true;
  donor.mustScanReceivers = true;
  donor.isTailKept = false;
  donor.isFollowed = false;
}

/**
 * Runs a step on the worker that keeps what it needs. A worker that is gone takes no task any more: then the step is
 * tried on any worker, which finds nothing kept.
 */
export async function onItsWorker<T extends KeptByWorker & MayWriteLate>(
  run: OperationRun,
  donor: Shard,
  step: (worker: string | null) => Promise<T>,
): Promise<T> {
  run.stepsUnderWay += 1;
  try {
    return await onItsWorkerOrAny(run, donorState(run, donor), step);
  } finally {
    run.stepsUnderWay -= 1;
    endSlowed(run.state, donor.id);
  }
}

async function onItsWorkerOrAny<T extends KeptByWorker & MayWriteLate>(
  run: OperationRun,
  donor: DonorState,
  step: (worker: string | null) => Promise<T>,
): Promise<T> {
  try {
    const result = run.waits.noted(await step(donor.worker));
    donor.worker = result.worker;
    return result;
  } catch (error) {
    if (isCancellation(error) || donor.worker === null || !isNeverStarted(error)) throw error;
  }
  forgetWorker(donor);
  const result = run.waits.noted(await step(null));
  donor.worker = result.worker;
  return result;
}

function isNeverStarted(error: unknown): boolean {
  if (!(error instanceof ActivityFailure) || !(error.cause instanceof TimeoutFailure)) return false;
  return error.cause.timeoutType === 'SCHEDULE_TO_START';
}

/** Runs `work` for several donors side by side. All of them end before the first failure is thrown. */
export async function sideBySide(donors: readonly Shard[], work: (donor: Shard) => Promise<void>): Promise<void> {
  let next = 0;
  const failures: unknown[] = [];
  const lane = async (): Promise<void> => {
    for (let donor = donors[next++]; donor !== undefined && failures.length === 0; donor = donors[next++]) {
      try {
        await work(donor);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(DONORS_AT_ONCE, donors.length) }, lane));
  if (failures.length > 0) throw failures.find((error) => !isCancellation(error)) ?? failures[0];
}

/** At the end: what workers keep is of no use to anybody. What is not reached goes with its worker, or after some days. */
export async function forgetSessions(run: OperationRun): Promise<void> {
  const { state } = run;
  const workers = new Set(Object.values(state.donors).map((donor) => donor?.worker ?? null));
  const session = sessionOf(run);
  for (const worker of workers) {
    await run.activities
      .session('forget what was kept of the move', worker)
      .endSession({ session })
      .catch(() => undefined);
  }
  if (state.watch === null) return;
  const { watchId, worker } = state.watch;
  await run.activities
    .watch('stop watching the routers', worker)
    .closeWatch({ watchId })
    .catch(() => undefined);
  state.watch = null;
}
