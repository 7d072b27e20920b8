/**
 * Records spans with OpenTelemetry, and sends them to a collector over OTLP. Its packages are loaded when tracing starts, and never
 * without it. What the standard names of the environment (`OTEL_…`) mean is theirs to say.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { SpanContext, SpanKind, Tracer as OtelTracer } from '@opentelemetry/api';
import { boundedText } from '../../domain/bounded-text';
import { traceIds, writeTrace, type TraceContext } from '../../domain/trace';
import type { Attributes, OpenSpan, SpanEnd, SpanStart, Tracer } from '../tracer';

export interface OtlpOptions {
  /** What all spans of this process are of, unless OTEL_RESOURCE_ATTRIBUTES or OTEL_SERVICE_NAME says otherwise. */
  readonly resource: Readonly<Record<string, string>>;
  /** Spans were not taken. They are lost, and nothing else is. */
  readonly onLoss: (reason: string) => void;
  /** What else the library has to say, for instance of a setting that it cannot read. */
  readonly onWarning: (text: string) => void;
  readonly closeMs?: number;
}

/** A stop waits no longer than this for a collector. */
const CLOSE_MS = 1_500;
const REASON_CHARS_MAX = 200;

const loadPackages = async () => {
  const [api, core, resources, sdk, otlp] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/core'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/sdk-trace-base'),
    import('@opentelemetry/exporter-trace-otlp-proto'),
  ]);
  return { api, core, resources, sdk, otlp };
};
type Packages = Awaited<ReturnType<typeof loadPackages>>;

/**
 * Spans wait in a queue of bounded length, and go out in batches. When a collector is slow or away, the queue fills up and further spans
 * are dropped: whoever begins or ends a span never waits.
 */
export async function startOtlpTracer(options: OtlpOptions): Promise<Tracer> {
  const packages = await loadPackages();
  const { api, core, resources, sdk, otlp } = packages;
  const warn = (text: string): void => options.onWarning(boundedText(text, REASON_CHARS_MAX));
  const ignore = (): void => undefined;
  api.diag.setLogger(
    { error: warn, warn, info: ignore, debug: ignore, verbose: ignore },
    { logLevel: api.DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
  core.setGlobalErrorHandler((error) => {
    const reason = typeof error === 'string' ? error : (error.message ?? 'an unknown reason');
    options.onLoss(boundedText(reason, REASON_CHARS_MAX));
  });
  const provider = new sdk.BasicTracerProvider({
    resource: resources
      .defaultResource()
      .merge(resources.resourceFromAttributes(options.resource))
      .merge(resources.detectResources({ detectors: [resources.envDetector] })),
    spanProcessors: [new sdk.BatchSpanProcessor(new otlp.OTLPTraceExporter())],
  });
  const tracer = provider.getTracer('quiver-coordinator');
  return {
    begin: (start) => beginSpan(packages, tracer, start),
    close: () => within(options.closeMs ?? CLOSE_MS, provider.shutdown()),
  };
}

function beginSpan({ api }: Packages, tracer: OtelTracer, { name, kind, parent, attributes }: SpanStart): OpenSpan {
  const kinds: Record<SpanStart['kind'], SpanKind> = { server: api.SpanKind.SERVER, consumer: api.SpanKind.CONSUMER };
  const around = parent === null ? api.ROOT_CONTEXT : api.trace.setSpanContext(api.ROOT_CONTEXT, remote(api, parent));
  const span = tracer.startSpan(name, { kind: kinds[kind], attributes: copyOf(attributes) }, around);
  const { traceId, spanId, traceFlags, traceState } = span.spanContext();
  const isSampled = (traceFlags & api.TraceFlags.SAMPLED) !== 0;
  return {
    trace: writeTrace({ traceId, spanId, isSampled }, traceState?.serialize() ?? null),
    end: ({ name: newName, attributes: more = {}, failure }: SpanEnd) => {
      if (newName !== undefined) span.updateName(newName);
      span.setAttributes(copyOf(more));
      if (failure !== null) {
        span.setAttribute('error.type', failure);
        span.setStatus({ code: api.SpanStatusCode.ERROR });
      }
      span.end();
    },
  };
}

/** The span of a caller in another process, or in a task before this one. */
function remote(api: Packages['api'], parent: TraceContext): SpanContext {
  const { traceId, spanId, isSampled } = traceIds(parent);
  const traceFlags = isSampled ? api.TraceFlags.SAMPLED : api.TraceFlags.NONE;
  const { tracestate } = parent;
  const known = tracestate === null ? {} : { traceState: api.createTraceState(tracestate) };
  return { traceId, spanId, traceFlags, isRemote: true, ...known };
}

/** What OpenTelemetry is given is its own. */
function copyOf(attributes: Attributes): Record<string, string | number | string[]> {
  const entries = Object.entries(attributes).map(
    ([name, value]) => [name, isList(value) ? [...value] : value] as const,
  );
  return Object.fromEntries(entries);
}

const isList = (value: Attributes[string]): value is readonly string[] => Array.isArray(value);

/** What is not sent by then is lost. */
async function within(ms: number, sending: Promise<void>): Promise<void> {
  const clock = new AbortController();
  const sent = sending.catch(() => undefined);
  await Promise.race([sent, delay(ms, undefined, { signal: clock.signal, ref: false }).catch(() => undefined)]);
  clock.abort();
}
