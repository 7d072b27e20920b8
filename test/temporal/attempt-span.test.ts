import type { Context } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { headersWithPhase, headersWithTrace, phaseOfHeaders, traceOfHeaders } from '../../src/contract/trace/headers';
import { readTrace } from '../../src/domain/trace';
import { attemptSpans } from '../../src/temporal/attempt-span';
import { currentTrace } from '../../src/tracing/current';
import { FakeTracer } from '../support/fake-tracer';

const TRACE = readTrace('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', 'a=1');
const HEADERS = headersWithPhase(headersWithTrace({}, TRACE), 'copy');

const tracer = new FakeTracer();
beforeEach(() => void (tracer.spans.length = 0));

async function attempt(of: { headers?: typeof HEADERS; input?: unknown; run?: () => Promise<unknown> }) {
  const info = {
    activityType: 'copyDonor',
    attempt: 3,
    workflowType: 'grow',
    workflowExecution: { workflowId: 'grow/default/monday', runId: 'r' },
  };
  const { execute } = attemptSpans(tracer)({ info } as unknown as Context).inbound ?? {};
  const { headers = HEADERS, input = { donorId: 4 }, run = () => Promise.resolve(currentTrace()) } = of;
  const seen = await execute?.({ args: [input], headers }, run).catch((error: unknown) => error);
  return { seen, span: tracer.spans[0] };
}

describe('an attempt of an activity', () => {
  it('is a span of its workflow’s trace, says what it works on, and what it does goes along', async () => {
    const { seen, span } = await attempt({});
    expect(span).toMatchObject({
      name: 'activity copyDonor',
      kind: 'consumer',
      parent: TRACE,
      attributes: {
        'coordinator.activity': 'copyDonor',
        'coordinator.attempt': 3,
        'coordinator.operation.kind': 'grow',
        'coordinator.operation.id': 'grow-monday',
        'coordinator.phase': 'copy',
        'coordinator.shard.id': 4,
        'temporal.workflow.id': 'grow/default/monday',
      },
      ended: { failure: null },
    });
    expect(seen).toEqual(span?.trace);
  });

  it('begins a trace where its workflow has none, or has what is none', async () => {
    await attempt({ headers: {} });
    await attempt({ headers: { '_tracer-data': { metadata: {}, data: Buffer.from('nonsense') } } });
    expect(tracer.spans.map(({ parent }) => parent)).toEqual([null, null]);
  });

  it.each([
    [{ receiverId: 0 }, 0],
    [{ joiner: { id: 7, primary_url: 'http://s7' } }, 7],
    [{ shards: [{ id: 1 }] }, undefined],
    [null, undefined],
    [{ donorId: 'secret' }, undefined],
  ])('of %j is about shard %s', async (input, id) => {
    const { span } = await attempt({ input });
    expect(span?.attributes['coordinator.shard.id']).toBe(id);
  });

  it('that fails tells the type and not the text, and fails as before', async () => {
    const failure = ApplicationFailure.retryable('http://user:secret@s0 said no', 'DonorUnreachable');
    const { seen, span } = await attempt({ run: () => Promise.reject(failure) });
    expect(seen).toBe(failure);
    expect(span?.ended).toEqual({ failure: 'DonorUnreachable' });
    tracer.spans.length = 0;
    expect((await attempt({ run: () => Promise.reject(new Error('secret')) })).span?.ended).toEqual({
      failure: 'Error',
    });
  });

  it('that is cancelled did not fail', async () => {
    const { span } = await attempt({ run: () => Promise.reject(new CancelledFailure('cancelled')) });
    expect(span?.ended).toEqual({ attributes: { 'coordinator.outcome': 'cancelled' }, failure: null });
  });
});

describe('the headers of Temporal', () => {
  it('carry a trace and a phase, and stay as they are without a trace', () => {
    expect(traceOfHeaders(HEADERS)).toEqual(TRACE);
    expect(phaseOfHeaders(HEADERS)).toBe('copy');
    const none = {};
    expect(headersWithTrace(none, null)).toBe(none);
    expect([traceOfHeaders(none), phaseOfHeaders(none)]).toEqual([null, null]);
  });

  it('are in the form of Temporal’s own interceptors', () => {
    const data = HEADERS['_tracer-data']?.data ?? new Uint8Array();
    expect(JSON.parse(Buffer.from(data).toString())).toEqual({
      traceparent: TRACE?.traceparent,
      tracestate: 'a=1',
    });
  });
});
