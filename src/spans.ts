/** The spans of this process: where they go, and what all of them are of. */
import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { ownVersion } from './api/openapi/version';
import type { Config } from './config';
import { startOtlpTracer } from './tracing/otlp/otlp-tracer';
import type { Tracer } from './tracing/tracer';

const MINUTE_MS = 60_000;

/** Null without tracing: then nothing of OpenTelemetry is loaded. */
export async function startTracing(
  role: 'serve' | 'api' | 'worker',
  { tracing, cluster }: Pick<Config, 'tracing' | 'cluster'>,
  logger: Logger,
): Promise<Tracer | null> {
  if (tracing === 'off') return null;
  const tracer = await startOtlpTracer({
    resource: {
      'service.name': 'quiver-coordinator',
      'service.version': ownVersion(),
      'service.instance.id': randomUUID(),
      'coordinator.cluster': cluster,
      'coordinator.role': role,
    },
    onLoss: telling(logger, {
      perMinute: 1,
      message:
        'expected the collector of OTEL_EXPORTER_OTLP_ENDPOINT to take spans, it did not, so these are lost: start it, or correct the address',
    }),
    onWarning: telling(logger, { perMinute: 5, message: 'OpenTelemetry warns: look at the OTEL_ settings' }),
  });
  logger.info('tracing with OpenTelemetry, over OTLP');
  return tracer;
}

/** A collector that is away for a day is no flood in the log. */
function telling(logger: Logger, of: { perMinute: number; message: string }): (reason: string) => void {
  let [minute, told] = [0, 0];
  return (reason) => {
    const now = Math.floor(performance.now() / MINUTE_MS);
    if (now !== minute) [minute, told] = [now, 0];
    told += 1;
    if (told <= of.perMinute) logger.warn({ reason }, of.message);
  };
}
