/** One grow by our coordinator, timed by its own record. */
import { operationViewSchema, type OperationView } from '../src/wire/coordinator-api';
import { waitFor } from '../test/support/wait-for';
import { call, countPoints, type Bed } from './bed';
import type { CoordinatorRun } from './coordinator-run';

const GROW_TIMEOUT_MS = 300_000;

export interface GrowTimes {
  /** From the REST call to its answer. */
  readonly answerMs: number;
  readonly copyMs: number;
  /** From the announced map to the flipped one. */
  readonly announceToFlipMs: number;
  readonly dropMs: number;
  readonly totalMs: number;
  readonly moved: number;
  /** All phases in ms, for the curious. */
  readonly phases: Readonly<Record<string, number>>;
}

/** Starts a grow onto a fresh shard, waits for its end, and checks that the points are where they belong. */
export async function timeGrow(
  bed: Bed,
  coordinator: CoordinatorRun,
  donorUrls: readonly string[],
  joinerUrl: string,
): Promise<GrowTimes> {
  const before = await total(donorUrls);
  const startedMs = performance.now();
  await call('POST', `${coordinator.url}/cluster/shards/grow`, JSON.stringify({ primary_url: joinerUrl }));
  const answerMs = performance.now() - startedMs;
  const operation = await waitFor('the grow has ended', () => endedOperation(coordinator.url), GROW_TIMEOUT_MS);
  const totalMs = performance.now() - startedMs;
  if (operation.status !== 'succeeded') {
    throw new Error(
      `the grow ${operation.status}: ${operation.outcome?.message ?? ''}; ${await coordinator.logTails()}`,
    );
  }
  const joined = await countPoints(joinerUrl);
  const after = await total([...donorUrls, joinerUrl]);
  const moved = operation.outcome?.points_moved ?? 0;
  if (after !== before || joined !== moved || moved === 0) {
    throw new Error(`expected ${before} points in all and ${moved} on the joiner, found ${after} and ${joined}`);
  }
  const phases = Object.fromEntries(operation.phases.map((phase) => [phase.phase, spanMs(phase)]));
  bed.say(
    `  ${Object.entries(phases)
      .map(([name, span]) => `${name} ${span}`)
      .join(' · ')} ms`,
  );
  return {
    answerMs,
    copyMs: phases['copy'] ?? NaN,
    announceToFlipMs: endOf(operation, 'promote') - endOf(operation, 'announce'),
    dropMs: phases['drop'] ?? NaN,
    totalMs,
    moved,
    phases,
  };
}

async function endedOperation(url: string): Promise<OperationView | null> {
  const { operations } = (await call('GET', `${url}/cluster/operations`)) as { operations: readonly { id: string }[] };
  const id = operations[0]?.id;
  if (id === undefined) return null;
  const operation = operationViewSchema.parse(await call('GET', `${url}/cluster/operations/${id}`));
  return operation.status === 'running' ? null : operation;
}

async function total(urls: readonly string[]): Promise<number> {
  const counts = await Promise.all(urls.map(countPoints));
  return counts.reduce((sum, count) => sum + count, 0);
}

type PhaseView = OperationView['phases'][number];

const spanMs = (phase: PhaseView): number => Date.parse(phase.ended_at ?? '') - Date.parse(phase.started_at);

function endOf(operation: OperationView, name: string): number {
  const phase = operation.phases.find((each) => each.phase === name);
  return Date.parse(phase?.ended_at ?? '');
}
