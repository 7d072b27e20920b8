import type { OperationEnd, OperationRecord } from '../../domain/cluster-state';
import type { OperationProgress, SourceProgress } from '../../domain/progress';
import type { OperationView } from '../../wire/coordinator-api';
import type { OperationExecution } from '../../client/cluster-client';
import { viewOfFindings } from './findings';
import { viewOfLimits, viewOfPause, viewOfSlowed } from './pace';
import { isoOf, isoOrNull } from './times';

/** A refused operation changed nothing; REST shows it as failed. */
const STATUS: Record<'running' | OperationEnd, OperationView['status']> = {
  running: 'running',
  succeeded: 'succeeded',
  failed: 'failed',
  cancelled: 'cancelled',
  refused: 'failed',
};

/** From the answer of the operation's own workflow. */
export function viewOfProgress(
  progress: OperationProgress,
  webUiUrl: string | null,
  nowMs: number = Date.now(),
): OperationView {
  const { waiting, outcome } = progress;
  return {
    id: progress.operationId,
    kind: progress.kind,
    status: STATUS[progress.status],
    shard_ids: [...progress.shardIds],
    phase: progress.phase,
    points_done: progress.pointsDone,
    points_expected: progress.pointsExpected,
    bytes_done: progress.bytesDone,
    bytes_expected: progress.bytesExpected,
    rate_points_per_s: progress.ratePerSecond,
    eta_s: progress.etaSeconds,
    waiting: waiting && { reason: waiting.reason, since: isoOf(waiting.sinceMs), ends_when: waiting.endsWhen },
    paused: viewOfPause(progress.pause, nowMs),
    limits: viewOfLimits(progress.limits),
    slowed: (progress.slowed ?? []).map((each) => viewOfSlowed(each, progress.limits)),
    attempts: progress.failedAttempts,
    cancel_requested: progress.cancelRequested,
    point_of_no_return_passed: progress.pointOfNoReturnPassed,
    next: progress.next,
    started_at: isoOf(progress.startedAtMs),
    updated_at: isoOf(progress.updatedAtMs),
    ended_at: isoOrNull(progress.endedAtMs),
    outcome: outcome && {
      message: outcome.message,
      points_moved: outcome.pointsMoved,
      dropped_by_donor: { ...outcome.droppedByDonor },
      points_kept: outcome.pointsKept,
      attention: (outcome.attention ?? []).map(({ what, points, mendedBy }) => ({ what, points, mended_by: mendedBy })),
      duration_s: outcome.durationMs / 1_000,
    },
    sources: (progress.sources ?? []).map(viewOfSource),
    sources_left_out: progress.sourcesLeftOut ?? 0,
    findings: progress.findings && viewOfFindings(progress.findings),
    phases: progress.phases.map((each) => ({
      phase: each.phase,
      started_at: isoOf(each.startedAtMs),
      ended_at: isoOrNull(each.endedAtMs),
      note: each.note,
    })),
    web_ui_url: webUiUrl,
  };
}

function viewOfSource(of: SourceProgress): OperationView['sources'][number] {
  const { estimate } = of;
  return {
    shard_id: of.shardId,
    source: of.source,
    url: of.url,
    reason: of.reason,
    scans: of.scans,
    rows_read: of.rowsRead,
    rows_per_s: of.rowsPerSecond,
    stops_ms: [...of.stopsMs],
    estimate: estimate
      ? {
          rows: estimate.rows,
          bytes: estimate.bytes,
          scans: estimate.scans,
          questions: estimate.questions,
          stop_ms: estimate.stopMs,
          memory_bytes: estimate.memoryBytes,
        }
      : null,
  };
}

/** From the cluster's own record: all that is left when the operation's workflow does not answer. */
export function viewOfRecord(record: OperationRecord, webUiUrl: string | null): OperationView {
  return {
    id: record.operationId,
    kind: record.kind,
    status: STATUS[record.end ?? 'running'],
    shard_ids: [...record.shardIds],
    phase: null,
    points_done: record.pointsMoved,
    points_expected: null,
    bytes_done: null,
    bytes_expected: null,
    rate_points_per_s: null,
    eta_s: null,
    waiting: null,
    paused: null,
    limits: viewOfLimits(undefined),
    slowed: [],
    attempts: null,
    cancel_requested: null,
    point_of_no_return_passed: null,
    next: null,
    started_at: isoOf(record.startedAtMs),
    updated_at: isoOrNull(record.endedAtMs),
    ended_at: isoOrNull(record.endedAtMs),
    outcome: outcomeOfRecord(record),
    sources: [],
    sources_left_out: 0,
    findings: null,
    phases: [],
    web_ui_url: webUiUrl,
  };
}

/** Null while it runs. */
function outcomeOfRecord(record: OperationRecord): OperationView['outcome'] {
  if (record.endedAtMs === null) return null;
  return {
    message: record.message,
    points_moved: record.pointsMoved,
    dropped_by_donor: {},
    points_kept: 0,
    attention: [],
    duration_s: (record.endedAtMs - record.startedAtMs) / 1_000,
  };
}

/** The workflow's last answer is out of date. Temporal knows its end and, once its lock is recovered, the cluster's record does. */
export function endedFromOutside(
  view: OperationView,
  { temporalStatus }: OperationExecution,
  record: OperationRecord | undefined,
): OperationView {
  const phase = view.phase ?? 'unknown';
  const recorded = record === undefined ? null : outcomeOfRecord(record);
  const outcome =
    recorded === null
      ? {
          message: `ended from outside (${temporalStatus}) in phase ${phase}: its lock is about to be recovered`,
          points_moved: 0,
          dropped_by_donor: {},
          points_kept: 0,
          attention: [],
          duration_s: 0,
        }
      : { ...recorded, message: `in phase ${phase}: ${recorded.message}` };
  return {
    ...view,
    status: 'failed',
    eta_s: null,
    rate_points_per_s: 0,
    waiting: null,
    paused: null,
    slowed: [],
    next: 'nothing: it no longer runs',
    ended_at: isoOrNull(record?.endedAtMs ?? null),
    outcome,
  };
}
