import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { build } from '../scripts/build';

const ROOT = join(__dirname, '..');

/** Builds the product when dist is missing or older than src. */
export async function ensureBuilt(onBuild: () => void): Promise<void> {
  const builtAtMs = modifiedAtMs(join(ROOT, 'dist', 'workflow-bundle.js'));
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  if (sources.every((name) => modifiedAtMs(join(ROOT, 'src', name)) <= builtAtMs)) return;
  onBuild();
  await build();
}

function modifiedAtMs(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
