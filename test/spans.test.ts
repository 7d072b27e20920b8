import { Writable } from 'node:stream';
import { createLogger } from '../src/log';
import { startTracing } from '../src/spans';
import { freePort } from './support/free-port';
import { waitFor } from './support/wait-for';

const ENVIRONMENT = { OTEL_BSP_SCHEDULE_DELAY: '10', OTEL_EXPORTER_OTLP_TIMEOUT: '100' };

const lines: Record<string, unknown>[] = [];
const logger = createLogger(
  'info',
  new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      lines.push(JSON.parse(chunk.toString()) as Record<string, unknown>);
      done();
    },
  }),
);

afterEach(() => {
  for (const name of [...Object.keys(ENVIRONMENT), 'OTEL_EXPORTER_OTLP_ENDPOINT']) {
    Reflect.deleteProperty(process.env, name);
  }
  lines.length = 0;
});

it('nothing traces where the setting is off, and no line says so', async () => {
  expect(await startTracing('api', { tracing: 'off', cluster: 'c' }, logger)).toBeNull();
  expect(lines).toEqual([]);
});

it('a collector that is away is told in one line, however many spans it costs', async () => {
  Object.assign(process.env, ENVIRONMENT, { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${await freePort()}` });
  const tracer = await startTracing('worker', { tracing: 'otlp', cluster: 'c' }, logger);
  const lose = (): void =>
    tracer?.begin({ name: 'lost', kind: 'consumer', parent: null, attributes: {} }).end({ failure: null });
  const losses = () => lines.filter(({ level }) => level === 'warn');
  lose();
  await waitFor('the line', () => losses().length > 0);
  for (let n = 0; n < 5; n++) {
    lose();
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
  await tracer?.close();
  // Two, when a minute ended meanwhile.
  expect(losses().length).toBeLessThanOrEqual(2);
  expect(losses()[0]?.['msg']).toMatch(
    /^expected the collector .* to take spans, it did not, so these are lost: start it/,
  );
});
