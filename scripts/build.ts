/** `npm run build`: src compiled into dist, the status page beside it, and the workflows bundled once, so that no worker runs webpack. */
import { randomUUID } from 'node:crypto';
import { cp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundleWorkflowCode } from '@temporalio/worker';
import { workflowSources } from '../src/temporal/workflow-sources';
import { ROOT, runCommand } from './run-command';
import { swapFolder } from './swap-folder';

/** A service that runs from dist goes on: what it has not loaded yet is replaced in one moment, and only by a build that succeeded. */
export async function build(): Promise<void> {
  const dist = join(ROOT, 'dist');
  // Beside dist, so that the source maps' relative paths hold, and in the same file system, so that it can be renamed.
  const fresh = join(ROOT, `.dist-${randomUUID()}`);
  try {
    await compile(fresh);
    await swapFolder(fresh, dist);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

async function compile(folder: string): Promise<void> {
  const compiled = await runCommand(['tsc', '-p', 'tsconfig.build.json', '--outDir', folder]);
  if (!compiled.isOk) throw new Error(`tsc failed:\n${compiled.output}`);
  const quiet = { trace: silent, debug: silent, info: silent, warn: console.warn, error: console.error, log: silent };
  const { code } = await bundleWorkflowCode({ ...workflowSources(folder, '.js'), logger: quiet });
  await writeFile(join(folder, 'workflow-bundle.js'), code);
  // The status page goes to the browser as it is.
  const page = join('api', 'page', 'static');
  await cp(join(ROOT, 'src', page), join(folder, page), { recursive: true });
}

const silent = (): void => undefined;

if (require.main === module) {
  build().then(
    () => console.log('built dist'),
    (error: unknown) => {
      console.error(error instanceof Error ? error.message : error);
      process.exitCode = 1;
    },
  );
}
