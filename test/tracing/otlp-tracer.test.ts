/** The real library of OpenTelemetry, and a real collector that answers, hangs, or is not there. */
import { readTrace, traceIds } from '../../src/domain/trace';
import { startOtlpTracer } from '../../src/tracing/otlp/otlp-tracer';
import type { Tracer } from '../../src/tracing/tracer';
import { freePort } from '../support/free-port';
import { SpanCollector } from '../support/span-collector';
import { waitFor } from '../support/wait-for';

const PARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const NAMES = [
  'OTEL_EXPORTER_OTLP_ENDPOINT',
  'OTEL_EXPORTER_OTLP_TIMEOUT',
  'OTEL_SERVICE_NAME',
  'OTEL_TRACES_SAMPLER',
  'OTEL_BSP_SCHEDULE_DELAY',
];

let collector: SpanCollector | null = null;
let tracer: Tracer | null = null;
const losses: string[] = [];
const warnings: string[] = [];

afterEach(async () => {
  await tracer?.close();
  await collector?.stop();
  [tracer, collector] = [null, null];
  losses.length = 0;
  warnings.length = 0;
  for (const name of NAMES) Reflect.deleteProperty(process.env, name);
});

/** The library reads the environment of the process. */
async function start(environment: Record<string, string>): Promise<Tracer> {
  const quick = { OTEL_BSP_SCHEDULE_DELAY: '20', OTEL_EXPORTER_OTLP_TIMEOUT: '500' };
  Object.assign(process.env, quick, environment);
  const onLoss = (reason: string): void => void losses.push(reason);
  const onWarning = (text: string): void => void warnings.push(text);
  tracer = await startOtlpTracer({
    resource: { 'service.name': 'ours', 'coordinator.cluster': 'c' },
    onLoss,
    onWarning,
  });
  return tracer;
}

async function startWithCollector(environment: Record<string, string> = {}) {
  collector = await SpanCollector.start();
  return { collector, tracer: await start({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, ...environment }) };
}

const begin = (of: Tracer, parent = readTrace(PARENT, 'a=1')) =>
  of.begin({ name: 'one', kind: 'server', parent, attributes: { 'coordinator.attempt': 2 } });

describe('the tracer over OTLP', () => {
  it('sends a span in the trace of its parent, with what it is of and how it ended', async () => {
    const { collector: to, tracer: from } = await startWithCollector();
    const span = begin(from);
    expect(traceIds(span.trace)).toMatchObject({ traceId: '4bf92f3577b34da6a3ce929d0e0e4736', isSampled: true });
    expect(traceIds(span.trace).spanId).not.toBe('00f067aa0ba902b7');
    expect(span.trace.tracestate).toBe('a=1');
    span.end({ name: 'renamed', attributes: { 'http.route': '/x' }, failure: 'Busy' });
    const [sent] = await waitFor('the span', () => (to.spans.length > 0 ? to.spans : undefined));
    expect(sent).toEqual({
      traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
      spanId: traceIds(span.trace).spanId,
      parentId: '00f067aa0ba902b7',
      name: 'renamed',
      kind: 2,
      attributes: { 'coordinator.attempt': 2, 'http.route': '/x', 'error.type': 'Busy' },
      isError: true,
      resource: expect.objectContaining({ 'service.name': 'ours', 'coordinator.cluster': 'c' }) as unknown,
    });
    expect(losses).toEqual([]);
  });

  it('begins a trace of its own without a parent, and a span below it is of that trace', async () => {
    const { collector: to, tracer: from } = await startWithCollector();
    const outer = begin(from, null);
    const inner = from.begin({ name: 'two', kind: 'consumer', parent: outer.trace, attributes: {} });
    for (const span of [inner, outer]) span.end({ failure: null });
    const sent = await waitFor('both spans', () => (to.spans.length === 2 ? to.spans : undefined));
    expect(sent.map(({ parentId, kind, isError }) => ({ parentId, kind, isError }))).toEqual([
      { parentId: traceIds(outer.trace).spanId, kind: 5, isError: false },
      { parentId: null, kind: 2, isError: false },
    ]);
    expect(new Set(sent.map(({ traceId }) => traceId)).size).toBe(1);
  });

  it('keeps to the sampler and the name of the environment', async () => {
    const { collector: to, tracer: from } = await startWithCollector({
      OTEL_TRACES_SAMPLER: 'parentbased_always_off',
      OTEL_SERVICE_NAME: 'theirs',
    });
    const dropped = begin(from, null);
    dropped.end({ failure: null });
    begin(from).end({ failure: null });
    // Whoever is called learns that nobody records this trace.
    expect(traceIds(dropped.trace).isSampled).toBe(false);
    const sent = await waitFor('the span', () => (to.spans.length > 0 ? to.spans : undefined));
    expect(sent.map(({ parentId, resource }) => [parentId, resource['service.name']])).toEqual([
      ['00f067aa0ba902b7', 'theirs'],
    ]);
  });

  it('says which setting of the environment it cannot read', async () => {
    const { tracer: from } = await startWithCollector({ OTEL_TRACES_SAMPLER: 'now_and_then' });
    expect(warnings.join()).toContain('now_and_then');
    expect(traceIds(begin(from, null).trace).isSampled).toBe(true);
  });

  it('sends what is left when it is closed', async () => {
    const { collector: to, tracer: from } = await startWithCollector({ OTEL_BSP_SCHEDULE_DELAY: '60000' });
    begin(from).end({ failure: null });
    expect(to.spans).toEqual([]);
    await from.close();
    expect(to.spans).toHaveLength(1);
  });
});

describe('a collector', () => {
  /** More than the queue takes. */
  const SPANS = 10_000;

  const msOf = (work: () => void): number => {
    const startedMs = performance.now();
    work();
    return performance.now() - startedMs;
  };

  it('that hangs holds up neither a span nor the stop, and what finds no room is lost', async () => {
    collector = await SpanCollector.start({ hangs: true });
    const from = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url });
    const first = begin(from);
    first.end({ failure: null });
    await waitFor('a request that hangs', () => (collector?.requests ?? 0) > 0);
    // 10,000 spans wait for nobody: a second is some ten times what they take.
    const tookMs = msOf(() => {
      for (let n = 0; n < SPANS; n++) begin(from).end({ failure: null });
    });
    expect(tookMs).toBeLessThan(5_000);
    expect(collector.requests).toBeLessThan(SPANS / 512);
    const startedMs = performance.now();
    await from.close();
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });

  it('that is away is told, and nothing throws', async () => {
    const from = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${await freePort()}` });
    begin(from).end({ failure: null });
    const [reason] = await waitFor('the loss', () => (losses.length > 0 ? losses : undefined));
    expect(reason).toMatch(/ECONNREFUSED|timed out|Export failed/i);
    expect(readTrace(begin(from).trace.traceparent)).not.toBeNull();
  });
});
