/**
 * `npm run bench [-- --only move,answer,memory,map] [-- --out FILE]`: measures against the real thing, on this machine, in this run, and prints each
 * figure with its limit. With `--out` the table goes into a file too, as Markdown. Ends with exit code 1 when a limit is not met.
 */
import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { format, resolveConfig } from 'prettier';
import { build } from '../scripts/build';
import { measureAnswer } from './answer';
import { Bed } from './bed';
import { asMarkdown, asText, type Figure } from './figures';
import { measureMapReads } from './map-reads';
import { measureMemory } from './memory';
import { measureMove } from './move';

const PARTS: Readonly<Record<string, (bed: Bed) => Promise<readonly Figure[]>>> = {
  move: measureMove,
  answer: measureAnswer,
  memory: measureMemory,
  map: measureMapReads,
};

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { only: { type: 'string' }, out: { type: 'string' } } });
  const names = values.only?.split(',') ?? Object.keys(PARTS);
  const unknown = names.find((name) => PARTS[name] === undefined);
  if (unknown !== undefined) {
    console.error(`--only ${unknown}: expected one or several of ${Object.keys(PARTS).join(',')}`);
    return 2;
  }
  const startedMs = performance.now();
  const say = (line: string): void => {
    console.log(`[${Math.round((performance.now() - startedMs) / 1_000)} s] ${line}`);
  };
  say('building the coordinator');
  await build();
  const bed = await Bed.make(say);
  const figures: Figure[] = [];
  try {
    for (const name of names) figures.push(...((await PARTS[name]?.(bed)) ?? []));
  } finally {
    await bed.remove();
  }
  const [cpu] = cpus();
  const date = new Date().toISOString().slice(0, 10);
  const machine = `${date}, ${cpus().length} cores (${cpu?.model.trim() ?? 'unknown'}), Node ${process.versions.node}.`;
  console.log(`\n${asText(figures)}\n\n${machine}`);
  if (values.out !== undefined) await writeDocument(values.out, asMarkdown(figures, machine));
  return figures.some((figure) => figure.verdict === 'not met') ? 1 : 0;
}

/** In the form that the check of the formatting wants. */
async function writeDocument(path: string, text: string): Promise<void> {
  await writeFile(path, await format(text, { ...(await resolveConfig(path)), parser: 'markdown' }));
}

// Every child process listens for the exit of this one.
process.setMaxListeners(50);
// Children are killed and folders removed as this process exits, which a signal alone does not count as.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

main().then(
  (exitCode) => process.exit(exitCode),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
