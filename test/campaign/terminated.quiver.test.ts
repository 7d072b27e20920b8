import { describeTerminated, type TerminatedPhases } from '../support/suites';
import { DRAIN_UNDER_TEST, GROW_UNDER_TEST, type OperationUnderTest } from '../support/operations-under-test';
import { sample } from '../support/sample';

const phases = ({ kind, phasesBeforeFlip, phasesAfterFlip }: OperationUnderTest): TerminatedPhases['grow'] => [
  ...sample(`${kind} terminated before the flip`, phasesBeforeFlip),
  ...sample(`${kind} terminated after the flip`, phasesAfterFlip),
];

describeTerminated({ grow: phases(GROW_UNDER_TEST), drain: phases(DRAIN_UNDER_TEST) });
