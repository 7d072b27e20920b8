/**
 * Every way in which a call to a shard or a router fails, as a closed union. The client classifies once. Nobody above
 * it looks at a status or at an error code of the socket.
 */
export type ShardErrorCode =
  // Nobody answered.
  | 'Unreachable'
  | 'TimedOut'
  // Nobody was asked.
  | 'AddressNotAllowed'
  // The shard answered that it cannot now.
  | 'Overloaded'
  | 'ServerError'
  | 'NotLeader'
  // The shard refused.
  | 'Unauthorized'
  | 'Forbidden'
  | 'BadRequest'
  | 'NotFound'
  | 'Conflict'
  | 'TooLarge'
  | 'Unprocessable'
  // Something answered, but not as a shard does.
  | 'MalformedReply';

/**
 * Total on purpose: a new code must say whether waiting can help. A reply that makes no sense mostly comes from a proxy
 * whose shard is restarting, or from a body that was cut, so another try is worth it. A refusal is a decision, not a
 * delay. A refused key is both: keys are changed one process after the other.
 */
export const WAITING_HELPS: Record<ShardErrorCode, boolean> = {
  Unreachable: true,
  TimedOut: true,
  AddressNotAllowed: false,
  Overloaded: true,
  ServerError: true,
  NotLeader: true,
  // A worker that was not given the new key yet may take the step, and the next try another worker.
  Unauthorized: true,
  Forbidden: true,
  BadRequest: false,
  NotFound: false,
  Conflict: false,
  TooLarge: false,
  Unprocessable: false,
  MalformedReply: true,
};

/** What would end the trouble: the last part of every message. */
const NEXT_STEP: Record<ShardErrorCode, string> = {
  Unreachable: 'check that the process runs and that this address can be reached from the worker',
  TimedOut: 'check its load; the call is tried again',
  AddressNotAllowed: 'give the shard another address, or add its host or CIDR to COORDINATOR_ALLOWED_HOSTS',
  Overloaded: 'it is tried again later; if this lasts, raise the rate limits of the shard',
  ServerError: 'look into the log of the shard; the call is tried again',
  NotLeader: 'wait until the shard has elected a leader, and check that the map lists all addresses of the shard',
  Unauthorized: 'give every worker a QUIVER_CLUSTER_SHARD_KEY that this shard accepts; the call is tried again',
  Forbidden: 'give the key of QUIVER_CLUSTER_SHARD_KEY the admin role on this shard; the call is tried again',
  BadRequest: 'compare the settings and the version of this shard with those of the others',
  NotFound: 'check that the collection still exists and that the address is that of a Quiver shard',
  Conflict: 'compare what exists on this shard with what the others have',
  TooLarge: 'raise the body limit of the shard, or make the point smaller',
  Unprocessable: 'compare the version of this shard with that of the others',
  MalformedReply: 'check that the address is that of a Quiver shard and not of something in front of it',
};

/** The facts of one failed call. None of them may hold point data: no id, no payload, no vector. */
export interface ShardFailure {
  readonly code: ShardErrorCode;
  readonly method: string;
  /** The address that was called, without the path. */
  readonly shardUrl: string;
  /** With the collection's name, but `{id}` in the place of a point id. */
  readonly path: string;
  /** Null when no answer came. */
  readonly status: number | null;
  /** What was seen, as half a sentence. */
  readonly reason: string;
  /** What the shard asked for in Retry-After. */
  readonly retryAfterMs?: number | null;
  readonly outcomeUnknown?: boolean;
  readonly cause?: unknown;
}

/**
 * A call to a shard or router that failed, with its class. The message names method, URL, status, reason and next step.
 */
export class ShardError extends Error {
  readonly code: ShardErrorCode;
  readonly shardUrl: string;
  readonly method: string;
  readonly path: string;
  readonly status: number | null;
  readonly retryAfterMs: number | null;
  /** A write that may have been carried out, or may still be: time-out, cut connection, 5xx. Never true of a read. */
  readonly outcomeUnknown: boolean;

  constructor(failure: ShardFailure) {
    const { code, method, shardUrl, path, status, reason, cause } = failure;
    const seen = status === null ? reason : `${status} ${reason}`;
    super(`${method} ${shardUrl}${path}: ${seen}; ${NEXT_STEP[code]}`, cause === undefined ? undefined : { cause });
    this.name = 'ShardError';
    this.code = code;
    this.shardUrl = shardUrl;
    this.method = method;
    this.path = path;
    this.status = status;
    this.retryAfterMs = failure.retryAfterMs ?? null;
    this.outcomeUnknown = failure.outcomeUnknown ?? false;
  }
}
