/** A step that finds its worker gone is tried on any other one, and is under way all the time. */
import { ActivityFailure, TimeoutFailure } from '@temporalio/workflow';
import { newOperationState } from '../../src/contract/operation-state';
import type { KeptByWorker, MayWriteLate } from '../../src/contract/move';
import { donorState, onItsWorker } from '../../src/workflows/move/rows/donors';
import type { OperationRun } from '../../src/workflows/operation/run';

const DONOR = { id: 3, primary_url: 'http://s3:6333', replica_urls: [] };
const DONE: KeptByWorker & MayWriteLate = { worker: 'another', lateWritesUntilMs: 0 };

function newRun(): OperationRun {
  const waits = { noted: <T>(result: T): T => result };
  const run = { state: newOperationState('grow', 'grow-a', 0), waits, stepsUnderWay: 0 };
  return run as unknown as OperationRun;
}

function timedOut(type: 'SCHEDULE_TO_START' | 'HEARTBEAT'): ActivityFailure {
  const cause = new TimeoutFailure('timed out', undefined, type);
  return new ActivityFailure('it failed', 'copyDonor', '1', 'TIMEOUT', 'worker', cause);
}

it('counts as under way on both workers, so that nobody continues as new meanwhile', async () => {
  const run = newRun();
  const known = Object.assign(donorState(run, DONOR), { worker: 'gone', isTailKept: true });
  const seen: [string | null, number][] = [];
  await onItsWorker(run, DONOR, (worker) => {
    seen.push([worker, run.stepsUnderWay]);
    return worker === null ? Promise.resolve(DONE) : Promise.reject(timedOut('SCHEDULE_TO_START'));
  });
  expect(seen).toEqual([
    ['gone', 1],
    [null, 1],
  ]);
  expect(run.stepsUnderWay).toBe(0);
  expect(known).toMatchObject({ worker: 'another', isTailKept: false, needsCut: true });
});

it('is not tried on another worker when it had begun', async () => {
  const run = newRun();
  const known = Object.assign(donorState(run, DONOR), { worker: 'busy' });
  const failure = timedOut('HEARTBEAT');
  await expect(onItsWorker(run, DONOR, () => Promise.reject(failure))).rejects.toBe(failure);
  expect([run.stepsUnderWay, known.worker]).toEqual([0, 'busy']);
});
