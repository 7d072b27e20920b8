/** An operation as its workflow tells it. */
import type { OperationRecord } from '../../src/domain/cluster-state';
import type { OperationProgress } from '../../src/domain/progress';

const START_MS = Date.UTC(2026, 0, 2, 3, 4, 5);

export function progressOf(change: Partial<OperationProgress> = {}): OperationProgress {
  return {
    operationId: 'grow-k',
    kind: 'grow',
    status: 'running',
    shardIds: [2],
    phase: 'copy',
    phases: [],
    pointsDone: 10,
    pointsExpected: 40,
    bytesDone: 1_000,
    bytesExpected: 4_000,
    ratePerSecond: 5,
    etaSeconds: 6,
    waiting: null,
    failedAttempts: 0,
    cancelRequested: false,
    pointOfNoReturnPassed: false,
    next: 'compare',
    startedAtMs: START_MS,
    updatedAtMs: START_MS,
    endedAtMs: null,
    outcome: null,
    findings: null,
    ...change,
  };
}

export function recordOf(change: Partial<OperationRecord> = {}): OperationRecord {
  return {
    operationId: 'grow-k',
    kind: 'grow',
    shardIds: [2],
    startedAtMs: START_MS,
    endedAtMs: null,
    end: null,
    pointsMoved: 0,
    message: 'running',
    ...change,
  };
}
