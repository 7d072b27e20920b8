import type { OperationEnd, OperationRecord } from '../../domain/cluster-state';
import type { OperationProgress } from '../../domain/progress';
import type { OperationView } from '../../wire/coordinator-api';
import type { OperationExecution } from '../../client/cluster-client';
import { viewOfFindings } from './findings';

/** A refused operation changed nothing; to whoever asks for it, it failed. */
const STATUS: Record<'running' | OperationEnd, OperationView['status']> = {
  running: 'running',
  succeeded: 'succeeded',
  failed: 'failed',
  cancelled: 'cancelled',
  refused: 'failed',
};

const time = (ms: number): string => new Date(ms).toISOString();
const timeOrNull = (ms: number | null): string | null => (ms === null ? null : time(ms));

/** From what the operation's own workflow tells. */
export function viewOfProgress(progress: OperationProgress, webUiUrl: string | null): OperationView {
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
    waiting: waiting && { reason: waiting.reason, since: time(waiting.sinceMs), ends_when: waiting.endsWhen },
    attempts: progress.failedAttempts,
    cancel_requested: progress.cancelRequested,
    point_of_no_return_passed: progress.pointOfNoReturnPassed,
    next: progress.next,
    started_at: time(progress.startedAtMs),
    updated_at: time(progress.updatedAtMs),
    ended_at: timeOrNull(progress.endedAtMs),
    outcome: outcome && {
      message: outcome.message,
      points_moved: outcome.pointsMoved,
      dropped_by_donor: { ...outcome.droppedByDonor },
      points_kept: outcome.pointsKept,
      duration_s: outcome.durationMs / 1_000,
    },
    findings: progress.findings && viewOfFindings(progress.findings),
    phases: progress.phases.map((each) => ({
      phase: each.phase,
      started_at: time(each.startedAtMs),
      ended_at: timeOrNull(each.endedAtMs),
      note: each.note,
    })),
    web_ui_url: webUiUrl,
  };
}

/** From the cluster's own record: what is left when the operation's workflow cannot be asked. */
export function viewOfRecord(record: OperationRecord, webUiUrl: string | null): OperationView {
  const ended = record.endedAtMs !== null;
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
    attempts: null,
    cancel_requested: null,
    point_of_no_return_passed: null,
    next: null,
    started_at: time(record.startedAtMs),
    updated_at: timeOrNull(record.endedAtMs),
    ended_at: timeOrNull(record.endedAtMs),
    outcome: ended
      ? {
          message: record.message,
          points_moved: record.pointsMoved,
          dropped_by_donor: {},
          points_kept: 0,
          duration_s: (record.endedAtMs - record.startedAtMs) / 1_000,
        }
      : null,
    findings: null,
    phases: [],
    web_ui_url: webUiUrl,
  };
}

/** Its workflow cannot tell any more; Temporal and, once its lock is recovered, the cluster's record can. */
export function endedFromOutside(
  view: OperationView,
  { temporalStatus }: OperationExecution,
  record: OperationRecord | undefined,
): OperationView {
  const isRecovered = record !== undefined && record.end !== null;
  const message = isRecovered
    ? `in phase ${view.phase ?? 'unknown'}: ${record.message}`
    : `ended from outside (${temporalStatus}) in phase ${view.phase ?? 'unknown'}: its lock is about to be recovered`;
  return {
    ...view,
    status: 'failed',
    eta_s: null,
    rate_points_per_s: 0,
    waiting: null,
    next: 'nothing: it is not running any more',
    ended_at: isRecovered ? timeOrNull(record.endedAtMs) : null,
    outcome: { message, points_moved: 0, dropped_by_donor: {}, points_kept: 0, duration_s: 0 },
  };
}
