/** One grow by our coordinator, with the numbers that its own record gives. */
import { setTimeout as delay } from 'node:timers/promises';
import { operationViewSchema, type OperationView } from '../src/wire/coordinator-api';
import type { Bed, Coordinator, Shard } from './bed';
import { AnswerError, call } from './http';
import { countPoints } from './rows';

const GROW_TIMEOUT_MS = 3_600_000;
/** As often as a person's progress bar would ask: each question costs the worker and Temporal a query. */
const POLL_MS = 500;

export interface Grown {
  readonly copyMs: number;
  /** From the announced map to the flipped one. */
  readonly announceToFlipMs: number;
  /** From its start to its confirmed end. */
  readonly wholeMs: number;
  readonly moved: number;
  /** In ms. */
  readonly phases: Readonly<Record<string, number>>;
  /** By the clock of `performance.now()`. */
  readonly spans: readonly { readonly phase: string; readonly startMs: number; readonly endMs: number }[];
  readonly sources: OperationView['sources'];
}

/** The coordinator and the shards that a grow is about. */
export interface GrowParties {
  readonly coordinator: Coordinator;
  readonly donors: readonly Pick<Shard, 'url'>[];
  readonly joiner: Pick<Shard, 'url'>;
}

/** Starts a grow, waits for its end, and checks that no point is missing or left behind. */
export async function growAndCheck(bed: Bed, { coordinator, donors, joiner }: GrowParties): Promise<Grown> {
  const before = await total(donors);
  const grown = await grow(bed, coordinator, joiner);
  const after = await total([...donors, joiner]);
  const joined = await countPoints(joiner.url);
  if (after === before && joined === grown.moved && joined > 0) return grown;
  throw new Error(
    `expected ${before} points in all and ${grown.moved} on the joiner, found ${after} and ${joined}; ` +
      JSON.stringify(grown),
  );
}

/** Without a check, for clusters whose clients write. */
export async function grow(bed: Bed, coordinator: Coordinator, joiner: Pick<Shard, 'url'>): Promise<Grown> {
  await call('POST', `${coordinator.url}/cluster/shards/grow`, JSON.stringify({ primary_url: joiner.url }));
  const operation = await endedOperation(coordinator.url);
  if (operation.status !== 'succeeded') {
    throw new Error(`the grow ${operation.status}: ${operation.outcome?.message ?? ''}; ${coordinator.logTail()}`);
  }
  const grown: Grown = {
    copyMs: spanMs(operation, 'copy'),
    announceToFlipMs: endOf(operation, 'promote') - endOf(operation, 'announce'),
    wholeMs: Date.parse(operation.ended_at ?? '') - Date.parse(operation.started_at),
    moved: operation.outcome?.points_moved ?? 0,
    phases: Object.fromEntries(operation.phases.map(({ phase }) => [phase, spanMs(operation, phase)])),
    spans: operation.phases.map(({ phase, started_at, ended_at }) => ({
      phase,
      startMs: Date.parse(started_at) - performance.timeOrigin,
      endMs: Date.parse(ended_at ?? '') - performance.timeOrigin,
    })),
    sources: operation.sources,
  };
  report(bed, grown);
  return grown;
}

async function endedOperation(url: string): Promise<OperationView> {
  const untilMs = performance.now() + GROW_TIMEOUT_MS;
  for (;;) {
    await delay(POLL_MS);
    try {
      const { operations } = (await call('GET', `${url}/cluster/operations`)) as { operations: { id: string }[] };
      const [newest] = operations;
      if (newest !== undefined) {
        const view = operationViewSchema.parse(await call('GET', `${url}/cluster/operations/${newest.id}`));
        if (view.status !== 'running') return view;
      }
    } catch (error) {
      // A worker at its limit may leave a question unanswered for its 2 s.
      if (!(error instanceof AnswerError) || error.status !== 503) throw error;
    }
    if (performance.now() > untilMs) throw new Error(`the grow had not ended after ${GROW_TIMEOUT_MS / 1_000} s`);
  }
}

function report(bed: Bed, { phases, sources, wholeMs }: Grown): void {
  const spans = Object.entries(phases).map(([phase, ms]) => `${phase} ${ms}`);
  bed.say(`  grow ${wholeMs} ms: ${spans.join(' · ')}`);
  for (const { shard_id, source, scans, rows_read, rows_per_s, stops_ms } of sources) {
    const read = `${scans} scans of ${rows_read} rows, ${Math.round(rows_per_s)} rows/s`;
    bed.say(`  shard ${shard_id} by its ${source}: ${read}, stops ${stops_ms.join(' · ') || 'none'} ms`);
  }
}

async function total(shards: readonly Pick<Shard, 'url'>[]): Promise<number> {
  const counts = await Promise.all(shards.map(({ url }) => countPoints(url)));
  return counts.reduce((sum, count) => sum + count, 0);
}

function spanMs(operation: OperationView, name: string): number {
  const phase = operation.phases.find((each) => each.phase === name);
  return phase === undefined ? NaN : Date.parse(phase.ended_at ?? '') - Date.parse(phase.started_at);
}

function endOf(operation: OperationView, name: string): number {
  return Date.parse(operation.phases.find((each) => each.phase === name)?.ended_at ?? '');
}
