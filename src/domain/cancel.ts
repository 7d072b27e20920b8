import { DomainError } from './errors';
import type { OperationProgress } from './progress';

/**
 * May an operation be cancelled now? `canBeCancelled: false`: it is a recovery.
 * @throws DomainError OperationEnded, PointOfNoReturnPassed
 */
export function refuseCancel(
  { operationId, status, pointOfNoReturnPassed }: OperationProgress,
  canBeCancelled: boolean,
): void {
  if (status !== 'running') throw new DomainError('OperationEnded', `operation ${operationId} has ended: ${status}`);
  if (!canBeCancelled) {
    throw new DomainError(
      'PointOfNoReturnPassed',
      `operation ${operationId} clears up after one that was ended from outside and only goes forward: wait for its end`,
    );
  }
  if (pointOfNoReturnPassed) {
    throw new DomainError(
      'PointOfNoReturnPassed',
      `operation ${operationId} has flipped ownership and only goes forward: wait for its end`,
    );
  }
}
