import { defineSearchAttributeKey } from '@temporalio/common';

/**
 * The Web UI and `temporal workflow list` can filter operations by these. The service registers them at its start
 * (temporal/).
 */
export const CLUSTER_ATTRIBUTE = defineSearchAttributeKey('CoordinatorCluster', 'KEYWORD');
export const PHASE_ATTRIBUTE = defineSearchAttributeKey('CoordinatorPhase', 'KEYWORD');
