/** Prometheus' own checker, where the machine has one. */
import { spawnSync } from 'node:child_process';

export const hasPromtool = spawnSync('promtool', ['--version']).status === 0;
/** Says in the title why nothing ran. */
export const PROMTOOL = hasPromtool ? 'promtool' : 'promtool, which is not on this machine';

/** Null when it finds nothing wrong, else what it says. */
export function promtool(args: readonly string[], options: { input?: string; cwd?: string } = {}): string | null {
  const { status, stdout, stderr } = spawnSync('promtool', args, { encoding: 'utf8', ...options });
  return status === 0 && stderr === '' ? null : `exit code ${status}: ${stdout}${stderr}`;
}

export interface ExposedSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The samples of a page in the text format. */
export function samplesIn(page: string): ExposedSample[] {
  return page
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const match = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
      if (match === null) throw new Error(`expected a sample, got ${line}`);
      const pairs = [...(match[2] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)];
      return {
        name: match[1] ?? '',
        labels: Object.fromEntries(pairs.map(([, key = '', value = '']) => [key, value])),
        value: Number(match[3]),
      };
    });
}

/** The value of the one sample with this name and these labels; null when there is none. */
export function valueIn(page: string, name: string, labels: Readonly<Record<string, string>> = {}): number | null {
  const found = samplesIn(page).filter(
    (sample) =>
      sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
  );
  if (found.length > 1) throw new Error(`${found.length} samples of ${name} have ${JSON.stringify(labels)}`);
  return found[0]?.value ?? null;
}
