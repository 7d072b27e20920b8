import type { OperationPlan } from '../../client/operations/plan-client';
import type { PlanView } from '../../wire/operations/plan';

export function viewOfPlan(plan: OperationPlan): PlanView {
  const { refusal, duration } = plan;
  return {
    dry_run: true,
    kind: plan.kind,
    would: refusal === null ? 'start' : 'refuse',
    refusal: refusal && { code: refusal.code, detail: refusal.detail },
    steps: plan.steps.map(({ phase, does }) => ({ phase, does })),
    shards: plan.shards.map((each) => ({
      shard_id: each.shardId,
      role: each.role,
      source: each.source,
      rows: each.rows,
      bytes: each.bytes,
      rows_to_move: each.rowsToMove,
      bytes_to_move: each.bytesToMove,
      scans: each.scans,
      stop_ms: each.stopMs,
    })),
    shards_left_out: plan.shardsLeftOut,
    rows_to_move: plan.rowsToMove,
    bytes_to_move: plan.bytesToMove,
    duration_s: { least: duration.leastS, most: duration.mostS, basis: duration.basis },
    noticed_by: [...plan.noticedBy],
    not_checked: [...plan.notChecked],
  };
}
