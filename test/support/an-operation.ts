/** An operation as its workflow tells it. */
import type { OperationRecord } from '../../src/domain/cluster-state';
import type { OperationProgress } from '../../src/domain/progress';

export const STARTED_MS = Date.UTC(2026, 0, 2, 3, 4, 5);

/** A grow in its copy. */
export function progressOf(change: Partial<OperationProgress> = {}): OperationProgress {
  return {
    operationId: 'grow-k',
    kind: 'grow',
    status: 'running',
    shardIds: [2],
    phase: 'copy',
    phases: [
      { phase: 'prepare', startedAtMs: STARTED_MS, endedAtMs: STARTED_MS + 1_000, note: '2 collections' },
      { phase: 'copy', startedAtMs: STARTED_MS + 1_000, endedAtMs: null, note: '' },
    ],
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
    startedAtMs: STARTED_MS,
    updatedAtMs: STARTED_MS + 2_000,
    endedAtMs: null,
    outcome: null,
    findings: null,
    ...change,
  };
}

export const GROW = progressOf();

export const GROWN = progressOf({
  status: 'succeeded',
  endedAtMs: STARTED_MS + 4_000,
  outcome: {
    message: 'shard 2 joined',
    pointsMoved: 40,
    droppedByDonor: { '0': 40 },
    pointsKept: 0,
    durationMs: 4_000,
  },
});

/** The same grow as the cluster remembers it. */
export function recordOf(change: Partial<OperationRecord> = {}): OperationRecord {
  return {
    operationId: 'grow-k',
    kind: 'grow',
    shardIds: [2],
    startedAtMs: STARTED_MS,
    endedAtMs: null,
    end: null,
    pointsMoved: 0,
    message: 'running',
    ...change,
  };
}
