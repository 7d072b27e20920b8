import { createServer, type AddressInfo } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { DefaultLogger, Runtime, type LogLevel } from '@temporalio/worker';
import type { Logger } from 'pino';

/**
 * The SDK gives its workflow thread no bounds. V8 reads this one when it makes a thread's heap, so it holds for the
 * threads to come and not for this one, which answers requests and wants room. It saves 24 MiB.
 */
const THREADS_YOUNG_SPACE = '--max-semi-space-size=4';

/** The metrics of the SDK's core, which listens on a port of this machine only. */
export interface CoreMetrics {
  readonly port: number;
  /** As Prometheus reads them; empty when the core does not answer in time. Never rejects. */
  read(): Promise<string>;
}

const READ_TIMEOUT_MS = 1_000;
const LOOPBACK = '127.0.0.1';
/** The queue of one worker alone has a random name: each start would make new series. */
const RANDOM_NAME = /worker-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

/**
 * Runs once per process, before anything else of the SDK. The SDK's logs then go where ours go, and the signals stay
 * ours. Returns null without metrics: none were asked for, or their port cannot be listened on.
 */
export async function installRuntime(
  logger: Logger,
  { hasMetrics = false }: { readonly hasMetrics?: boolean } = {},
): Promise<CoreMetrics | null> {
  setFlagsFromString(THREADS_YOUNG_SPACE);
  if (hasMetrics) {
    const port = await freePort();
    try {
      install(logger, port);
      return { port, read: () => readCore(port, logger) };
    } catch (error) {
      logger.warn({ err: error, port }, "the metrics of Temporal's own library are left out: their port is taken");
    }
  }
  install(logger, null);
  return null;
}

/** The core takes a port, and does not tell which one it took for 0. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, LOOPBACK, () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

async function readCore(port: number, logger: Logger): Promise<string> {
  try {
    const answer = await fetch(`http://${LOOPBACK}:${port}/metrics`, { signal: AbortSignal.timeout(READ_TIMEOUT_MS) });
    if (!answer.ok) throw new Error(`expected 200, got ${answer.status}`);
    const text = (await answer.text()).replace(RANDOM_NAME, 'worker');
    return text === '' || text.endsWith('\n') ? text : `${text}\n`;
  } catch (error) {
    logger.debug({ err: error }, "the metrics of Temporal's own library could not be read");
    return '';
  }
}

function install(logger: Logger, metricsPort: number | null): void {
  const sdk = logger.child({ component: 'temporal-sdk' });
  const write: Record<LogLevel, (meta: object, message: string) => void> = {
    TRACE: (meta, message) => sdk.trace(meta, message),
    DEBUG: (meta, message) => sdk.debug(meta, message),
    INFO: (meta, message) => sdk.info(meta, message),
    WARN: (meta, message) => sdk.warn(meta, message),
    ERROR: (meta, message) => sdk.error(meta, message),
  };
  Runtime.install({
    logger: new DefaultLogger('WARN', ({ level, message, meta }) => write[level](readable(meta), message)),
    telemetryOptions: {
      logging: { forward: {}, filter: { core: 'WARN', other: 'ERROR' } },
      ...(metricsPort === null ? {} : { metrics: metricsAt(metricsPort) }),
    },
    shutdownSignals: [],
  });
}

/** Names and units as Prometheus wants them. */
const metricsAt = (port: number) => ({
  attachServiceName: false,
  prometheus: {
    bindAddress: `${LOOPBACK}:${port}`,
    countersTotalSuffix: true,
    unitSuffix: true,
    useSecondsForDurations: true,
  },
});

/** A task token is long and says nothing to a person. An error is logged in full only under the name `err`. */
function readable(meta: Record<string | symbol, unknown> = {}): object {
  const { taskToken: _taskToken, error, ...rest } = meta;
  return error === undefined ? rest : { ...rest, err: error };
}
