/** Remembers spans in the order of their begin. Their ids count up, so that a test can name them. */
import { traceIds, writeTrace, type TraceContext } from '../../src/domain/trace';
import type { SpanEnd, SpanStart, Tracer } from '../../src/tracing/tracer';

export interface FakeSpan extends SpanStart {
  readonly trace: TraceContext;
  ended: SpanEnd | null;
}

export class FakeTracer implements Tracer {
  readonly spans: FakeSpan[] = [];

  begin: Tracer['begin'] = (start) => {
    const id = this.spans.length + 1;
    const ids = start.parent === null ? { traceId: hex(id, 32), isSampled: true } : traceIds(start.parent);
    const trace = writeTrace({ ...ids, spanId: hex(id, 16) }, start.parent?.tracestate ?? null);
    const span: FakeSpan = { ...start, trace, ended: null };
    this.spans.push(span);
    return { trace, end: (how) => void (span.ended = how) };
  };

  close: Tracer['close'] = () => Promise.resolve();
}

const hex = (number: number, digits: number): string => number.toString(16).padStart(digits, '0');
