/**
 * Before all tests: finds the programs that they start and offers one Temporal server for the whole run, which is started when the first
 * test asks for it (see temporal.ts). Installs nothing but the Temporal CLI; `npm test` has done that before.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startDevServer, type DevServer } from '../../src/temporal/dev-server/dev-server';
import { locateTemporalCli } from '../../src/temporal/dev-server/temporal-cli';
import { locateInstalledQuiver } from './real-quiver';

/** What global-teardown.ts has to end. Jest calls both once per project, in one process. */
export interface TestRun {
  readonly broker: Server;
  server: Promise<DevServer> | null;
}
declare global {
  var testRun: TestRun | undefined;
}

export default async function globalSetup(): Promise<void> {
  if (globalThis.testRun !== undefined) return;
  const broker = createServer((_request, response) => {
    run.server ??= startShared();
    run.server.then(
      ({ address }) => response.end(address),
      (error: unknown) => {
        response.statusCode = 500;
        response.end(String(error));
      },
    );
  });
  const run: TestRun = { broker, server: null };
  globalThis.testRun = run;
  process.env['TEST_QUIVER_BIN'] = (await locateInstalledQuiver()) ?? '';
  await new Promise<void>((resolve) => broker.listen(0, '127.0.0.1', resolve));
  broker.unref();
  process.env['TEST_TEMPORAL_BROKER'] = `http://127.0.0.1:${(broker.address() as AddressInfo).port}`;
}

async function startShared(): Promise<DevServer> {
  const cli = await locateTemporalCli({ report: (line) => process.stderr.write(`${line}\n`) });
  return startDevServer({ cli, dbFile: null, port: 0, uiPort: null, namespace: 'default' });
}
