/** How much memory the process that moves the rows takes, at the largest size of real shards and beyond it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { NO_WAITS, type Bed } from './bed';
import { mib, ms, rowsText, type Figure } from './figures';
import type { GeneratedShards } from './generated-shards';
import { growAndCheck, type Grown } from './grow-run';
import type { BenchOptions } from './options';
import { DIMENSIONS } from './rows';
import { growOfSize } from './sized-grow';

const PEAK_BYTES_MAX = 350 * 1024 ** 2;

export async function measureMemory(bed: Bed, { sizes, generatedRows }: BenchOptions): Promise<Figure[]> {
  const largest = sizes[sizes.length - 1];
  const figures: Figure[] = [];
  if (largest !== undefined) {
    const { peakBytes, grown } = await growOfSize(bed, largest);
    figures.push(peakFigure({ rows: largest, from: 'Quiver', peakBytes, grown }));
  }
  if (generatedRows > 0) figures.push(await generatedFigure(bed, generatedRows));
  return figures;
}

async function generatedFigure(bed: Bed, rows: number): Promise<Figure> {
  bed.say(`memory: ${rowsText(rows)} rows from a generator`);
  const { child, shards } = await startGenerated(rows);
  try {
    const coordinator = await bed.startCoordinator({ shardUrls: shards.donorUrls, env: NO_WAITS });
    const donors = shards.donorUrls.map((url) => ({ url }));
    const grown = await growAndCheck(bed, { coordinator, donors, joiner: { url: shards.joinerUrl } });
    return peakFigure({ rows, from: 'a generator', peakBytes: await coordinator.peakBytes(), grown });
  } finally {
    child.kill('SIGKILL');
  }
}

async function startGenerated(rows: number): Promise<{ child: ChildProcess; shards: GeneratedShards }> {
  const args = [...process.execArgv, join(__dirname, 'generated-shards.ts'), String(rows)];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  process.once('exit', () => child.kill('SIGKILL'));
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return { child, shards: JSON.parse(line) as GeneratedShards };
}

function peakFigure(of: { rows: number; from: string; peakBytes: number; grown: Grown }): Figure {
  const { rows, from, peakBytes, grown } = of;
  return {
    what: `memory of \`serve\` over a grow of ${rowsText(rows)} rows × ${DIMENSIONS} from ${from}`,
    measured: `${mib(peakBytes)} at most`,
    goal: `≤ ${mib(PEAK_BYTES_MAX)}`,
    isMet: peakBytes <= PEAK_BYTES_MAX,
    how:
      `Peak resident memory (VmHWM) of the process, which is API and worker, from its start to the end of the grow, which took ` +
      `${ms(grown.wholeMs)} and moved ${rowsText(grown.moved)} rows. Temporal is another process.` +
      (from === 'Quiver' ? '' : ' Shards of our own serve `Replicate` from a generator and keep one bit of each row.'),
    values: { rows, peakBytes, moved: grown.moved, wholeMs: grown.wholeMs, ...grown.phases },
  };
}
