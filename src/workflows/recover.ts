/**
 * A recovery takes over the lock of an operation that was terminated, timed out or lost. It undoes the change when it had not flipped, and
 * finishes it when it had. Whoever finds the lock's holder dead starts it (client/operations/abandoned-lock.ts). Many may start it at once, or again: the
 * lock changes hands in one transition.
 *
 *  1. take-over   the lock, and what the dead operation knew        crash: the transition recognises its repeat
 *  2. undo        as the operation itself would have                crash: as there
 *     or the rows of its script after the flip, from where it stood
 *
 * What is known of the dead operation comes from its own workflow, which still answers queries. Where it does not, the lock and the map tell
 * enough to do the same more carefully: then points that only their old owner holds are kept and reported.
 */
import { allHandlersFinished, ApplicationFailure, CancellationScope, condition, patched } from '@temporalio/workflow';
import type { ClusterAnswer } from '../contract/cluster';
import type { RecoverInput } from '../contract/messages';
import { readCarried, type OperationState } from '../contract/operation-state';
import { boundedText } from '../domain/bounded-text';
import type { OperationLock } from '../domain/cluster-state';
import type { OperationOutcome } from '../domain/progress';
import { nowMs } from './clock';
import { DRAIN } from './drain';
import { GROW } from './grow';
import { mapForMove, rememberIdentity } from './identity/identify';
import { plannedMove, type MoveKind } from './move/placement';
import type { MoveContext, MoveScript } from './move/context';
import { finish } from './move/run-move';
import { undoForAnother } from './move/undo';
import { end, messageOf, outcomeOf } from './operation/ending';
import { beginRun, type OperationRun } from './operation/run';
import { rowsAfterFlip, rowsUntilFlip } from './operation/script';
import { noteRouters } from './operation/transition';
import { PATCHES } from './patches';

const SCRIPTS: Record<MoveKind, MoveScript> = { grow: GROW, drain: DRAIN };

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
    if (kind === 'repair') return giveBack(run, dead);
    const { routerUrls, request } = input;
    const context: MoveContext = { run, kind, routerUrls, settings: input, request, forward: null };
    return stage === 'flipped'
      ? finish(SCRIPTS[kind], context, `finished ${dead}, which was ended from outside: `)
      : undoForAnother(SCRIPTS[kind], context, dead);
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
  if (recalled !== null) adopt(state, readCarried(recalled));
  if (state.limits !== undefined) run.holds.onLimits();
  if (answer.limits !== undefined && patched(PATCHES.limitsOfCluster)) run.holds.adoptClusterLimits(answer.limits);
  noteRouters(state, answer);
  state.recovers = { operationId: request.dead, kind: lock.kind, stage: lock.stage };
  goOnFrom(run, answer, lock);
  // Before the flip from now on, not from its death: it may have been reset since, and was shut out only by the transition. After the flip
  // only deletes can be late, which go on by the same rule.
  const shutOutAtMs = lock.stage === 'flipped' ? request.diedAtMs : nowMs();
  run.waits.expectLateWrites(shutOutAtMs + run.timings.attemptMs);
  state.announced = { map: answer.map, shardIds: state.progress.shardIds, request };
  return `${lock.kind} ${request.dead} stood at ${lock.stage}${recalled === null ? ', and does not answer' : ''}`;
}

/** What the dead operation knew becomes what this one knows; its identity, its phases and its callers do not. */
function adopt(state: OperationState, recalled: OperationState): void {
  const { progress, announced, refusal, cancelReason } = state;
  const { pointsDone, pointsExpected, bytesDone, bytesExpected, pause, limits } = recalled.progress;
  // An undo that the dead operation had begun is begun again: each part of it looks for itself.
  Object.assign(state, recalled, { announced, refusal, cancelReason, undoing: null });
  state.progress = Object.assign(progress, { pointsDone, pointsExpected, bytesDone, bytesExpected });
  // What a person has asked of it holds for what finishes it.
  if (pause !== undefined) state.progress.pause = { ...pause, holds: false };
  if (limits !== undefined) state.progress.limits = limits;
}

/** Where the change stands is the cluster's word, not the dead operation's: its last answer may have been lost. */
function goOnFrom(run: OperationRun, answer: ClusterAnswer, lock: OperationLock): void {
  const { state } = run;
  const { map } = answer;
  rememberIdentity(run, answer);
  state.shards = lock.shards;
  state.progress.shardIds = lock.shards.map((shard) => shard.id);
  state.mapVersion = map.version;
  state.lockStage = lock.stage;
  state.wasAnnounced = lock.wasAnnounced;
  state.completed = state.completed.filter((phase) => phase !== 'undo' && phase !== 'take-over');
  if (lock.kind === 'repair') return;
  state.move ??= plannedMove(lock.kind, mapForMove(answer), lock.shards);
  if (lock.stage !== 'flipped') return;
  state.progress.pointOfNoReturnPassed = true;
  const script = SCRIPTS[lock.kind];
  // Routers are asked again: the dead operation may have lost the answer that told it of the version.
  const isDone = ({ phase }: MoveScript[number]): boolean =>
    state.completed.includes(phase) && phase !== 'await-routers-after';
  state.completed = [...rowsUntilFlip(script), ...rowsAfterFlip(script).filter(isDone)].map(({ phase }) => phase);
}

/** A repair changes no map and every step of it is whole by itself, so nothing is left but to wait for its last writes. */
async function giveBack(run: OperationRun, dead: string): Promise<OperationOutcome> {
  await run.waits.forLateWrites();
  const message = `gave back the lock of ${dead}, which was ended from outside: start another repair`;
  const outcome = outcomeOf(run, message);
  const told = await end(run, { end: 'succeeded', code: null, outcome });
  await condition(allHandlersFinished);
  return told;
}

/** The operation gave back its lock by itself, or another recovery was faster. */
async function nothingToRecover(run: OperationRun, error: ApplicationFailure): Promise<OperationOutcome> {
  const message = `nothing to recover: ${messageOf(error)}`;
  run.state.refusal = { type: error.type ?? 'OperationEnded', message: boundedText(message) };
  const outcome = outcomeOf(run, message);
  run.state.progress.outcome = outcome;
  run.end('refused');
  await condition(allHandlersFinished);
  return outcome;
}
