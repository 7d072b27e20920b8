import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { locateOrInstall, runInstaller, type Environment, type Report, type Tool } from './tool-cache';

/** Tags above this one have `replace` lines in their go.mod, and `go install` refuses those. */
const CLI_VERSION = 'v1.5.1';
const DOWNLOAD_TIMEOUT_MS = 180_000;
const BUILD_TIMEOUT_MS = 1_800_000;

/**
 * Runs in a Node process of its own. The SDK downloads the CLI only while it starts a server with it. An SDK runtime
 * made here could no longer be configured by our caller.
 */
const SDK_DOWNLOAD = `
const { Runtime } = require(process.argv[1]);
const [, , downloadDir, manifest] = process.argv;
const { version: sdkVersion } = require(manifest);
const exe = { type: 'cached-download', downloadDir, version: 'default', ttl: 86400000, sdkName: 'sdk-typescript', sdkVersion };
const config = { type: 'dev-server', exe, ip: '127.0.0.1', port: null, ui: false, uiPort: null, namespace: 'default', dbFilename: null,
  log: { format: 'pretty', level: 'error' }, extraArgs: [] };
const runtime = Runtime.instance();
runtime.createEphemeralServer(config).then((server) => runtime.shutdownEphemeralServer(server)).then(
  () => process.exit(0),
  (error) => { console.error(String(error.message).split('\\n')[0]); process.exit(1); },
);
`;

const temporalCli = (env: Environment): Tool => ({
  name: 'temporal',
  title: 'Temporal CLI',
  variable: 'TEMPORAL_CLI',
  installations: [
    {
      needs: 'allow the download from https://temporal.download',
      announcement: 'downloading it as the Temporal SDK does (100 MB)',
      run: async (dir, report) => {
        const worker = require.resolve('@temporalio/worker');
        const manifest = require.resolve('@temporalio/worker/package.json');
        const args = ['-e', SDK_DOWNLOAD, worker, dir, manifest];
        await runInstaller({ command: process.execPath, args, env, timeoutMs: DOWNLOAD_TIMEOUT_MS }, report);
        const [file] = (await readdir(dir)).filter((name) => name.startsWith('temporal'));
        if (file === undefined) throw new Error('the download left no executable');
        return join(dir, file);
      },
    },
    {
      needs: `install a Go toolchain, so that go install github.com/temporalio/cli/cmd/temporal@${CLI_VERSION} can build it`,
      announcement: `building ${CLI_VERSION} with go install (about 5 minutes on 2 cores, once)`,
      run: async (dir, report) => {
        const args = ['install', `github.com/temporalio/cli/cmd/temporal@${CLI_VERSION}`];
        const build = { command: 'go', args, env: { ...env, GOBIN: dir }, timeoutMs: BUILD_TIMEOUT_MS };
        await runInstaller(build, report);
        return join(dir, 'temporal');
      },
    },
  ],
});

/**
 * The path of a Temporal CLI with a dev server: TEMPORAL_CLI, PATH, the per-user cache. Else it is installed into that
 * cache. That may take minutes, and `report` gets a line for each step.
 * @throws ToolMissingError naming every way
 */
export async function locateTemporalCli(options: { report: Report; env?: Environment }): Promise<string> {
  const env = options.env ?? process.env;
  return locateOrInstall(temporalCli(env), { env, report: options.report });
}
