import { pino, type DestinationStream, type Logger } from 'pino';
import type { LogLevel } from './config';
import { traceFields } from './tracing/current';

/** Every place where a key could get into a log line. No code logs one on purpose. */
const SECRET_PATHS = [
  'authorization',
  'shardKey',
  'shardKeys',
  'keys',
  'given',
  'apiKey',
  'apiKeys',
  'secret',
  'key',
].flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);

/** One JSON object per line, on the standard output unless another destination is given. */
export function createLogger(level: LogLevel, destination?: DestinationStream): Logger {
  const options = {
    level,
    redact: { paths: SECRET_PATHS, censor: '[secret]' },
    formatters: { level: (label: string) => ({ level: label }) },
    timestamp: pino.stdTimeFunctions.isoTime,
    base: null,
    // Without tracing there is no trace, and this adds nothing.
    mixin: () => traceFields(),
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}
