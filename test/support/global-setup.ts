/**
 * Before all tests: finds the programs that they start, and offers one Temporal server and one bundle of the workflows for the whole run. Each
 * is made when the first test asks for it (see temporal.ts). Installs nothing but the Temporal CLI; `npm test` has done that before.
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import { startDevServer, type DevServer } from '../../src/temporal/dev-server/dev-server';
import { locateTemporalCli } from '../../src/temporal/dev-server/temporal-cli';
import { workflowSources } from '../../src/temporal/workflow-sources';
import { locateInstalledQuiver } from './real-quiver';

/** What global-teardown.ts has to end. Jest calls both once per project, in one process. */
export interface TestRun {
  readonly broker: Server;
  server: Promise<DevServer> | null;
  /** Where the bundled workflows are. */
  bundle: Promise<string> | null;
  readonly dir: string;
}
declare global {
  var testRun: TestRun | undefined;
}

export default async function globalSetup(): Promise<void> {
  if (globalThis.testRun !== undefined) return;
  const broker = createServer((request, response) => {
    answer(request.url).then(
      (text) => response.end(text),
      (error: unknown) => {
        response.statusCode = 500;
        response.end(String(error));
      },
    );
  });
  const run: TestRun = { broker, server: null, bundle: null, dir: mkdtempSync(join(tmpdir(), 'test-run-')) };
  const answer = async (path: string | undefined): Promise<string> => {
    if (path === '/bundle') return (run.bundle ??= bundleWorkflows(run.dir));
    run.server ??= startShared();
    return (await run.server).address;
  };
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

async function bundleWorkflows(dir: string): Promise<string> {
  const { code } = await bundleWorkflowCode({
    ...workflowSources(join(__dirname, '../../src'), '.ts'),
    logger: new DefaultLogger('ERROR'),
  });
  const path = join(dir, 'workflow-bundle.js');
  writeFileSync(path, code);
  return path;
}
