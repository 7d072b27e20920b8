/** Which codes a route may be refused with. Groups are for the entries, and `codesOf` adds what follows from the entry itself. */
import { DOMAIN_ERROR_CODES } from '../../domain/errors';
import { PROBLEM_STATUS, type ProblemCode } from '../http/problem';
import type { RouteEntry } from './entry';
import { PARAMETERS } from './parameters';

/** Of a route that asks the cluster. */
export const READS: readonly ProblemCode[] = ['TemporalUnreachable', 'ClusterMissing', 'ClusterClosed', 'ClusterLost'];

/** Of a route that changes the cluster. InvalidRequest: API and worker are of two versions. */
export const CHANGES: readonly ProblemCode[] = [...READS, 'OutcomeUnknown', 'Busy', 'InvalidRequest'];

/** Of a route that changes how a running operation goes on. */
export const ADJUSTS: readonly ProblemCode[] = [...CHANGES, 'UnknownOperation', 'OperationEnded', 'CannotPauseNow'];

/** Of a route whose body or path names the address of a shard. */
export const ADDRESSES: readonly ProblemCode[] = ['InvalidShardUrl', 'InvalidRequest', 'AddressNotAllowed'];

/** Of a change by hand. */
export const BY_HAND: readonly ProblemCode[] = [...CHANGES, 'OperationInProgress', 'IdempotencyKeyReused'];

/**
 * Of a route that starts an operation. It answers when the operation is announced, so whatever ends one before that is a
 * refusal of this call: all that the domain knows, but for what belongs to other resources.
 */
export const STARTS: readonly ProblemCode[] = [
  ...CHANGES,
  ...DOMAIN_ERROR_CODES.filter(
    (code) =>
      !['StandbyKnown', 'UnknownStandby', 'UnknownNotice', 'NotJoining', 'PointOfNoReturnPassed'].includes(code),
  ),
];

/** All codes of a route: those of its entry, and those that follow from its role, its body and its parameters. */
export function codesOf(entry: RouteEntry): readonly ProblemCode[] {
  const parameters = (entry.parameters ?? []).map((name) => PARAMETERS[name]);
  const codes: ProblemCode[] = [...(entry.refusals ?? []), 'Internal'];
  if (entry.role !== null) codes.push('Unauthenticated', 'TooManyFailedKeys');
  if (entry.role === 'write' || entry.role === 'admin') codes.push('Forbidden');
  // A path that cannot be decoded, and a body that breaks off.
  if (parameters.some((each) => each.in === 'path') || readsBody(entry)) codes.push('InvalidRequest');
  if (readsBody(entry)) codes.push('MalformedBody', 'BodyTooLarge', 'UnsupportedMediaType');
  if (parameters.includes(PARAMETERS.idempotencyKey)) codes.push('InvalidIdempotencyKey');
  return [...new Set(codes)].sort((a, b) => PROBLEM_STATUS[a] - PROBLEM_STATUS[b] || a.localeCompare(b));
}

/** A POST that has no use for a body reads one all the same, and refuses what is not JSON. */
function readsBody({ method, body }: RouteEntry): boolean {
  return body !== undefined || method === 'post';
}
