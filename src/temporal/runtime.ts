import { setFlagsFromString } from 'node:v8';
import { DefaultLogger, Runtime, type LogLevel } from '@temporalio/worker';
import type { Logger } from 'pino';

/**
 * The SDK gives its workflow thread no bounds. V8 reads this one when it makes a thread's heap, so it holds for the
 * threads to come and not for this one, which answers requests and wants room. It saves 24 MiB.
 */
const THREADS_YOUNG_SPACE = '--max-semi-space-size=4';

/**
 * Runs once per process, before anything else of the SDK. The SDK's logs then go where ours go, and the signals stay
 * ours.
 */
export function installRuntime(logger: Logger): void {
  setFlagsFromString(THREADS_YOUNG_SPACE);
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
    telemetryOptions: { logging: { forward: {}, filter: { core: 'WARN', other: 'ERROR' } } },
    shutdownSignals: [],
  });
}

/** A task token is long and says nothing to a person. An error is logged in full only under the name `err`. */
function readable(meta: Record<string | symbol, unknown> = {}): object {
  const { taskToken: _taskToken, error, ...rest } = meta;
  return error === undefined ? rest : { ...rest, err: error };
}
