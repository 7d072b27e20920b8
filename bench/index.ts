/**
 * `npm run bench`: measures against the real thing, on this machine, in this run, and prints each figure with its goal. See USAGE for what
 * can be chosen. Ends with exit code 1 when a goal is not met.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { cpus, loadavg } from 'node:os';
import { format, resolveConfig } from 'prettier';
import { ensureBuilt } from '../demo/build';
import { Bed } from './bed';
import { measureClients } from './clients';
import { measureCopy } from './copy';
import { asLine, replaceFigures, type Figure } from './figures';
import { measureLatency } from './latency';
import { measureMap } from './map';
import { measureMemory } from './memory';
import { readOptions, USAGE, type BenchOptions, type PartName } from './options';
import { measureOwn } from './own';
import { measureReads } from './reads';
import { measureSize } from './size';

const MEASUREMENTS: Readonly<Record<PartName, (bed: Bed, options: BenchOptions) => Promise<readonly Figure[]>>> = {
  copy: measureCopy,
  own: measureOwn,
  clients: measureClients,
  map: measureMap,
  reads: measureReads,
  latency: measureLatency,
  memory: measureMemory,
  size: measureSize,
};

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (options === null) {
    console.error(USAGE);
    return 2;
  }
  const startedMs = performance.now();
  const say = (line: string): void => console.log(`[${Math.round((performance.now() - startedMs) / 1_000)} s] ${line}`);
  await ensureBuilt(() => say('building the coordinator'));
  const machine = machineText();
  const bed = await Bed.make(say);
  endOnSignals(bed);
  const figures: Figure[] = [];
  try {
    for (const part of options.parts) {
      const measured = await MEASUREMENTS[part](bed, options);
      for (const figure of measured) say(asLine(figure));
      figures.push(...measured);
      // After each part, because a later one may fail after hours.
      await write(options, figures, machine);
      await bed.end();
    }
  } finally {
    await bed.remove();
  }
  console.log(`\n${machine}\n${figures.map(asLine).join('\n')}`);
  return figures.some(({ isMet }) => isMet === false) ? 1 : 0;
}

function machineText(): string {
  const [cpu] = cpus();
  const date = new Date().toISOString().slice(0, 10);
  const load = (loadavg()[0] ?? 0).toFixed(1);
  return `${date}, ${cpus().length} cores (${cpu?.model.trim() ?? 'unknown'}), Node ${process.versions.node}, load ${load} before the run.`;
}

async function write({ out, json }: BenchOptions, figures: readonly Figure[], machine: string): Promise<void> {
  if (json !== null) await writeFile(json, `${JSON.stringify({ machine, figures }, null, 2)}\n`);
  if (out === null) return;
  const text = replaceFigures(await readFile(out, 'utf8'), figures, machine);
  await writeFile(out, await format(text, { ...(await resolveConfig(out)), parser: 'markdown' }));
}

/** Children are ended and the folder is removed, in order; a second signal ends at once. */
function endOnSignals(bed: Bed): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void bed.remove().finally(() => process.exit(130)));
  }
}

// Every child process listens for the exit of this one.
process.setMaxListeners(100);

main().then(
  (exitCode) => process.exit(exitCode),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
