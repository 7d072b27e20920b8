/** How many routers one API process can answer. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { z } from 'zod';
import type { Bed } from './bed';
import { KEY } from './coordinator-run';
import { judge, type Figure } from './figures';

const CONNECTIONS = 64;
const WARM_UP_MS = 2_000;
const MEASURED_MS = 10_000;
const READS_PER_SECOND_MIN = 5_000;
const P99_MS_MAX = 50;

const loadSchema = z.object({
  reads: z.number(),
  readsPerSecond: z.number(),
  errors: z.number(),
  stale: z.number(),
  p50Ms: z.number(),
  p99Ms: z.number(),
  maxMs: z.number(),
  cpuMs: z.number(),
});

export async function measureMapReads(bed: Bed): Promise<readonly Figure[]> {
  bed.say(`map reads: ${CONNECTIONS} connections for ${MEASURED_MS / 1_000} s`);
  const coordinator = await bed.startCoordinator(['http://127.0.0.1:1', 'http://127.0.0.1:2'], {});
  try {
    const load = await generateLoad(`${coordinator.url}/cluster/map`);
    bed.say(`  ${JSON.stringify(load)}`);
    const { readsPerSecond, errors, stale, p50Ms, p99Ms, maxMs } = load;
    const hasFailed = errors > 0 || stale > 0;
    const how =
      `${CONNECTIONS} keep-alive connections for ${MEASURED_MS / 1_000} s after ${WARM_UP_MS / 1_000} s of warm-up, each sending its next ` +
      'request when it has the whole answer, from a generator in its own process on plain sockets. One `api` process; the `worker`, ' +
      `Temporal and the generator share the machine's cores with it. Errors ${errors}, stale answers ${stale}.`;
    return [
      {
        what: 'map reads on one API process',
        limit: `≥ ${READS_PER_SECOND_MIN.toLocaleString('en')}/s`,
        measured: `${Math.round(readsPerSecond).toLocaleString('en')}/s`,
        ratio: readsPerSecond / READS_PER_SECOND_MIN,
        verdict: judge(!hasFailed && readsPerSecond >= READS_PER_SECOND_MIN),
        how,
      },
      {
        what: 'map reads, 99th percentile',
        limit: `≤ ${P99_MS_MAX} ms`,
        measured: `${p99Ms.toFixed(1)} ms (median ${p50Ms.toFixed(1)}, longest ${maxMs.toFixed(1)})`,
        ratio: p99Ms / P99_MS_MAX,
        verdict: judge(!hasFailed && p99Ms <= P99_MS_MAX),
        how: 'The same run.',
      },
    ];
  } finally {
    await coordinator.stop();
  }
}

async function generateLoad(url: string): Promise<z.infer<typeof loadSchema>> {
  const args = [join(__dirname, 'load-generator.cjs'), url, KEY, CONNECTIONS, WARM_UP_MS, MEASURED_MS].map(String);
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  if (code !== 0) throw new Error(`the load generator ended with exit code ${code}`);
  return loadSchema.parse(JSON.parse(output));
}
