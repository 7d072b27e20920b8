/** `npm run check`: format, lint, types and unit tests. Needs neither Temporal nor Quiver. */
import { parseArguments } from './arguments';
import { command, conclude, jest } from './stages';
import { ROOT } from './run-command';
import type { Count } from './test-count';

const BOUND_SECONDS = 120;

/** Two at a time: each of them uses one core. */
export async function check(): Promise<readonly Count[]> {
  const [format, types] = await Promise.all([
    command('format', 'prettier', '--check', '--log-level=warn', '.').then(async (count) => [
      count,
      await command('lint', 'eslint', '--max-warnings=0', '.'),
    ]),
    command('types', 'tsc', '--noEmit').then((count) => [count]),
  ]);
  return [...format, ...types, await jest(['unit'])];
}

if (require.main === module) {
  process.chdir(ROOT);
  const { jest: options } = parseArguments(process.argv.slice(2), []);
  conclude('check', BOUND_SECONDS, async () => (options.length > 0 ? [await jest(['unit'], options)] : check()));
}
