/** The trace that the code which asks belongs to. Without tracing nobody enters one, and a look costs next to nothing. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { traceIds, type TraceContext } from '../domain/trace';

const traces = new AsyncLocalStorage<TraceContext | null>();

export function currentTrace(): TraceContext | null {
  return traces.getStore() ?? null;
}

/** Runs `work`, and all that it begins, within `trace`. */
export function inTrace<T>(trace: TraceContext, work: () => T): T {
  return traces.run(trace, work);
}

/** For what outlives whoever begins it, and so is no part of that trace. */
export function withoutTrace<T>(work: () => T): T {
  return currentTrace() === null ? work() : traces.run(null, work);
}

/** What a line of the log says of the trace: nothing without one. */
export function traceFields(trace: TraceContext | null = currentTrace()): Readonly<Record<string, string>> {
  if (trace === null) return {};
  const { traceId, spanId } = traceIds(trace);
  return { trace_id: traceId, span_id: spanId };
}
