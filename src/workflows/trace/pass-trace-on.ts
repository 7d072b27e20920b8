/**
 * Passes the trace of a workflow on, as it came: to each activity, and to the run that follows. It begins no span, asks no clock and
 * draws no random number, and without a trace it changes nothing (ADR 30).
 */
import type { Headers, WorkflowInterceptorsFactory } from '@temporalio/workflow';
import { headersWithPhase, TRACE_HEADER } from '../../contract/trace/headers';
import type { Phase } from '../../domain/progress';

/** Each workflow has a copy of this module of its own. */
let phaseNow: Phase | null = null;

/** From now on activities are asked for in this phase. */
export function tracePhase(phase: Phase): void {
  phaseNow = phase;
}

export const interceptors: WorkflowInterceptorsFactory = () => {
  let carried: Headers = {};
  return {
    inbound: [
      {
        execute: (input, next) => {
          const trace = input.headers[TRACE_HEADER];
          if (trace !== undefined) carried = { [TRACE_HEADER]: trace };
          return next(input);
        },
      },
    ],
    outbound: [
      {
        scheduleActivity: (input, next) => {
          if (carried[TRACE_HEADER] === undefined) return next(input);
          const headers = { ...input.headers, ...carried };
          return next({ ...input, headers: phaseNow === null ? headers : headersWithPhase(headers, phaseNow) });
        },
        continueAsNew: (input, next) => next({ ...input, headers: { ...input.headers, ...carried } }),
      },
    ],
  };
};
