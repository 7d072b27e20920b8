/** Operations on the standard output. */
import type { FindingsView, PassFindingsView } from '../../wire/operations/repair';
import type { Operation, Plan } from '../rest/shapes';
import { age, bytes, count, duration } from './format';
import { standstills } from './progress';
import { list, table, type Cell, type Style } from './table';

export function operationsTable(operations: readonly Operation[], nowMs: number, style: Style): string {
  if (operations.length === 0) return 'no operations\n';
  const rows = operations.map((each): Cell[] => [
    each.id,
    statusOf(each),
    each.phase,
    each.shard_ids.join(','),
    count(each.points_done),
    age(each.started_at, nowMs),
    each.outcome?.message ?? each.waiting?.reason ?? each.next,
  ]);
  return table(['OPERATION', 'STATUS', 'PHASE', 'SHARDS', 'ROWS', 'AGE', 'WHAT'], rows, style);
}

function statusOf({ status, paused, waiting, cancel_requested }: Operation): string {
  if (status !== 'running') return status;
  if (paused !== null && paused !== undefined) return paused.holds ? 'paused' : 'pausing';
  if (cancel_requested === true) return 'cancelling';
  return waiting === null ? status : 'waiting';
}

/** Everything that a person asks for first; `--output json` has the rest. */
export function operationText(operation: Operation, nowMs: number, style: Style): string {
  const { outcome, limits } = operation;
  const ended = operation.ended_at === null ? null : Date.parse(operation.ended_at) - Date.parse(operation.started_at);
  const entries: [string, Cell][] = [
    ['operation', operation.id],
    ['status', statusOf(operation)],
    ['shards', operation.shard_ids.join(', ')],
    ['phase', operation.phase],
    ['rows', `${count(operation.points_done)} of ${count(operation.points_expected)}`],
    ['bytes', `${bytes(operation.bytes_done)} of ${bytes(operation.bytes_expected)}`],
    ['rate', operation.rate_points_per_s === null ? null : `${count(operation.rate_points_per_s)} rows/s`],
    ['ETA', duration(operation.eta_s)],
    ['started', operation.started_at],
    ['took', ended === null ? age(operation.started_at, nowMs) : duration(ended / 1_000)],
    ['attempts', count(operation.attempts)],
    ...standstills(operation, nowMs).map((line): [string, Cell] => ['held up', line]),
    ...(operation.slowed ?? []).map(({ text }): [string, Cell] => ['slowed', text]),
    ...(operation.status === 'running' ? [['next', operation.next] satisfies [string, Cell]] : []),
    ...(limits === null || limits === undefined ? [] : [['limits', throttleText(limits)] satisfies [string, Cell]]),
    ...(outcome === null ? [] : [['outcome', outcome.message] satisfies [string, Cell]]),
    ...(outcome?.attention ?? []).map(({ what, points, mended_by }): [string, Cell] => [
      'attention',
      `${what}: ${count(points)} points; mend it by ${mended_by}`,
    ]),
    ['web UI', operation.web_ui_url],
  ];
  return list(entries, style) + phasesText(operation, nowMs, style) + findingsText(operation.findings, style);
}

export function throttleText(limits: NonNullable<Operation['limits']>): string {
  const given = [
    limits.max_bytes_per_s === null ? [] : [`${bytes(limits.max_bytes_per_s)}/s`],
    limits.max_rows_per_s === null ? [] : [`${count(limits.max_rows_per_s)} rows/s`],
    limits.delete_share === null ? [] : [`deletes ${limits.delete_share} of the time`],
  ].flat();
  return given.length === 0 ? 'none' : given.join(', ');
}

function phasesText({ phases }: Operation, nowMs: number, style: Style): string {
  if (phases.length === 0) return '';
  const rows = phases.map(({ phase, started_at, ended_at, note }): Cell[] => [
    phase,
    ended_at === null
      ? `${age(started_at, nowMs)} so far`
      : duration((Date.parse(ended_at) - Date.parse(started_at)) / 1_000),
    note,
  ]);
  return `\n${table(['PHASE', 'TOOK', 'NOTE'], rows, style)}`;
}

function findingsText(findings: FindingsView | null, style: Style): string {
  if (findings === null) return '';
  const { found, left, mended } = findings;
  const row = (what: string, { totals }: PassFindingsView): Cell[] => [
    what,
    ...[totals.points, totals.agreeing, totals.differing, totals.only_here, totals.conflicting].map(count),
    count(totals.collections_missing),
  ];
  const rows = [row('found', found), ...(left === null ? [] : [row('left', left)])];
  const moved = mended.moved + mended.removed + mended.collections_created;
  const mendedLine = `mended: ${count(mended.moved)} moved, ${count(mended.removed)} removed, ${count(mended.collections_created)} collections created\n`;
  return `\n${table(['FINDINGS', 'ROWS', 'AGREEING', 'DIFFERING', 'ONLY HERE', 'CONFLICTING', 'COLLECTIONS MISSING'], rows, style)}${moved > 0 ? mendedLine : ''}`;
}

export function planText(plan: Plan, style: Style): string {
  const { duration_s, refusal } = plan;
  const time =
    duration_s === null ? null : `${duration(duration_s.least)} to ${duration(duration_s.most)} (${duration_s.basis})`;
  const head: [string, Cell][] = [
    ['dry run of', plan.kind],
    ['would', refusal === null ? plan.would : `be refused: ${refusal.code}: ${refusal.detail}`],
    ['rows to move', count(plan.rows_to_move)],
    ['bytes to move', bytes(plan.bytes_to_move)],
    ['time', time],
    ...plan.noticed_by.map((each): [string, Cell] => ['noticed by', each]),
    ...(plan.not_checked ?? []).map((each): [string, Cell] => ['not checked', each]),
  ];
  const shards = plan.shards.map((each): Cell[] => [
    each.shard_id,
    each.role,
    each.source,
    count(each.rows),
    count(each.rows_to_move),
    bytes(each.bytes_to_move),
    count(each.scans),
    each.stop_ms === null ? null : `${count(each.stop_ms)} ms`,
  ]);
  const headings = ['SHARD', 'ROLE', 'READ FROM', 'ROWS', 'TO MOVE', 'BYTES', 'SCANS', 'STOP'];
  const steps = plan.steps.map(({ phase, does }): Cell[] => [phase, does]);
  return [
    list(head, style),
    shards.length === 0 ? '' : `\n${table(headings, shards, style)}`,
    steps.length === 0 ? '' : `\n${table(['PHASE', 'DOES'], steps, style)}`,
  ].join('');
}
