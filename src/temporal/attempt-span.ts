/** One span for each attempt of an activity, in the trace of whoever started its workflow. */
import type { Context } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import type { ActivityInboundCallsInterceptor, ActivityInterceptorsFactory } from '@temporalio/worker';
import { operationIdOf } from '../contract/ids';
import { phaseOfHeaders, traceOfHeaders } from '../contract/trace/headers';
import { OPERATION_KINDS } from '../domain/cluster-state';
import { inTrace } from '../tracing/current';
import type { Attributes, SpanEnd, Tracer } from '../tracing/tracer';

export const attemptSpans =
  (tracer: Tracer): ActivityInterceptorsFactory =>
  (context) => ({ inbound: attemptSpan(tracer, context) });

function attemptSpan(tracer: Tracer, { info }: Context): ActivityInboundCallsInterceptor {
  return {
    execute: async (input, next) => {
      const phase = phaseOfHeaders(input.headers);
      const span = tracer.begin({
        name: `activity ${info.activityType}`,
        kind: 'consumer',
        parent: traceOfHeaders(input.headers),
        attributes: {
          'coordinator.activity': info.activityType,
          'coordinator.attempt': info.attempt,
          ...ofWorkflow(info.workflowExecution?.workflowId, info.workflowType),
          ...(phase === null ? {} : { 'coordinator.phase': phase }),
          ...ofShard(input.args[0]),
        },
      });
      try {
        const result = await inTrace(span.trace, () => next(input));
        span.end({ failure: null });
        return result;
      } catch (error) {
        span.end(endOf(error));
        throw error;
      }
    },
  };
}

function ofWorkflow(workflowId = '', type = ''): Attributes {
  const kind = OPERATION_KINDS.find((each) => each === type);
  const key = workflowId.split('/').at(-1);
  return {
    'temporal.workflow.id': workflowId,
    ...(kind === undefined || key === undefined
      ? {}
      : { 'coordinator.operation.kind': kind, 'coordinator.operation.id': operationIdOf(kind, key) }),
  };
}

/** Of an activity that works on one shard. Only ids are taken out of its input. */
function ofShard(input: unknown): Attributes {
  if (typeof input !== 'object' || input === null) return {};
  const { donorId, receiverId, joiner } = input as { donorId?: unknown; receiverId?: unknown; joiner?: unknown };
  const ofJoiner = typeof joiner === 'object' && joiner !== null && 'id' in joiner ? joiner.id : undefined;
  const id = donorId ?? receiverId ?? ofJoiner;
  return typeof id === 'number' ? { 'coordinator.shard.id': id } : {};
}

/** Its text stays in the history and in the log. */
function endOf(error: unknown): SpanEnd {
  if (error instanceof CancelledFailure) return { attributes: { 'coordinator.outcome': 'cancelled' }, failure: null };
  const type = error instanceof ApplicationFailure ? error.type : null;
  return { failure: type ?? 'Error' };
}
