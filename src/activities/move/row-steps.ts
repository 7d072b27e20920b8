/** The steps of a move that read and write rows: each is one job of the engine (src/rows/jobs). */
import type { CoordinatorActivities } from '../../contract/activities';
import type { DonorInput, DropDonorInput, Move } from '../../contract/move';
import type { Engine } from '../../rows/thread/engine';
import type { JobInput } from '../../rows/remote/run-job';
import { receiversOf } from '../../domain/placement-plan';
import { READING_LIFE_MS } from '../../domain/router-watch';
import type { WatchRegistry } from '../../shards/http/watch-registry';
import { activity, type ActivityRuntime, type ActivityScope } from '../frame/run-activity';
import { runRowJob } from '../rows/row-scope';
import { StepWatch } from './step-watch';

type RowSteps = Pick<
  CoordinatorActivities,
  | 'copyDonor'
  | 'compareDonor'
  | 'followDonor'
  | 'readForDrop'
  | 'dropFromDonor'
  | 'removeCopies'
  | 'countStrays'
  | 'endSession'
>;

type Body<Name extends keyof RowSteps> = (
  scope: ActivityScope,
  input: Parameters<RowSteps[Name]>[0],
) => ReturnType<RowSteps[Name]>;

/** `worker`: the task queue of this worker alone, by which the next step finds what this one keeps. */
export function rowSteps(
  runtime: ActivityRuntime,
  engine: Engine,
  { watches, worker }: { watches: WatchRegistry; worker: string | null },
): RowSteps {
  const copyDonor: Body<'copyDonor'> = async (scope, input) => {
    const { attempt } = scope;
    const before = attempt.nameOf('before') ?? (input.isRepeat ? 'unknown' : null);
    const { collections } = input;
    const job = { ...ofDonor(input), collections, attempt: attempt.nameOf('this') ?? '', attemptBefore: before };
    const done = await runRowJob(scope, engine, { name: 'copy', input: job, move: input });
    return { ...done, worker, lateWritesUntilMs: attempt.lateWritesUntilMs };
  };

  const compareDonor: Body<'compareDonor'> = async (scope, input) => {
    const { attempt } = scope;
    const mayHaveWritten = attempt.hasUncountedWrites;
    const { collections, settleMs, recut, scanReceivers: scanOwners } = input;
    const job = { ...ofDonor(input), collections, settleMs, recut, scanOwners };
    const done = await runRowJob(scope, engine, { name: 'compare', input: job, move: input });
    return {
      needsCut: done.needsCut,
      scans: done.scans,
      pointsCompared: done.compared,
      bytesCompared: done.bytes,
      differences: done.differences,
      settledByThemselves: done.settled,
      upserted: done.put,
      deleted: done.deleted,
      mayHaveWritten,
      isTailKept: done.isTailKept,
      worker,
      lateWritesUntilMs: attempt.lateWritesUntilMs,
    };
  };

  const followDonor: Body<'followDonor'> = async (scope, input) => {
    const { collections, forMs, sinceFlipMs, isDropped } = input;
    const job = { ...ofDonor(input), collections, forMs, sinceFlipMs, isDropped };
    const done = await runRowJob(scope, engine, { name: 'follow', input: job, move: input });
    return { ...done, worker, lateWritesUntilMs: scope.attempt.lateWritesUntilMs };
  };

  const readForDrop: Body<'readForDrop'> = async (scope, input) => {
    const done = await runRowJob(scope, engine, {
      name: 'readForDrop',
      input: dropJob(input, scope.attempt.nowMs()),
      move: input,
    });
    return { ...done, worker, lateWritesUntilMs: scope.attempt.lateWritesUntilMs };
  };

  const dropFromDonor: Body<'dropFromDonor'> = async (scope, input) => {
    const watch = new StepWatch(scope, watches, input);
    const renewWatch = (): Promise<number | null> => watch.renew();
    try {
      const done = await runRowJob(scope, engine, {
        name: 'drop',
        input: dropJob(input, scope.attempt.nowMs()),
        move: input,
        renewWatch,
      });
      return { ...done, worker, lateWritesUntilMs: scope.attempt.lateWritesUntilMs };
    } finally {
      await watch.close();
    }
  };

  const removeCopies: Body<'removeCopies'> = async (scope, input) => {
    const { receiverId, placement, absentIsDeleted, settleMs } = input;
    const job = { receiverId, placement, absentIsDeleted, settleMs, collections: null, which: 'held' as const };
    const { removed, kept } = await runRowJob(scope, engine, { name: 'remove', input: job, move: input });
    return { removed, kept, lateWritesUntilMs: scope.attempt.lateWritesUntilMs };
  };

  const countStrays: Body<'countStrays'> = async (scope, move: Move) => {
    let strays = 0;
    const scans = [];
    for (const receiverId of receiversOf(move.placement)) {
      const job = { receiverId, placement: move.placement };
      const counted = await runRowJob(scope, engine, { name: 'countStrays', input: job, move });
      strays += counted.strays;
      scans.push(counted.scan);
    }
    return { strays, scans, lateWritesUntilMs: scope.attempt.lateWritesUntilMs };
  };

  return {
    copyDonor: activity(runtime, copyDonor),
    compareDonor: activity(runtime, compareDonor),
    followDonor: activity(runtime, followDonor),
    readForDrop: activity(runtime, readForDrop),
    dropFromDonor: activity(runtime, dropFromDonor),
    removeCopies: activity(runtime, removeCopies),
    countStrays: activity(runtime, countStrays),
    endSession: activity(runtime, (_scope, { session }: { session: string }) => engine.endSession(session)),
  };
}

function dropJob(input: DropDonorInput, nowMs: number): JobInput<'drop'> {
  const { settleMs, isWatchUnbroken, watch, provenCollections, isLeaver, isTailLate } = input;
  // The reading is of the workflow's clock, and this worker's may be behind it.
  const watchedUntilMs = watch == null ? null : Math.min(watch.readAtMs, nowMs) + READING_LIFE_MS;
  return { ...ofDonor(input), settleMs, isWatchUnbroken, watchedUntilMs, provenCollections, isLeaver, isTailLate };
}

function ofDonor({ session, donorId, placement, expected }: DonorInput): {
  operationId: string;
  donorId: number;
  placement: DonorInput['placement'];
  expected: number;
} {
  return { operationId: session, donorId, placement, expected };
}
