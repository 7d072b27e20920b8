/** Limits of operations, asked for once for all steps of an operation that run in this worker. */
import { QueryNotRegisteredError } from '@temporalio/client';
import { NO_LIMITS, type WorkLimits } from '../../domain/work-limits';
import type { ReadStepLimits } from './run-activity';

/** Shorter than the pause between two looks of a step. */
const KEPT_MS = 1_500;

export function sharedLimits(
  ask: (workflow: { workflowId: string; runId: string }) => Promise<WorkLimits>,
  nowMs: () => number = Date.now,
): ReadStepLimits {
  const kept = new Map<string, { readonly untilMs: number; readonly answer: Promise<WorkLimits | null> }>();
  return (workflow) => {
    for (const [id, { untilMs }] of kept) if (untilMs <= nowMs()) kept.delete(id);
    const known = kept.get(workflow.runId);
    if (known !== undefined) return known.answer;
    const answer = answerOf(() => ask(workflow));
    kept.set(workflow.runId, { untilMs: nowMs() + KEPT_MS, answer });
    return answer;
  };
}

async function answerOf(ask: () => Promise<WorkLimits>): Promise<WorkLimits | null> {
  try {
    return await ask();
  } catch (error) {
    // It answers this question only since something has limited it.
    return error instanceof QueryNotRegisteredError ? NO_LIMITS : null;
  }
}
