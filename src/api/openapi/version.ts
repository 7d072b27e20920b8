import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

/** Of this program, as its package.json has it. It lies as far above `dist` as above `src`. */
export function ownVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(join(__dirname, '../../../package.json'), 'utf8'));
  return z.object({ version: z.string() }).parse(manifest).version;
}
