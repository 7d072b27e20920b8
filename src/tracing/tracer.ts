/** Who records spans. What a span is of says the code that begins it. */
import type { TraceContext } from '../domain/trace';

/** No point data, no key, no URL and no text of an error is ever the value of an attribute. */
export type Attributes = Readonly<Record<string, string | number | readonly string[]>>;

export interface SpanStart {
  readonly name: string;
  /** `server`: answers a request. `consumer`: works on a task that somebody has put into a queue. */
  readonly kind: 'server' | 'consumer';
  /** Null: a trace of its own begins. */
  readonly parent: TraceContext | null;
  readonly attributes: Attributes;
}

export interface SpanEnd {
  /** In place of the name at its start. */
  readonly name?: string;
  readonly attributes?: Attributes;
  /** The kind of failure, in one word; null when it did not fail. */
  readonly failure: string | null;
}

export interface OpenSpan {
  /** What is done for this span belongs to this trace. */
  readonly trace: TraceContext;
  end(how: SpanEnd): void;
}

export interface Tracer {
  /** Never throws, and never waits for whoever collects the spans. */
  begin(start: SpanStart): OpenSpan;
  /** Sends what is left, within a bound. Never rejects. */
  close(): Promise<void>;
}
