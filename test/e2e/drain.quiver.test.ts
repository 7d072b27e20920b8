import { describeInTurn } from '../support/suites';

describeInTurn(1);
