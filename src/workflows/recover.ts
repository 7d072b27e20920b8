/**
 * A recovery: takes over the lock of an operation that was terminated, timed out or lost, undoes its change when it had not flipped, and
 * finishes it when it had. It is started by whoever finds the lock's holder dead (temporal/dead-lock.ts); that it may be started by many at
 * once, or again, is harmless, because the lock changes hands in one transition.
 *
 *  1. take-over   the lock, and what the dead operation knew        crash: the transition recognises its repeat
 *  2. undo        as the operation itself would have                crash: as there
 *     or the phases behind the flip, from where it stood
 *
 * What is known of the dead operation comes from its own workflow, which still answers queries. Where it does not any more, the
 * lock and the map tell enough to do the same more carefully: then points that only their old owner holds are kept and reported.
 */
import { allHandlersFinished, ApplicationFailure, CancellationScope, condition } from '@temporalio/workflow';
import type { LockingKind, OperationLock } from '../domain/cluster-state';
import { DRAIN_PHASES, GROW_PHASES, type OperationOutcome, type Phase } from '../domain/progress';
import type { ShardMap } from '../domain/shard-map';
import { nowMs } from './clock';
import { DrainSteps } from './move/drain-steps';
import { GrowSteps } from './move/grow-steps';
import type { RecoverInput } from '../contract/messages';
import type { MoveSteps } from './move/steps';
import { messageOf, succeed, undoForAnother } from './operation/ending';
import { beginRun, type OperationRun } from './operation/run';
import type { OperationState } from '../contract/operation-state';

export async function recover(input: RecoverInput): Promise<OperationOutcome> {
  const { run } = beginRun('recover', input, recover, { canBeCancelled: false });
  const { state } = run;
  return CancellationScope.nonCancellable(async () => {
    try {
      await run.phase('take-over', 'undo or finish what it began', () => takeOver(run, input));
    } catch (error) {
      if (!(error instanceof ApplicationFailure)) throw error;
      return nothingToRecover(run, error);
    }
    const { kind, stage } = state.recovers as NonNullable<OperationState['recovers']>;
    const { dead } = input.request;
    if (kind === 'repair') return letGo(run, stepsOf(run, input, kind), dead);
    const steps = stepsOf(run, input, kind);
    if (stage !== 'flipped') return undoForAnother(run, steps, dead);
    await steps.finish();
    return succeed(run, steps, `finished ${dead}, which was ended from outside: `);
  });
}

async function takeOver(run: OperationRun, input: RecoverInput): Promise<string> {
  const { cluster, request } = input;
  const { state, activities } = run;
  const { operationId } = state.progress;
  const transition = { type: 'takeOver', operationId, from: request.dead } as const;
  const answer = await run.persist(
    'taking over the lock',
    () => activities.transition(`take over the lock of ${request.dead}`).changeCluster({ cluster, transition }),
    'forever',
  );
  const recalled = await run.persist(
    `asking ${request.dead} what it knew`,
    () =>
      activities.transition(`ask ${request.dead} what it knew`).recallOperation({ cluster, operationId: request.dead }),
    'forever',
  );
  const lock = answer.lock as OperationLock;
  if (recalled !== null) adopt(state, recalled);
  state.recovers = { operationId: request.dead, kind: lock.kind, stage: lock.stage };
  stand(run, input, { map: answer.map, lock });
  // Before the flip from now on, not from its death: it may have been reset since, and was shut out only by the transition. Behind the
  // flip only deletes can be late, which go on by the same rule.
  const shutOutAtMs = lock.stage === 'flipped' ? request.diedAtMs : nowMs();
  run.expectLateWrites(shutOutAtMs + run.timings.attemptMs);
  state.announced = { map: answer.map, shardIds: state.progress.shardIds, request };
  return `${lock.kind} ${request.dead} stood at ${lock.stage}${recalled === null ? ', and cannot be asked any more' : ''}`;
}

function stepsOf(run: OperationRun, input: RecoverInput, kind: LockingKind): MoveSteps {
  return kind === 'drain' ? new DrainSteps(run, input) : new GrowSteps(run, input);
}

/** What the dead operation knew becomes what this one knows; its identity, its phases and its callers do not. */
function adopt(state: OperationState, recalled: OperationState): void {
  const { progress, announced, refusal, cancelReason } = state;
  const { pointsDone, pointsExpected, bytesDone, bytesExpected } = recalled.progress;
  Object.assign(state, recalled, { announced, refusal, cancelReason, pass: null });
  state.progress = Object.assign(progress, { pointsDone, pointsExpected, bytesDone, bytesExpected });
}

/** Where the change stands is the cluster's word, not the dead operation's: its last answer may have been lost. */
function stand(run: OperationRun, input: RecoverInput, { map, lock }: { map: ShardMap; lock: OperationLock }): void {
  const { state } = run;
  state.shards = lock.shards;
  state.progress.shardIds = lock.shards.map((shard) => shard.id);
  state.mapVersion = map.version;
  state.lockStage = lock.stage;
  state.wasAnnounced = lock.wasAnnounced;
  state.completed = state.completed.filter((phase) => phase !== 'undo' && phase !== 'take-over');
  if (lock.kind === 'repair') return;
  state.move ??= stepsOf(run, input, lock.kind).plannedMove(map, lock.shards);
  if (lock.stage !== 'flipped') return;
  state.progress.pointOfNoReturnPassed = true;
  const [phases, flip]: readonly [readonly Phase[], Phase] =
    lock.kind === 'grow' ? [GROW_PHASES, 'promote'] : [DRAIN_PHASES, 'remove'];
  const untilFlip = phases.slice(0, phases.indexOf(flip) + 1);
  // Routers are asked again: the dead operation may have lost the answer that told it of the version.
  const behind = state.completed.filter((phase) => !untilFlip.includes(phase) && phase !== 'await-routers-after');
  state.completed = [...untilFlip, ...behind];
}

/** A repair changes no map and every step of it is whole by itself, so nothing is left but to wait for its last writes. */
async function letGo(run: OperationRun, steps: MoveSteps, dead: string): Promise<OperationOutcome> {
  await run.waitForLateWrites();
  const message = `gave back the lock of ${dead}, which was ended from outside: start another repair`;
  const { startedAtMs } = run.state.progress;
  const outcome = { message, pointsMoved: 0, droppedByDonor: {}, pointsKept: 0, durationMs: nowMs() - startedAtMs };
  await steps.release({ end: 'succeeded', code: null, pointsMoved: 0, message });
  run.state.progress.outcome = outcome;
  run.end('succeeded');
  await condition(allHandlersFinished);
  return outcome;
}

/** The operation let go of its lock by itself, or another recovery was faster. */
async function nothingToRecover(run: OperationRun, error: ApplicationFailure): Promise<OperationOutcome> {
  const { progress } = run.state;
  const message = `nothing to recover: ${messageOf(error)}`;
  run.state.refusal = { type: error.type ?? 'OperationEnded', message };
  const durationMs = nowMs() - progress.startedAtMs;
  progress.outcome = { message, pointsMoved: 0, droppedByDonor: {}, pointsKept: 0, durationMs };
  run.end('refused');
  await condition(allHandlersFinished);
  return progress.outcome;
}
