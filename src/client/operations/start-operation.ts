/** How an operation's workflow is started, by the API, by the autoscale policy, or as the recovery of an abandoned lock. */
import { samplesOf } from '../../domain/bounded-text';
import type { OperationKind } from '../../domain/cluster-state';
import type { OperationInput } from '../../contract/messages';
import type {
  DrainRequest,
  GrowRequest,
  OperationRequest,
  RecoverRequest,
  RepairRequest,
} from '../../contract/requests';
import { operationIdOf, operationWorkflowId, taskQueue } from '../../contract/ids';
import { CLUSTER_ATTRIBUTE } from '../../contract/search-attributes';

/** What the Web UI shows of an operation in lists and at its top. */
interface Description {
  readonly summary: string;
  readonly details: string;
}

/**
 * A repeated start finds the operation that the key has started, and never starts one again that has ended. A recovery is the exception: it
 * starts again as long as the lock is abandoned. `again`: the run before was refused before it began anything.
 */
export function operationStartOptions(
  kind: OperationKind,
  input: OperationInput<OperationRequest>,
  { again } = { again: false },
) {
  const { cluster, key, searchAttributes } = input;
  const { summary, details } = describe(kind, cluster, input.request);
  return {
    workflowId: operationWorkflowId(cluster, kind, key),
    taskQueue: taskQueue(cluster),
    args: [input],
    workflowIdConflictPolicy: 'USE_EXISTING' as const,
    workflowIdReusePolicy: reusePolicy(kind, again),
    staticSummary: summary,
    staticDetails: details,
    memo: { operationId: operationIdOf(kind, key) },
    ...(searchAttributes ? { typedSearchAttributes: [{ key: CLUSTER_ATTRIBUTE, value: cluster }] } : {}),
  };
}

function reusePolicy(kind: OperationKind, again: boolean) {
  if (kind === 'recover') return 'ALLOW_DUPLICATE' as const;
  return again ? ('ALLOW_DUPLICATE_FAILED_ONLY' as const) : ('REJECT_DUPLICATE' as const);
}

function describe(kind: OperationKind, cluster: string, request: OperationRequest): Description {
  switch (kind) {
    case 'grow': {
      const urls = samplesOf((request as GrowRequest).shards.map((shard) => shard.primary_url));
      return {
        summary: `grow ${cluster} by ${urls}`,
        details: `Adds \`${urls}\` to the cluster **${cluster}** and moves its share of the points there, while clients go on.`,
      };
    }
    case 'drain': {
      const { shardId } = request as DrainRequest;
      return {
        summary: `drain shard ${shardId} of ${cluster}`,
        details: `Takes shard **${shardId}** out of the cluster **${cluster}**, after its points are on the others, while clients go on.`,
      };
    }
    case 'check':
    case 'repair': {
      const of = samplesOf((request as RepairRequest).collections ?? ['all collections']);
      return {
        summary: `${kind} ${of} of ${cluster}`,
        details:
          kind === 'check'
            ? `Reads ${of} of the cluster **${cluster}** and reports what does not lie where it belongs. Changes nothing.`
            : `Puts what does not lie where it belongs in ${of} of the cluster **${cluster}** there, while clients go on.`,
      };
    }
    case 'recover': {
      const { dead } = request as RecoverRequest;
      return {
        summary: `recover ${dead} of ${cluster}`,
        details: `Operation **${dead}** was ended from outside while it held the lock of **${cluster}**: its change is undone, or finished when it had flipped.`,
      };
    }
  }
}
