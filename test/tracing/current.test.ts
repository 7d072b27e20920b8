import { setTimeout as delay } from 'node:timers/promises';
import { Writable } from 'node:stream';
import { writeTrace } from '../../src/domain/trace';
import { createLogger } from '../../src/log';
import { currentTrace, inTrace, traceFields, withoutTrace } from '../../src/tracing/current';

const trace = (digit: string) =>
  writeTrace({ traceId: digit.repeat(32), spanId: digit.repeat(16), isSampled: true }, null);

describe('the trace of code', () => {
  it('follows what it awaits, and is that of nobody else', async () => {
    const seen = async (): Promise<unknown> => {
      await delay(5);
      return currentTrace();
    };
    const [a, b, none] = await Promise.all([inTrace(trace('a'), seen), inTrace(trace('b'), seen), seen()]);
    expect([a, b, none]).toEqual([trace('a'), trace('b'), null]);
    expect(currentTrace()).toBeNull();
  });

  it('is none for what outlives whoever began it', async () => {
    const later = inTrace(trace('a'), () => withoutTrace(() => delay(5).then(currentTrace)));
    expect(await later).toBeNull();
    expect(withoutTrace(() => 7)).toBe(7);
  });
});

describe('a line of the log', () => {
  const linesOf = (work: (logger: ReturnType<typeof createLogger>) => void): Record<string, unknown>[] => {
    const lines: Record<string, unknown>[] = [];
    const stream = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        lines.push(JSON.parse(chunk.toString()) as Record<string, unknown>);
        done();
      },
    });
    work(createLogger('info', stream));
    return lines;
  };

  it('names the trace and the span that it was written in, also through a child of the logger', () => {
    const [line, ofChild] = linesOf((logger) =>
      inTrace(trace('a'), () => {
        logger.info('hello');
        logger.child({ component: 'x' }).info('hello');
      }),
    );
    const ids = { trace_id: 'a'.repeat(32), span_id: 'a'.repeat(16) };
    expect(line).toMatchObject(ids);
    expect(ofChild).toMatchObject({ ...ids, component: 'x' });
  });

  it('names none without one', () => {
    const [line] = linesOf((logger) => logger.info('hello'));
    expect(Object.keys(line ?? {})).toEqual(['level', 'time', 'msg']);
    expect(traceFields()).toEqual({});
  });
});
