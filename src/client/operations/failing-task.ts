/**
 * A workflow whose task fails again and again makes no step and answers nobody: mostly a worker's build that cannot replay
 * its history. Only Temporal itself can tell.
 */
import type { WorkflowExecutionDescription } from '@temporalio/client';

/** The first failures may be those of a worker that is just being replaced. */
const FAILURES_MIN = 2;

export interface FailingTask {
  readonly workflowId: string;
  /** How often it has failed. */
  readonly failures: number;
  /** When it was first tried, ms since the epoch. */
  readonly sinceMs: number;
  /** What was seen. */
  readonly reason: string;
  /** What ends it, as half a sentence. */
  readonly endsWhen: string;
}

export function failingTaskOf({ workflowId, raw }: WorkflowExecutionDescription): FailingTask | null {
  const task = raw.pendingWorkflowTask;
  const failures = (task?.attempt ?? 0) - 1;
  if (failures < FAILURES_MIN) return null;
  const sinceMs = Number((task?.originalScheduledTime ?? task?.scheduledTime)?.seconds ?? 0) * 1_000;
  return {
    workflowId,
    failures,
    sinceMs,
    reason: `the task of workflow ${workflowId} has failed ${failures} times since ${new Date(sinceMs).toISOString()}, so it makes no step`,
    endsWhen:
      "a worker's build can go on with its history: see the log of the workers and the workflow's page in the Web UI, and run the build that it began with",
  };
}
