/** How every operation ends: with its lock given back, and its callers told. */
import {
  ActivityFailure,
  allHandlersFinished,
  ApplicationFailure,
  condition,
  isCancellation,
} from '@temporalio/workflow';
import { boundedText } from '../../domain/bounded-text';
import type { OperationEnd } from '../../domain/cluster-state';
import { isDomainErrorCode, type DomainErrorCode } from '../../domain/errors';
import type { OperationResult } from '../../domain/lock-transitions';
import type { OperationOutcome } from '../../domain/progress';
import { noticesOf, withAttention } from './notices';
import { nowMs } from '../clock';
import type { OperationRun } from './run';
import { applyTransition } from './transition';

/** What came of an operation. Every outcome is made here, so its text is bounded. */
export function outcomeOf(
  { state }: OperationRun,
  message: string,
  moved: Partial<Pick<OperationOutcome, 'pointsMoved' | 'droppedByDonor' | 'pointsKept'>> = {},
): OperationOutcome {
  return {
    message: boundedText(message),
    pointsMoved: 0,
    droppedByDonor: {},
    pointsKept: 0,
    ...moved,
    durationMs: nowMs() - state.progress.startedAtMs,
  };
}

/** Gives back the lock, where the operation holds one, and records what came of it. Without the lock it changes nothing. */
export async function release(run: OperationRun, result: Omit<OperationResult, 'operationId'>): Promise<void> {
  const { operationId } = run.state.progress;
  await applyTransition(run, 'give the lock back', { type: 'release', operationId, ...result }, 'forever');
}

/**
 * Gives the lock back before it ends the operation, so that a lock is never held by an operation that has ended. Returns
 * the outcome as it is told everywhere, with what it leaves to a person.
 */
export async function end(
  run: OperationRun,
  result: { end: OperationEnd; code: string | null; outcome: OperationOutcome },
  giveBack: typeof release = release,
): Promise<OperationOutcome> {
  const outcome = withAttention(run, result.end, result.outcome);
  const { pointsMoved, message } = outcome;
  const notices = noticesOf(run, result.end, outcome);
  const resized = hasResized(run, result.end) ? { beginsCooldown: true, isEmptied: isEmptied(run) } : {};
  await giveBack(run, { end: result.end, code: result.code, pointsMoved, message, ...notices, ...resized });
  run.state.progress.outcome = outcome;
  run.end(result.end);
  return outcome;
}

/** A grow or a drain behind its flip, by itself or through its recovery. */
function hasResized({ state }: OperationRun, end: OperationEnd): boolean {
  const { progress, recovers } = state;
  const kind = progress.kind === 'recover' ? recovers?.kind : progress.kind;
  return (kind === 'drain' || kind === 'grow') && end === 'succeeded' && progress.pointOfNoReturnPassed;
}

function isEmptied({ state }: OperationRun): boolean {
  return state.emptied !== null && state.notEmptied === null && state.pointsKept === 0;
}

/** A caller who still waits to hear that the change was announced hears why it was not. */
export async function answerRefused(run: OperationRun, cause: unknown, why: string): Promise<void> {
  const { operationId } = run.state.progress;
  run.state.refusal = isCancellation(cause)
    ? { type: 'OperationCancelled', message: `operation ${operationId} was cancelled before it was announced` }
    : { type: failureType(cause), message: boundedText(why) };
  await condition(allHandlersFinished);
}

export function endOf(cause: unknown, wasAnnounced: boolean): OperationEnd {
  if (isCancellation(cause)) return 'cancelled';
  return wasAnnounced ? 'failed' : 'refused';
}

/** A code that callers know. What a shard answered is no fault of theirs, so its class does not become their status. */
export function failureType(cause: unknown): DomainErrorCode {
  const inner = innermost(cause);
  const type = inner instanceof ApplicationFailure ? (inner.type ?? '') : '';
  return isDomainErrorCode(type) ? type : 'NeedsOperator';
}

export function messageOf(cause: unknown): string {
  const inner = innermost(cause);
  return inner instanceof Error ? inner.message : 'unknown failure';
}

/** What was thrown, without what Temporal wraps around it. */
function innermost(cause: unknown): unknown {
  return cause instanceof ActivityFailure && cause.cause !== undefined ? cause.cause : cause;
}
