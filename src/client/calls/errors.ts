/**
 * What goes wrong between this process and our own workflows, as a closed union of codes. A message says what was seen. It never says
 * what to do over HTTP: the API and the activities translate each code for their own callers, each in one total table.
 */
import type { Refusal } from '../../contract/requests';

export const CLIENT_ERROR_CODES = [
  // A workflow of ours answered, and said no.
  'Refused',
  // The call had no effect.
  'Busy',
  'TemporalUnreachable',
  'QueryUnknown',
  'UnknownOperation',
  'EndedUnannounced',
  'LockRecovering',
  'EvaluationFailed',
  // No answer came: the call may have had its effect.
  'TransitionUnanswered',
  'StartUnanswered',
  'CancelUnanswered',
  'AdjustUnanswered',
  'EvaluationUnanswered',
  'RestoreUnanswered',
  'HooksUnanswered',
  // The cluster workflow does not run.
  'ClusterMissing',
  'ClusterClosed',
  'ClusterLost',
  // A restore is not possible.
  'ClusterRuns',
  'WitnessUnread',
  'EndedStateUnread',
  'NothingKnown',
] as const;
export type ClientErrorCode = (typeof CLIENT_ERROR_CODES)[number];

/** The codes of a call that ended without an answer. */
export type UnansweredCode = Extract<ClientErrorCode, `${string}Unanswered`>;

export class ClientError extends Error {
  readonly code: ClientErrorCode;
  /** Id of the operation, or of the evaluation's workflow, that the message is about; empty where there is none. */
  readonly about: string;

  constructor(code: ClientErrorCode, message: string, options: { about?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = 'ClientError';
    this.code = code;
    this.about = options.about ?? '';
  }
}

/** A refusal in the words of the workflow, or of Temporal when the workflow could not answer (CutShortError). */
export class RefusedError extends ClientError {
  readonly refusal: Refusal;

  constructor(refusal: Refusal, cause?: unknown) {
    super('Refused', refusal.message, { cause });
    this.name = 'RefusedError';
    this.refusal = refusal;
  }
}

/** The workflow ended or was cancelled before its answer: to a caller a refusal, but the update may have had its effect. */
export class CutShortError extends RefusedError {
  readonly unanswered: UnansweredCode;

  constructor(refusal: Refusal, unanswered: UnansweredCode, cause?: unknown) {
    super(refusal, cause);
    this.name = 'CutShortError';
    this.unanswered = unanswered;
  }
}
