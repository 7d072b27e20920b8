import { defineSearchAttributeKey } from '@temporalio/common';

/** By these the Web UI and `temporal workflow list` can filter operations. Registered by whoever starts (temporal/). */
export const CLUSTER_ATTRIBUTE = defineSearchAttributeKey('CoordinatorCluster', 'KEYWORD');
export const PHASE_ATTRIBUTE = defineSearchAttributeKey('CoordinatorPhase', 'KEYWORD');
