#!/usr/bin/env node
/** The program `quiver-coordinator`: hands its process over to the command line. The verbs that run the service load it, and no other does. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCli } from './cli/program';
import type { CliIo } from './cli/io';

const EXIT_FAILED = 1;
/** As a shell has it for a command whose reader is gone. */
const EXIT_OF_BROKEN_PIPE = 141;

function versionOfPackage(): string {
  const text = readFileSync(join(__dirname, '../package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

const io: CliIo = {
  environment: process.env,
  stdout: process.stdout,
  stderr: process.stderr,
  stdin: process.stdin,
  onInterrupt: (handler) => {
    process.once('SIGINT', handler);
    return () => void process.off('SIGINT', handler);
  },
  version: versionOfPackage(),
  services: {
    run: async (role) => (await import('./run-service.js')).runService(role, process.env),
    up: async (options) => (await import('./run-service.js')).runUp(options, process.env),
  },
  nowMs: Date.now,
};

for (const output of [process.stdout, process.stderr]) {
  output.on('error', (error: NodeJS.ErrnoException) =>
    process.exit(error.code === 'EPIPE' ? EXIT_OF_BROKEN_PIPE : EXIT_FAILED),
  );
}

runCli(process.argv.slice(2), io).then(
  (exitCode) => process.exit(exitCode),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exit(EXIT_FAILED);
  },
);
