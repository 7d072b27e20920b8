/** How a trace travels in Temporal's headers. A header is no part of a command, so a history replays with and without one. */
import { defaultPayloadConverter, type Headers, type Payload } from '@temporalio/common';
import { readTrace, traceHeaders, type TraceContext } from '../../domain/trace';

/** Name and form of Temporal's own interceptors for OpenTelemetry, so that workers of other programs can read it. */
export const TRACE_HEADER = '_tracer-data';
/** The phase of the operation that asks for an activity. Only beside a trace. */
const PHASE_HEADER = 'coordinator-phase';

export function headersWithTrace(headers: Headers, trace: TraceContext | null): Headers {
  if (trace === null) return headers;
  return { ...headers, [TRACE_HEADER]: defaultPayloadConverter.toPayload(traceHeaders(trace)) };
}

/** Null for none, and for what cannot be read: a trace is never a reason to fail. */
export function traceOfHeaders(headers: Headers): TraceContext | null {
  const carried = valueOf(headers[TRACE_HEADER]);
  if (typeof carried !== 'object' || carried === null) return null;
  const { traceparent, tracestate } = carried as { traceparent?: unknown; tracestate?: unknown };
  return readTrace(traceparent, tracestate);
}

export function headersWithPhase(headers: Headers, phase: string): Headers {
  return { ...headers, [PHASE_HEADER]: defaultPayloadConverter.toPayload(phase) };
}

export function phaseOfHeaders(headers: Headers): string | null {
  const phase = valueOf(headers[PHASE_HEADER]);
  return typeof phase === 'string' ? phase : null;
}

function valueOf(payload: Payload | undefined): unknown {
  if (payload === undefined) return undefined;
  try {
    return defaultPayloadConverter.fromPayload(payload);
  } catch {
    return undefined;
  }
}
