/** Where a call stands in a trace, as W3C Trace Context writes it. Nothing here knows who records the trace. */

export interface TraceContext {
  /** `00-<trace id>-<span id>-<flags>` */
  readonly traceparent: string;
  /** What the tracing systems of the callers add for themselves; null without. */
  readonly tracestate: string | null;
}

export interface TraceIds {
  readonly traceId: string;
  readonly spanId: string;
  readonly isSampled: boolean;
}

/** Version, trace id, span id, flags. A later version may add more behind them. */
const TRACEPARENT = /^(?!ff)([\da-f]{2})-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})(-.*)?$/;
const FIRST_VERSION = '00';
const SAMPLED = 0x01;
const TRACESTATE_CHARS_MAX = 512;
const TRACESTATE_MEMBERS_MAX = 32;
/** A key and a value of one tracing system. */
const TRACESTATE_MEMBER =
  /^[a-z\d][a-z\d_\-*/@]{0,255}=[\x21-\x2b\x2d-\x3c\x3e-\x7e\x20]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;

/** As a caller sent it; null for none and for what is none. A `tracestate` that cannot be read is left out. */
export function readTrace(traceparent: unknown, tracestate: unknown = null): TraceContext | null {
  if (typeof traceparent !== 'string') return null;
  const match = TRACEPARENT.exec(traceparent.trim());
  if (match === null) return null;
  const [, version = '', traceId = '', spanId = '', flags = '', more] = match;
  if (version === FIRST_VERSION && more !== undefined) return null;
  return { traceparent: `${FIRST_VERSION}-${traceId}-${spanId}-${flags}`, tracestate: readTraceState(tracestate) };
}

export function writeTrace({ traceId, spanId, isSampled }: TraceIds, tracestate: string | null): TraceContext {
  const flags = isSampled ? '01' : '00';
  return { traceparent: `${FIRST_VERSION}-${traceId}-${spanId}-${flags}`, tracestate };
}

export function traceIds({ traceparent }: TraceContext): TraceIds {
  const [, traceId = '', spanId = '', flags = ''] = traceparent.split('-');
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & SAMPLED) !== 0 };
}

/** The headers of a request that belongs to `trace`: none without one. */
export function traceHeaders(trace: TraceContext | null): Readonly<Record<string, string>> {
  if (trace === null) return {};
  const { traceparent, tracestate } = trace;
  return tracestate === null ? { traceparent } : { traceparent, tracestate };
}

function readTraceState(text: unknown): string | null {
  if (typeof text !== 'string' || text.length > TRACESTATE_CHARS_MAX) return null;
  const members = text
    .split(',')
    .map((member) => member.trim())
    .filter((member) => member !== '');
  const isReadable = members.length <= TRACESTATE_MEMBERS_MAX && members.every((each) => TRACESTATE_MEMBER.test(each));
  return isReadable && members.length > 0 ? members.join(',') : null;
}
