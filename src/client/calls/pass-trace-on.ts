/** Gives the trace of whoever calls to the workflow that is started or told something. Without a trace it changes nothing. */
import type { WorkflowClientInterceptor } from '@temporalio/client';
import { headersWithTrace } from '../../contract/trace/headers';
import { currentTrace } from '../../tracing/current';

export const passTraceOn: WorkflowClientInterceptor = {
  startWithDetails: (input, next) => next({ ...input, headers: headersWithTrace(input.headers, currentTrace()) }),
  startUpdate: (input, next) => next({ ...input, headers: headersWithTrace(input.headers, currentTrace()) }),
  startUpdateWithStart: (input, next) => {
    const trace = currentTrace();
    return next({
      ...input,
      workflowStartHeaders: headersWithTrace(input.workflowStartHeaders, trace),
      updateHeaders: headersWithTrace(input.updateHeaders, trace),
    });
  },
};
