/** What a gRPC status means, and how much of its details a message may show. */
import { boundedText } from '../../domain/bounded-text';
import type { ShardErrorCode } from '../errors';
import { isSafeDetail, printable } from '../http/refusals';

export const OK = 0;
/** The tail's buffer ran over. Quiver sends it only after the whole bootstrap. */
export const DATA_LOSS = 15;

const NAMES = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const;

const REASON_CHARS_MAX = 300;

/** How a call ended, as the shard itself said. */
export interface GrpcStatus {
  readonly code: number;
  readonly details: string;
  /** What the shard asked for in Retry-After. */
  readonly retryAfterMs: number | null;
}

/** Statuses after which a write may have been carried out all the same. */
const MAY_BE_DONE = new Set(['CANCELLED', 'UNKNOWN', 'DEADLINE_EXCEEDED', 'ABORTED', 'INTERNAL', 'UNAVAILABLE']);

/**
 * The class that REST gives to the same refusal. No published binary of Quiver is a Raft follower, so how one words its
 * refusal is not known: any refusal that names the leader is taken for it.
 */
export function codeOfStatus({ code, details }: GrpcStatus): ShardErrorCode {
  switch (NAMES[code]) {
    case 'INVALID_ARGUMENT':
      return 'BadRequest';
    case 'DEADLINE_EXCEEDED':
      return 'TimedOut';
    case 'NOT_FOUND':
      return 'NotFound';
    case 'ALREADY_EXISTS':
      return 'Conflict';
    case 'PERMISSION_DENIED':
      return 'Forbidden';
    case 'RESOURCE_EXHAUSTED':
      return 'Overloaded';
    case 'FAILED_PRECONDITION':
      return namesLeader(details) ? 'NotLeader' : 'BadRequest';
    case 'OUT_OF_RANGE':
      // A message over 4 MiB.
      return 'TooLarge';
    case 'UNIMPLEMENTED':
      // INV-8: something that does not know the call is no Quiver shard.
      return 'MalformedReply';
    case 'UNAVAILABLE':
      return namesLeader(details) ? 'NotLeader' : 'Unreachable';
    case 'UNAUTHENTICATED':
      return 'Unauthorized';
    case 'CANCELLED':
    case 'UNKNOWN':
    case 'ABORTED':
    case 'INTERNAL':
    case 'DATA_LOSS':
      return 'ServerError';
    default:
      return 'MalformedReply';
  }
}

export function mayBeDone({ code }: GrpcStatus): boolean {
  return MAY_BE_DONE.has(nameOf(code));
}

/** The status by its name, with the shard's own details where those cannot hold point data. */
export function reasonOf({ code, details }: GrpcStatus, carriesPoints: boolean): string {
  const shown = printable(details);
  if (shown === '' || (carriesPoints && !isSafe(shown))) return nameOf(code);
  return boundedText(`${nameOf(code)}: ${shown}`, REASON_CHARS_MAX);
}

/** Details of these calls that hold only numbers and names of calls, beside those that REST gives too. */
const SAFE_DETAILS: readonly RegExp[] = [
  /^the API key's scope does not permit this operation$/,
  /^\w+: this node is a read-only replication follower$/,
  /^upsert stream contained no chunks$/,
  /^every chunk in an upsert stream must target the same collection$/,
  /^upsert stream exceeds the bulk batch cap of \d+ points$/,
  /^Error, decoded message length too large: found \d+ bytes, the limit is: \d+ bytes$/,
  /^unsupported configuration: collection is multi-vector; use upsert_document \/ search_multi_vector$/,
];

function isSafe(details: string): boolean {
  return isSafeDetail(details) || SAFE_DETAILS.some((safe) => safe.test(details));
}

function nameOf(code: number): string {
  return NAMES[code] ?? 'unknown status';
}

function namesLeader(details: string): boolean {
  return /\bleader\b/i.test(details);
}
