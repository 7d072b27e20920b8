/** `npm run build`: src compiled into dist, and the workflows bundled once, so that a worker does not run webpack at every start. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundleWorkflowCode } from '@temporalio/worker';
import { ROOT, runCommand } from './run-command';

export async function build(): Promise<void> {
  const dist = join(ROOT, 'dist');
  await rm(dist, { recursive: true, force: true });
  const compiled = await runCommand(['tsc', '-p', 'tsconfig.build.json']);
  if (!compiled.isOk) throw new Error(`tsc failed:\n${compiled.output}`);
  const quiet = { trace: silent, debug: silent, info: silent, warn: console.warn, error: console.error, log: silent };
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(dist, 'workflows', 'index.js'),
    logger: quiet,
  });
  await writeFile(join(dist, 'workflow-bundle.js'), code);
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
