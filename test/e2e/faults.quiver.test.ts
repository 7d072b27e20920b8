/** One of each fault on real Quiver. The campaign has them for every phase, and the harness over the rows for every row. */
import { describeCancelled, describeTerminated, describeWorkerKilled } from '../support/suites';
import { DRAIN_UNDER_TEST, GROW_UNDER_TEST } from '../support/operations-under-test';

describeWorkerKilled(GROW_UNDER_TEST, [['copy', 'drop']]);
describeCancelled(DRAIN_UNDER_TEST, ['copy']);
describeTerminated({ grow: ['reconcile'], drain: [] });
