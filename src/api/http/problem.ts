import type { ErrorRequestHandler, Response } from 'express';
import type { ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { DomainError, type DomainErrorCode } from '../../domain/errors';
import { REQUEST_BODY_BYTES_MAX } from '../../domain/limits';
import { ClientError, RefusedError, type ClientErrorCode } from '../../client/calls/errors';
import { parseOperationId } from '../../contract/ids';
import { PROBLEM_MEDIA_TYPE, type Problem } from '../../wire/problem';

/** What the API itself refuses, or cannot do, beside what the domain refuses. */
export type ApiErrorCode =
  | 'MalformedBody'
  | 'BodyTooLarge'
  | 'UnsupportedMediaType'
  | 'InvalidIdempotencyKey'
  | 'Unauthenticated'
  | 'Forbidden'
  | 'TooManyFailedKeys'
  | 'TooManySubscribers'
  | 'HooksKeyMissing'
  | 'UnknownRoute'
  | 'UnknownOperation'
  | 'MethodNotAllowed'
  | 'TemporalUnreachable'
  | 'WorkflowTaskFails'
  | 'OutcomeUnknown'
  | 'ClusterMissing'
  | 'ClusterClosed'
  | 'ClusterLost'
  | 'ClusterExists'
  | 'NoKnownState'
  | 'EvaluationFailed'
  | 'Busy'
  | 'Internal';

export type ProblemCode = DomainErrorCode | ApiErrorCode;

const RETRY_AFTER_SECONDS = 2;

/**
 * Total on purpose: a new code must say what it is to an HTTP client. 400: this request can never succeed. 409: it could, in another
 * state of the cluster. 422: the request is sound, but a shard or key that it names is not usable. 503: the same request may succeed later.
 */
export const PROBLEM_STATUS: Record<ProblemCode, number> = {
  InvalidRequest: 400,
  InvalidShardUrl: 400,
  AddressNotAllowed: 422,
  UnknownShard: 400,
  NotJoining: 400,
  LastShard: 400,
  StandbyKnown: 409,
  UnknownStandby: 404,
  UnknownNotice: 404,
  UnknownRouterEntry: 404,
  IdempotencyKeyReused: 422,
  ShardAlreadyInMap: 409,
  OperationInProgress: 409,
  JoinInProgress: 409,
  LeaveInProgress: 409,
  NotLockHolder: 409,
  PointOfNoReturnPassed: 409,
  OperationEnded: 409,
  OperationCancelled: 409,
  CannotPauseNow: 409,
  JoinerUnreachable: 422,
  JoinerRefusedKey: 422,
  JoinerNotEmpty: 409,
  DonorUnreachable: 422,
  DonorRefusedKey: 422,
  MultivectorCollection: 422,
  SchemaConflict: 409,
  MisplacedPoints: 409,
  ScanTooLong: 422,
  RouterUnreachable: 422,
  RouterAhead: 409,
  ShardOfAnotherCluster: 409,
  ShardClaimed: 409,
  ShardLostData: 409,
  WrongShard: 409,
  IdentityRefused: 422,
  IdentitiesRemoved: 409,
  RoutersLagging: 409,
  PatienceExhausted: 409,
  MapChanged: 409,
  NeedsOperator: 409,
  MalformedBody: 400,
  BodyTooLarge: 413,
  UnsupportedMediaType: 415,
  InvalidIdempotencyKey: 400,
  Unauthenticated: 401,
  Forbidden: 403,
  TooManyFailedKeys: 429,
  TooManySubscribers: 503,
  HooksKeyMissing: 409,
  UnknownRoute: 404,
  UnknownOperation: 404,
  MethodNotAllowed: 405,
  TemporalUnreachable: 503,
  WorkflowTaskFails: 503,
  OutcomeUnknown: 503,
  ClusterMissing: 503,
  ClusterClosed: 503,
  ClusterLost: 503,
  ClusterExists: 409,
  NoKnownState: 409,
  EvaluationFailed: 503,
  Busy: 503,
  Internal: 500,
};

export const STATUS_TITLE: Record<number, string> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  413: 'Payload Too Large',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

function isProblemCode(text: unknown): text is ProblemCode {
  return typeof text === 'string' && Object.hasOwn(PROBLEM_STATUS, text);
}

/** An answer that is an error. `detail` is for a person: what was expected, what was seen, what to do. A 503 says when to come back. */
export class ApiError extends Error {
  readonly code: ProblemCode;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    code: ProblemCode,
    detail: string,
    options: { headers?: Readonly<Record<string, string>>; cause?: unknown } = {},
  ) {
    super(detail, { cause: options.cause });
    this.name = 'ApiError';
    this.code = code;
    const retry = PROBLEM_STATUS[code] === 503 ? { 'Retry-After': String(RETRY_AFTER_SECONDS) } : {};
    this.headers = { ...retry, ...options.headers };
  }
}

