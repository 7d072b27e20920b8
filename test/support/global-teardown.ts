import { rmSync } from 'node:fs';
import './global-setup';

export default async function globalTeardown(): Promise<void> {
  const run = globalThis.testRun;
  if (run === undefined) return;
  globalThis.testRun = undefined;
  run.broker.closeAllConnections();
  run.broker.close();
  const server = await run.server?.catch(() => null);
  server?.kill();
  await server?.exited;
  rmSync(run.dir, { recursive: true, force: true });
}
