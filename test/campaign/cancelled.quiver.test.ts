import { describeCancelled } from '../support/suites';
import { OPERATIONS_UNDER_TEST } from '../support/operations-under-test';
import { sample } from '../support/sample';

for (const operation of OPERATIONS_UNDER_TEST) {
  describeCancelled(operation, sample(`${operation.kind} cancelled`, operation.phasesBeforeFlip));
}
