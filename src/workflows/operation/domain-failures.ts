import { ApplicationFailure } from '@temporalio/workflow';
import { boundedText } from '../../domain/bounded-text';
import { DomainError } from '../../domain/errors';

/**
 * Runs a step of the domain inside a message handler. A DomainError becomes a failure of that message with the code as its
 * type; a plain Error would fail the whole workflow task instead and stall the workflow.
 */
export function answering<T>(step: () => T): T {
  try {
    return step();
  } catch (error) {
    if (error instanceof DomainError) throw ApplicationFailure.nonRetryable(boundedText(error.message), error.code);
    throw error;
  }
}
