/** One grow by our coordinator, timed by its own record. */
import { setTimeout as delay } from 'node:timers/promises';
import { operationListSchema, operationViewSchema, type OperationView } from '../src/wire/coordinator-api';
import { AnswerError, call, countPoints, type Bed } from './bed';
import type { CoordinatorRun } from './coordinator-run';

const GROW_TIMEOUT_MS = 300_000;
/** As often as a person's progress bar would ask: each question costs the worker and Temporal a query. */
const POLL_MS = 500;

export interface GrowTimes {
  /** From the REST call to its answer. */
  readonly answerMs: number;
  readonly copyMs: number;
  /** From the announced map to the flipped one. */
  readonly announceToFlipMs: number;
  readonly dropMs: number;
  /** From its start to its confirmed end. */
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
  const operation = await endedOperation(coordinator.url);
  if (operation.status !== 'succeeded') {
    throw new Error(`the grow ${operation.status}: ${operation.outcome?.message ?? ''}; ${coordinator.logTails()}`);
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
    totalMs: Date.parse(operation.ended_at ?? '') - Date.parse(operation.started_at),
    moved,
    phases,
  };
}

async function endedOperation(url: string): Promise<OperationView> {
  const untilMs = performance.now() + GROW_TIMEOUT_MS;
  for (;;) {
    await delay(POLL_MS);
    try {
      const { operations } = operationListSchema.parse(await call('GET', `${url}/cluster/operations`));
      const [newest] = operations;
      if (newest !== undefined && newest.status !== 'running') {
        return operationViewSchema.parse(await call('GET', `${url}/cluster/operations/${newest.id}`));
      }
    } catch (error) {
      // A worker at its limit may leave a question unanswered for its 2 s.
      if (!(error instanceof AnswerError) || error.status !== 503) throw error;
    }
    if (performance.now() > untilMs) throw new Error(`the grow had not ended after ${GROW_TIMEOUT_MS / 1_000} s`);
  }
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