interface Translation {
  readonly code: ProblemCode;
  /** What the caller can do over this API, as the end of the sentence. `about` is the id that the error is about. */
  readonly next?: string | ((about: string) => string);
}

/** Total on purpose: a new code of the client must say what it is to a caller of this API. */
const OF_CLIENT: Record<Exclude<ClientErrorCode, 'Refused'>, Translation> = {
  Busy: { code: 'Busy' },
  TemporalUnreachable: { code: 'TemporalUnreachable' },
  QueryUnknown: { code: 'TemporalUnreachable' },
  UnknownOperation: { code: 'UnknownOperation' },
  EndedUnannounced: { code: 'OperationEnded', next: ': start another one with a fresh Idempotency-Key' },
  LockRecovering: {
    code: 'OperationInProgress',
    next: (recovery) => `: wait for its end (GET /cluster/operations/${recovery}), then repeat this call`,
  },
  EvaluationFailed: { code: 'EvaluationFailed' },
  TransitionUnanswered: {
    code: 'OutcomeUnknown',
    next: '; the change may or may not have been made: look at GET /cluster/map',
  },
  StartUnanswered: {
    code: 'OutcomeUnknown',
    next: (id) =>
      `; operation ${id} may have started and may still run: repeat the call with Idempotency-Key: ${parseOperationId(id)?.key ?? ''}, ` +
      `which finds it, or look at GET /cluster/operations/${id}`,
  },
  CancelUnanswered: {
    code: 'OutcomeUnknown',
    next: '; the cancel may or may not have been taken: look at the operation, and repeat the call',
  },
  AdjustUnanswered: {
    code: 'OutcomeUnknown',
    next: (id) =>
      `; the call may or may not have been taken: look at GET /cluster/operations/${id}, and repeat the call`,
  },
  EvaluationUnanswered: {
    code: 'OutcomeUnknown',
    next: (id) => `; evaluation ${id} may still run: look at GET /cluster/autoscale, which shows what came of it`,
  },
  RestoreUnanswered: {
    code: 'OutcomeUnknown',
    next: '; the cluster may or may not have been begun again: look at GET /readyz',
  },
  HooksUnanswered: {
    code: 'OutcomeUnknown',
    next: '; the hooks may or may not have been replaced: look at GET /cluster/hooks, and repeat the call',
  },
  ClusterMissing: {
    code: 'ClusterMissing',
    next:
      ': start the API with QUIVER_CLUSTER_SHARDS or QUIVER_COORDINATOR_STATE, ' +
      'or point TEMPORAL_* at the Temporal that has it',
  },
  ClusterClosed: {
    code: 'ClusterClosed',
    next:
      ' (terminated or failed) and is not replaced by itself: ' +
      'POST /cluster/restore {"last_known":true} begins it again with its last state, one version above',
  },
  ClusterLost: {
    code: 'ClusterLost',
    next:
      '. Go back to the Temporal that has it (TEMPORAL_*, COORDINATOR_CLUSTER, COORDINATOR_DATA_DIR), or begin again one version above ' +
      'with POST /cluster/restore {"last_known":true} or {"state":{"next_id":…,"map":…}}',
  },
  ClusterRuns: {
    code: 'ClusterExists',
    next: ': look at GET /cluster/map. To replace its state by another one, terminate it first',
  },
  WitnessUnread: { code: 'TemporalUnreachable', next: ': run a worker of this cluster, then repeat this call' },
  EndedStateUnread: {
    code: 'TemporalUnreachable',
    next: ': run a worker of this cluster and repeat this call, or give {"state":{"next_id":…,"map":…}}',
  },
  NothingKnown: { code: 'NoKnownState', next: '. Give {"state":{"next_id":…,"map":…}}' },
};

