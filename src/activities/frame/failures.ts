/**
 * The one place that translates what went wrong in an activity into a failure that Temporal and the workflows
 * understand. The type of a failure is a ShardErrorCode, a DomainErrorCode or one of the codes below. Its message never
 * holds point data or a key.
 */
import { ApplicationFailure, CancelledFailure } from '@temporalio/activity';
import { boundedText } from '../../domain/bounded-text';
import { ASKED_TO_WAIT, type AskedToWait } from '../../contract/move';
import { DomainError } from '../../domain/errors';
import type { ToldTime } from '../../domain/late-writes';
import { ASKED_PAUSE_MAX_MS, SILENT_PAUSE_MAX_MS } from '../../domain/limits';
import { ShardError, WAITING_HELPS, type ShardErrorCode } from '../../shards/errors';
import { MalformedBodyError } from '../../shards/rows/point-stream';

/**
 * Codes of the activities themselves.
 * - `AskedToWait`: a shard asked for a longer pause than a blip. The workflow tells it, and asks again.
 * - `CollectionInFlux`: shards disagree on a collection, as they do while a client creates or drops it.
 * - `LockUnknown`: the cluster workflow did not answer.
 * - `SpoolFull`: the worker could not write down which rows it moves.
 * - `AttemptOutOfTime`: the deadline came before a write.
 * - `InternalError`: a defect of ours.
 */
export type ActivityErrorCode =
  typeof ASKED_TO_WAIT | 'CollectionInFlux' | 'LockUnknown' | 'SpoolFull' | 'AttemptOutOfTime' | 'InternalError';

/** In the details of every failure of an activity that writes points (see MayWriteLate). */
export interface FailureDetails {
  readonly lateWritesUntilMs: number;
  readonly told: ToldTime;
  /** Of a failure of the type AskedToWait. */
  readonly askedToWait?: AskedToWait;
}

export function activityFailure(error: unknown, details: FailureDetails): Error {
  if (error instanceof CancelledFailure) return error;
  if (error instanceof ApplicationFailure) return withDetails(error, details);
  if (error instanceof ShardError) return shardFailure(error, details);
  if (error instanceof DomainError) {
    return ApplicationFailure.create({
      type: error.code,
      message: boundedText(error.message),
      nonRetryable: true,
      details: [details],
    });
  }
  if (error instanceof MalformedBodyError) {
    return ApplicationFailure.create({
      type: 'MalformedReply' satisfies ShardErrorCode,
      message: `a shard answered with rows that cannot be read: ${boundedText(error.message, 300)}`,
      details: [details],
    });
  }
  // The message may quote point data, so only the name and the place go on.
  const failure = ApplicationFailure.create({
    type: 'InternalError' satisfies ActivityErrorCode,
    message: `an activity failed for an unforeseen reason (${errorName(error)}): report it with the log of the worker`,
    details: [details],
  });
  failure.stack = `${failure.name}: ${failure.message}\n${stackFrames(error)}`;
  return failure;
}

function shardFailure(error: ShardError, details: FailureDetails): ApplicationFailure {
  const { code, retryAfterMs, shardUrl } = error;
  const message = boundedText(error.message);
  if (!WAITING_HELPS[code] || retryAfterMs === null) {
    return ApplicationFailure.create({ type: code, message, nonRetryable: !WAITING_HELPS[code], details: [details] });
  }
  // The bound counts where a workflow of an earlier release scheduled the activity: its retries do not know the type.
  const nextRetryDelay = Math.min(retryAfterMs, ASKED_PAUSE_MAX_MS);
  if (retryAfterMs <= SILENT_PAUSE_MAX_MS) {
    return ApplicationFailure.create({ type: code, message, details: [details], nextRetryDelay });
  }
  const askedToWait: AskedToWait = { shardUrl, forMs: retryAfterMs };
  return ApplicationFailure.create({
    type: ASKED_TO_WAIT,
    message,
    details: [{ ...details, askedToWait } satisfies FailureDetails],
    nextRetryDelay,
  });
}

function withDetails(failure: ApplicationFailure, details: FailureDetails): ApplicationFailure {
  const { message, type, nonRetryable } = failure;
  return ApplicationFailure.create({
    message: boundedText(message),
    ...(typeof type === 'string' ? { type } : {}),
    nonRetryable: nonRetryable === true,
    details: [details],
  });
}

export function collectionInFlux(collection: string, seen: string): ApplicationFailure {
  return ApplicationFailure.retryable(
    `expected collection ${collection} alike on all shards or on none, ${seen}: a client may be creating or dropping it, ` +
      'so the step is tried again; if this lasts, create or drop it on the shards where it differs',
    'CollectionInFlux' satisfies ActivityErrorCode,
  );
}

function errorName(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}

function stackFrames(error: unknown): string {
  if (!(error instanceof Error) || error.stack === undefined) return '';
  return error.stack
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .join('\n');
}
