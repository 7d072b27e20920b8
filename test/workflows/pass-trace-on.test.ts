import type { ActivityInput, ContinueAsNewInput, Headers } from '@temporalio/workflow';
import { headersWithTrace, phaseOfHeaders, traceOfHeaders } from '../../src/contract/trace/headers';
import { readTrace } from '../../src/domain/trace';
import { interceptors, tracePhase } from '../../src/workflows/trace/pass-trace-on';

const TRACE = readTrace('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', 'a=1');

/** A run of a workflow that was started with these headers. */
async function runWith(headers: Headers) {
  const { inbound: [inbound] = [], outbound: [outbound] = [] } = interceptors();
  await inbound?.execute?.({ args: [], headers }, () => Promise.resolve());
  const asked: Headers[] = [];
  const take = (input: { headers: Headers }): Promise<never> => {
    asked.push(input.headers);
    return Promise.resolve() as Promise<never>;
  };
  return {
    asked,
    schedule: (more: Headers = {}) => outbound?.scheduleActivity?.({ headers: more } as ActivityInput, take),
    continueAsNew: () => outbound?.continueAsNew?.({ headers: {} } as ContinueAsNewInput, take),
  };
}

describe('the interceptors of a workflow', () => {
  it('without a trace hand on the very same input', async () => {
    tracePhase('copy');
    const { inbound: [inbound] = [], outbound: [outbound] = [] } = interceptors();
    const input = { headers: {} } as ActivityInput;
    await inbound?.execute?.({ args: [], headers: {} }, () => Promise.resolve());
    const seen = await outbound?.scheduleActivity?.(input, (given) => Promise.resolve(given));
    expect(seen).toBe(input);
  });

  it('give the trace to each activity, with its phase, and beside other headers', async () => {
    const run = await runWith({ ...headersWithTrace({}, TRACE), other: {} });
    tracePhase('preflight');
    await run.schedule();
    tracePhase('drop');
    await run.schedule({ mine: {} });
    expect(run.asked.map(traceOfHeaders)).toEqual([TRACE, TRACE]);
    expect(run.asked.map(phaseOfHeaders)).toEqual(['preflight', 'drop']);
    expect(run.asked.map((headers) => ['mine' in headers, 'other' in headers])).toEqual([
      [false, false],
      [true, false],
    ]);
  });

  it('give the trace to the run that follows, without the phase, which it has itself', async () => {
    tracePhase('drop');
    const run = await runWith(headersWithTrace({}, TRACE));
    await run.continueAsNew();
    expect(run.asked).toEqual([headersWithTrace({}, TRACE)]);
    const untraced = await runWith({});
    await untraced.continueAsNew();
    expect(untraced.asked).toEqual([{}]);
  });

  it('keep the traces of two runs apart', async () => {
    const [traced, untraced] = [await runWith(headersWithTrace({}, TRACE)), await runWith({})];
    await traced.schedule();
    await untraced.schedule();
    expect([...traced.asked, ...untraced.asked].map(traceOfHeaders)).toEqual([TRACE, null]);
  });
});
