/** The spans of this process: where they go, and what all of them are of. */
import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { ownVersion } from './api/openapi/version';
import type { Config } from './config';
import { startOtlpTracer } from './tracing/otlp/otlp-tracer';
import type { Tracer } from './tracing/tracer';

const LOSS_TOLD_EVERY_MS = 60_000;

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
    onLoss: tellOfLoss(logger),
  });
  logger.info('tracing with OpenTelemetry, over OTLP');
  return tracer;
}

/** A collector that is away for a day is no flood in the log. */
function tellOfLoss(logger: Logger, nowMs: () => number = () => performance.now()): (reason: string) => void {
  let toldAtMs: number | null = null;
  return (reason) => {
    if (toldAtMs !== null && nowMs() - toldAtMs < LOSS_TOLD_EVERY_MS) return;
    toldAtMs = nowMs();
    logger.warn(
      { reason },
      'expected the collector of OTEL_EXPORTER_OTLP_ENDPOINT to take spans, it did not: operations go on, and these spans are lost',
    );
  };
}
