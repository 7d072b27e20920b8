import { describeWorkerKilled } from '../support/suites';
import { OPERATIONS_UNDER_TEST } from '../support/operations-under-test';
import { sample } from '../support/sample';

/** Over so many operations the phases are dealt out. */
const OPERATIONS = 3;

for (const operation of OPERATIONS_UNDER_TEST) {
  const groups = Array.from({ length: OPERATIONS }, (_, group) =>
    operation.phases.filter((_phase, index) => index % OPERATIONS === group),
  );
  describeWorkerKilled(operation, sample(`${operation.kind} worker-killed`, groups));
}
