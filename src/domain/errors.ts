/**
 * Every reason why the coordinator refuses or ends something on its own, as a closed union. Tables over it (the HTTP
 * status in api/http/problem.ts) are total, so a new code does not compile until someone decides what it means to a
 * caller.
 */
export const DOMAIN_ERROR_CODES = [
  // The request itself.
  'InvalidRequest',
  'InvalidShardUrl',
  'AddressNotAllowed',
  'UnknownShard',
  'NotJoining',
  'LastShard',
  'StandbyKnown',
  'UnknownStandby',
  'UnknownNotice',
  'UnknownRouterEntry',
  'IdempotencyKeyReused',
  // What the cluster is doing now.
  'ShardAlreadyInMap',
  'OperationInProgress',
  'JoinInProgress',
  'LeaveInProgress',
  'NotLockHolder',
  'PointOfNoReturnPassed',
  'OperationEnded',
  'OperationCancelled',
  'CannotPauseNow',
  // What preflight found.
  'JoinerUnreachable',
  'JoinerRefusedKey',
  'JoinerNotEmpty',
  'DonorUnreachable',
  'DonorRefusedKey',
  'MultivectorCollection',
  'SchemaConflict',
  'MisplacedPoints',
  'ScanTooLong',
  'RouterUnreachable',
  'RouterAhead',
  // Who a shard says it is (shard-identity.ts).
  'ShardOfAnotherCluster',
  'ShardClaimed',
  'ShardLostData',
  'WrongShard',
  'IdentityRefused',
  'IdentitiesRemoved',
  // Why a running operation was undone.
  'RoutersLagging',
  'PatienceExhausted',
  'MapChanged',
  'NeedsOperator',
] as const;
export type DomainErrorCode = (typeof DOMAIN_ERROR_CODES)[number];

export function isDomainErrorCode(code: string): code is DomainErrorCode {
  return (DOMAIN_ERROR_CODES as readonly string[]).includes(code);
}

/** A refusal that the caller can act on. The message says what was expected, what was seen and what to do. */
export class DomainError extends Error {
  readonly code: DomainErrorCode;

  constructor(code: DomainErrorCode, message: string) {
    super(message);
    this.name = 'DomainError';
    this.code = code;
  }
}

/**
 * A message of another version of this program. To apply nothing in silence would destroy the state, and a plain Error
 * would fail every task of the workflow.
 */
export function unknownToThisVersion(what: string, given: string): DomainError {
  return new DomainError(
    'InvalidRequest',
    `expected ${what} that this version knows, got ${JSON.stringify(given)}: run API and workers of one version`,
  );
}
