import { currentTrace } from '../../../src/tracing/current';
import { ApiServer, FakeClusterClient, KEYS } from '../../support/api-server';
import { FakeTracer, type FakeSpan } from '../../support/fake-tracer';
import { waitFor } from '../../support/wait-for';

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const GIVEN = `00-${TRACE_ID}-00f067aa0ba902b7-01`;

class TracedClient extends FakeClusterClient {
  readonly seen: (string | null)[] = [];
  override queryState: FakeClusterClient['queryState'] = () => {
    this.seen.push(currentTrace()?.traceparent ?? null);
    return this.trouble === null ? Promise.resolve(this.state) : Promise.reject(this.trouble);
  };
  override startOperation: FakeClusterClient['startOperation'] = (_kind, input) => {
    this.seen.push(currentTrace()?.traceparent ?? null);
    return Promise.resolve({ map: this.state.map, shardIds: [2], request: input.request });
  };
}

let tracer: FakeTracer;
let client: TracedClient;
let api: ApiServer;
beforeEach(async () => {
  tracer = new FakeTracer();
  client = new TracedClient();
  api = await ApiServer.start({ tracer, client });
});
afterEach(() => api.close());

const ended = (): Promise<FakeSpan> => waitFor('the end of a span', () => tracer.spans.find((each) => each.ended));

describe('a request', () => {
  it('continues the trace of its caller, and what it asks for goes along', async () => {
    await api.call('/cluster/shards', { headers: { traceparent: GIVEN, tracestate: 'a=1', 'X-Request-Id': 'mine' } });
    const span = await ended();
    expect(span).toMatchObject({ kind: 'server', parent: { traceparent: GIVEN, tracestate: 'a=1' } });
    expect(span.ended).toEqual({
      name: 'GET /cluster/shards',
      attributes: {
        'http.route': '/cluster/shards',
        'http.response.status_code': 200,
        'coordinator.request.id': 'mine',
      },
      failure: null,
    });
    expect(client.seen).toEqual([span.trace.traceparent]);
    expect(span.trace.traceparent).toContain(TRACE_ID);
  });

  it('begins a trace without one, and for one that is none', async () => {
    await api.call('/cluster/shards');
    await api.call('/cluster/shards', { headers: { traceparent: 'nonsense' } });
    expect(tracer.spans.map(({ parent }) => parent)).toEqual([null, null]);
  });

  it('that starts an operation names it, in the span and beside the trace in the audit line', async () => {
    await api.call('/cluster/shards/grow', {
      method: 'POST',
      headers: { traceparent: GIVEN, 'Idempotency-Key': 'k' },
      body: { primary_url: 'http://s2:6333' },
    });
    const { trace, ended: end } = await ended();
    expect(end?.attributes).toMatchObject({ 'coordinator.operation.id': 'grow-k' });
    // Also behind the body, which arrives by events of the connection.
    expect(new Set(client.seen)).toEqual(new Set([trace.traceparent]));
    const audit = await waitFor('the audit line', () => api.logged.find((line) => line.includes('"audit":true')));
    expect(JSON.parse(audit)).toMatchObject({ operationId: 'grow-k', trace_id: TRACE_ID });
  });

  it('is no failure when it is refused, and one when this side failed', async () => {
    await api.call('/cluster/shards', { key: 'a-wrong-one' });
    expect((await ended()).ended?.failure).toBeNull();
    tracer.spans.length = 0;
    client.trouble = new Error('unforeseen: http://user:secret@s0/');
    await api.call('/cluster/shards');
    const span = await ended();
    expect(span.ended?.failure).toBe('500');
    expect(JSON.stringify(span)).not.toContain('secret');
  });

  it('that matches no route, or comes with a key or a query, tells neither path nor key nor query', async () => {
    await api.call('/no/such/secret-path?token=secret-token');
    await api.call('/cluster/operations?token=secret-token', { key: 'secret-key' });
    await waitFor('both ends', () => tracer.spans.every((each) => each.ended !== null) && tracer.spans.length === 2);
    expect(JSON.stringify(tracer.spans)).not.toContain('secret');
  });

  it('has no span when it is a poll of the map or a probe', async () => {
    await api.call('/cluster/map', { key: KEYS.read });
    for (const path of ['/healthz', '/readyz', '/metrics']) await api.call(path);
    expect(tracer.spans).toEqual([]);
  });
});
