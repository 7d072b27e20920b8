import { readTrace, traceHeaders, traceIds, writeTrace } from '../../src/domain/trace';

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN_ID = '00f067aa0ba902b7';
const GIVEN = `00-${TRACE_ID}-${SPAN_ID}-01`;

describe('readTrace', () => {
  it('takes what the standard allows, and of a later version what it knows', () => {
    expect(readTrace(GIVEN)).toEqual({ traceparent: GIVEN, tracestate: null });
    expect(readTrace(` ${GIVEN} `)?.traceparent).toBe(GIVEN);
    expect(readTrace(`cc-${TRACE_ID}-${SPAN_ID}-01-what-comes-later`)?.traceparent).toBe(GIVEN);
  });

  it.each([
    ['nothing', undefined],
    ['several headers', [GIVEN, GIVEN]],
    ['no ids', 'hello'],
    ['capitals', GIVEN.toUpperCase()],
    ['the version that is none', `ff-${TRACE_ID}-${SPAN_ID}-01`],
    ['a trace id of zeros', `00-${'0'.repeat(32)}-${SPAN_ID}-01`],
    ['a span id of zeros', `00-${TRACE_ID}-${'0'.repeat(16)}-01`],
    ['more than the first version has', `${GIVEN}-more`],
    ['a line break', `${GIVEN}\r\nx: y`],
  ])('takes %s for no trace', (_what, given) => {
    expect(readTrace(given)).toBeNull();
  });

  it.each([
    ['rojo=00f067aa0ba902b7,congo=t61rcWkgMzE', 'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE'],
    ['tenant@system=a b , other=1,', 'tenant@system=a b,other=1'],
    ['', null],
    ['no equals sign', null],
    ['Capital=1', null],
    ['a=\u00f6', null],
    [`a=${'x'.repeat(511)}`, null],
    [Array.from({ length: 33 }, (_each, n) => `k${n}=1`).join(','), null],
    [undefined, null],
  ])('of the tracestate %j keeps %j', (given, kept) => {
    expect(readTrace(GIVEN, given)?.tracestate).toBe(kept);
  });
});

describe('a trace', () => {
  it('is written as it is read', () => {
    const trace = writeTrace({ traceId: TRACE_ID, spanId: SPAN_ID, isSampled: false }, 'a=1');
    expect(readTrace(trace.traceparent, trace.tracestate)).toEqual(trace);
    expect(traceIds(trace)).toEqual({ traceId: TRACE_ID, spanId: SPAN_ID, isSampled: false });
    expect(traceIds({ traceparent: `00-${TRACE_ID}-${SPAN_ID}-03`, tracestate: null }).isSampled).toBe(true);
  });

  it('becomes the headers of a request, and no trace becomes none', () => {
    expect(traceHeaders(null)).toEqual({});
    expect(traceHeaders({ traceparent: GIVEN, tracestate: null })).toEqual({ traceparent: GIVEN });
    expect(traceHeaders({ traceparent: GIVEN, tracestate: 'a=1' })).toEqual({ traceparent: GIVEN, tracestate: 'a=1' });
  });
});