/** The one translation of an error of the client, the domain or a route. Null: the error is unforeseen. */
export function asApiError(error: unknown): ApiError | null {
  if (error instanceof ApiError) return error;
  if (error instanceof DomainError) return new ApiError(error.code, error.message, { cause: error });
  if (error instanceof RefusedError) return asRefusal(error);
  if (!(error instanceof ClientError) || error.code === 'Refused') return null;
  const { code, next = '' } = OF_CLIENT[error.code];
  const detail = `${error.message}${typeof next === 'string' ? next : next(error.about)}`;
  return new ApiError(code, detail, { cause: error });
}

function asRefusal(error: RefusedError): ApiError {
  const { type, message } = error.refusal;
  if (isProblemCode(type)) return new ApiError(type, message, { cause: error });
  const detail = `the workflow refused for a reason (${type}) that this version does not know: ${message}`;
  return new ApiError('Internal', detail, { cause: error });
}

export function toProblem(error: ApiError): Problem {
  const status = PROBLEM_STATUS[error.code];
  return {
    type: 'about:blank',
    title: STATUS_TITLE[status] ?? 'Error',
    status,
    detail: error.message,
    code: error.code,
  };
}

/** Writes a problem on a plain response: the map route answers without Express. */
export function writeProblem(response: ServerResponse, error: ApiError): void {
  const problem = toProblem(error);
  const body = Buffer.from(JSON.stringify(problem));
  response.writeHead(problem.status, {
    ...error.headers,
    'Content-Type': PROBLEM_MEDIA_TYPE,
    'Content-Length': body.length,
    'Cache-Control': 'no-store',
  });
  response.end(body);
}

/** Turns whatever a route threw into a problem. An unforeseen error is logged and answered without its details. */
export function problemHandler(logger: Logger): ErrorRequestHandler {
  return (error: unknown, request, response: Response, next) => {
    if (response.headersSent) {
      next(error);
      return;
    }
    const known = asApiError(error) ?? fromHttpError(error);
    const requestId = response.getHeader('X-Request-Id');
    if (known === null) {
      logger.error(
        { err: error, method: request.method, path: request.path, requestId },
        'a request failed for an unforeseen reason',
      );
    } else if (PROBLEM_STATUS[known.code] >= 500) {
      logger.warn(
        { method: request.method, path: request.path, code: known.code, detail: known.message, requestId },
        'request refused',
      );
    }
    writeProblem(
      response,
      known ?? new ApiError('Internal', 'the coordinator failed in a way that it did not foresee: see its log'),
    );
  };
}

/** Errors of the body parser and of path decoding carry a status and a type. Their messages quote the request, so ours replace them. */
function fromHttpError(error: unknown): ApiError | null {
  if (typeof error !== 'object' || error === null) return null;
  const { status, type, limit } = error as { status?: unknown; type?: unknown; limit?: unknown };
  if (status === 413) {
    const bytesMax = typeof limit === 'number' ? limit : REQUEST_BODY_BYTES_MAX;
    const detail = `a body may have ${bytesMax} bytes, this one has more: send less`;
    return new ApiError('BodyTooLarge', detail, { headers: { Connection: 'close' }, cause: error });
  }
  if (status === 415) {
    return new ApiError('UnsupportedMediaType', 'a body must be plain JSON in UTF-8, without a content encoding', {
      cause: error,
    });
  }
  if (type === 'entity.parse.failed') {
    return new ApiError('MalformedBody', 'the body must be one JSON object, this one cannot be parsed', {
      cause: error,
    });
  }
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return new ApiError('InvalidRequest', 'the request could not be read: check its path, headers and body', {
      cause: error,
    });
  }
  return null;
}
