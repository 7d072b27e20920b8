/** How a running operation is paused, resumed and slowed down. Set before its first await. */
import { ApplicationFailure, setHandler } from '@temporalio/workflow';
import { clusterLimitsUpdate, limitUpdate, pauseUpdate, resumeUpdate, stepLimitsQuery } from '../../contract/messages';
import type { OperationState } from '../../contract/operation-state';
import { pausedBy, type PauseRequest } from '../../domain/pause';
import {
  NO_LIMITS,
  requireClusterLimits,
  requireLimits,
  type ClusterLimits,
  type WorkLimits,
} from '../../domain/work-limits';
import { nowMs } from '../clock';
import { answering } from '../operation/domain-failures';
import type { Holds } from './holds';

/** `steps`: how many steps that limits bound are under way. */
export function handleHolds(state: OperationState, holds: Holds, steps: () => number): void {
  setHandler(
    pauseUpdate,
    (request) => {
      answering(() => holds.pause(request));
      return state.progress;
    },
    {
      validator: (request: PauseRequest) => {
        refuseEnded(state);
        refusePause(state);
        answering(() => pausedBy(state.progress.pause, request, nowMs()));
      },
    },
  );
  setHandler(
    resumeUpdate,
    () => {
      holds.resume();
      return state.progress;
    },
    { validator: () => refuseEnded(state) },
  );
  const tellSteps = (): void => setHandler(stepLimitsQuery, () => stepLimits(state, steps()) ?? NO_LIMITS);
  setHandler(
    limitUpdate,
    (change) => {
      holds.limit(change);
      return state.progress;
    },
    {
      validator: (change: Partial<WorkLimits>) => {
        refuseEnded(state);
        answering(() => requireLimits(change));
      },
    },
  );
  setHandler(
    clusterLimitsUpdate,
    (limits) => {
      holds.adoptClusterLimits(limits);
      return state.progress;
    },
    {
      validator: (limits: ClusterLimits) => {
        refuseEnded(state);
        answering(() => requireClusterLimits(limits));
      },
    },
  );
  // An operation that nothing ever limited answers no question for limits, as those of earlier releases.
  if (state.limits !== undefined) tellSteps();
  holds.onLimits = tellSteps;
}

/**
 * What one of `steps` side by side may take: they share the rates, and each of them deletes on a shard of its own. Null:
 * nothing limits the operation.
 */
export function stepLimits({ progress }: OperationState, steps: number): WorkLimits | null {
  if (progress.limits === undefined) return null;
  const { maxBytesPerS, maxRowsPerS, deleteShare } = progress.limits;
  const share = (rate: number | null): number | null => (rate === null ? null : rate / Math.max(steps, 1));
  return { maxBytesPerS: share(maxBytesPerS), maxRowsPerS: share(maxRowsPerS), deleteShare };
}

function refuseEnded({ progress }: OperationState): void {
  if (progress.status === 'running') return;
  throw ApplicationFailure.nonRetryable(
    `operation ${progress.operationId} has ended: ${progress.status}`,
    'OperationEnded',
  );
}

function refusePause({ progress, announced, undoing, recovers }: OperationState): void {
  const { operationId, cancelRequested, pointOfNoReturnPassed } = progress;
  if (undoing !== null || cancelRequested || (recovers !== null && !pointOfNoReturnPassed)) {
    throw ApplicationFailure.nonRetryable(
      `operation ${operationId} takes back what was begun, and that is not held up: wait for its end`,
      'CannotPauseNow',
    );
  }
  if (announced === null) {
    throw ApplicationFailure.nonRetryable(
      `operation ${operationId} still looks whether it can begin: repeat this when it is announced, or cancel it`,
      'CannotPauseNow',
    );
  }
}
