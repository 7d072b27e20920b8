#!/usr/bin/env node
/** The program: `quiver-coordinator serve | api | worker`. Exit codes: 0 stopped on request, 1 could not go on, 2 a bad setting. */
import { ConfigError, loadConfig, type Config } from './config';
import { createLogger } from './log';
import { showsCore } from './metrics';
import { SERVICE_ROLES, startService, type ServiceRole } from './service';
import { installRuntime } from './temporal/runtime';

const EXIT_FAILED = 1;
const EXIT_BAD_SETTING = 2;
/** A stop that takes longer is cut: everything that matters is in Temporal. */
const STOP_DEADLINE_MS = 9_500;

async function main(): Promise<void> {
  const role = SERVICE_ROLES.find((each) => each === process.argv[2]);
  if (role === undefined || process.argv.length > 3) {
    giveUp(EXIT_BAD_SETTING, `usage: quiver-coordinator ${SERVICE_ROLES.join(' | ')}`);
  }
  await run(role, loadConfig(process.env, { hasApi: role !== 'worker' }));
}

async function run(role: ServiceRole, config: Config): Promise<void> {
  const logger = createLogger(config.logLevel);
  const signal = nextSignal();
  const core = await installRuntime(logger, { hasMetrics: showsCore(role, config) });
  const starting = startService(role, config, logger, core);
  // A signal during the start counts too: what has been started is stopped as soon as it can be.
  await Promise.race([starting, signal]);
  void signal.then((name) => {
    logger.info({ signal: name }, 'stopping');
    setTimeout(() => {
      logger.error({ deadlineMs: STOP_DEADLINE_MS }, 'the stop took too long and was cut');
      process.exit(EXIT_FAILED);
    }, STOP_DEADLINE_MS).unref();
  });
  const service = await starting;
  const failure = await Promise.race([
    signal.then(() => null),
    service.ended.then(
      () => null,
      (error: unknown) => ({ error }),
    ),
  ]);
  if (failure !== null) logger.fatal({ err: failure.error }, 'the worker ended by itself: stopping');
  await service.stop();
  logger.info('stopped');
  process.exit(failure === null ? 0 : EXIT_FAILED);
}

/** The first signal asks for an orderly stop, the second one ends the process at once. */
function nextSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let isStopping = false;
    const onSignal = (signal: NodeJS.Signals): void => {
      if (isStopping) process.exit(EXIT_FAILED);
      isStopping = true;
      resolve(signal);
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}

function giveUp(exitCode: number, message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(exitCode);
}

main().catch((error: unknown) => {
  if (error instanceof ConfigError) giveUp(EXIT_BAD_SETTING, error.message);
  giveUp(EXIT_FAILED, error instanceof Error ? error.message : String(error));
});
