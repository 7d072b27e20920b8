import { CancelledFailure, Context } from '@temporalio/activity';
import type { Logger } from 'pino';
import { Attempt, type Clock, type RenewLease } from './attempt';
import type { StepProgress } from '../../domain/progress';
import type { WorkLimits } from '../../domain/work-limits';
import type { LockGuard } from '../../contract/cluster';
import { activityFailure, type FailureDetails } from './failures';
import type { FindRouters } from './find-routers';
import type { ConfirmLock } from './lock-guard';
import type { ShardDirectory } from './shard-directory';

/** What every activity body is given. */
export interface ActivityScope {
  readonly attempt: Attempt;
  readonly shards: ShardDirectory;
  /** The routers of a list, just now. Names are resolved at each call. */
  readonly findRouters: FindRouters;
  /** Null where nobody is to be told. */
  readonly tellStep: ((step: StepProgress) => void) | null;
  /** What the step may take of its operation's limits by now; null where nobody can be asked. */
  readonly readLimits: (() => Promise<WorkLimits | null>) | null;
}

export interface ActivityRuntime {
  readonly shards: ShardDirectory;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly confirmLock: ConfirmLock;
  readonly findRouters: FindRouters;
  readonly renewLease?: RenewLease;
  readonly tellStep?: TellStep;
  readonly readLimits?: ReadStepLimits;
}

/** Asks the workflow that waits for a step. Null: it did not answer. */
export type ReadStepLimits = (workflow: { workflowId: string; runId: string }) => Promise<WorkLimits | null>;

/** Tells the workflow that waits for a step how far it has come. Nothing depends on it. */
export type TellStep = (workflow: { workflowId: string; runId: string }, step: StepProgress) => void;

/**
 * Makes an activity of a body. It confirms the lock when the input has a guard, heartbeats while the body runs, and
 * translates whatever the body throws.
 */
export function activity<I, R>(
  runtime: ActivityRuntime,
  body: (scope: ActivityScope, input: I) => Promise<R>,
): (input: I) => Promise<R> {
  return async (input) => {
    const context = Context.current();
    const attempt = new Attempt(context, runtime.clock, runtime.renewLease ?? null);
    attempt.startHeartbeats();
    try {
      const { guard } = input as { readonly guard?: LockGuard | null };
      if (guard != null) await runtime.confirmLock(guard);
      const workflow = context.info.workflowExecution;
      const { tellStep, shards, findRouters } = runtime;
      const tell =
        tellStep === undefined || workflow === undefined ? null : (step: StepProgress) => tellStep(workflow, step);
      const { readLimits } = runtime;
      const read = readLimits === undefined || workflow === undefined ? null : () => readLimits(workflow);
      const scope = { attempt, shards, findRouters, tellStep: tell, readLimits: read };
      return withToldTime(await body(scope, input), attempt);
    } catch (error) {
      attempt.heartbeatEnd();
      const details: FailureDetails = { lateWritesUntilMs: attempt.lateWritesUntilMs, told: attempt.told };
      if (context.cancellationSignal.aborted) throw cancelledFailure(context.cancellationSignal, details);
      if (attempt.signal.aborted) throw cancelledFailure(attempt.signal, details);
      const failure = activityFailure(error, details);
      const { activityType, activityId, attempt: number } = context.info;
      runtime.logger.warn({ activityType, activityId, attempt: number, reason: failure.message }, 'activity failed');
      throw failure;
    } finally {
      attempt.stopHeartbeats();
    }
  };
}

/** See MayWriteLate: of an activity that writes to shards. */
function withToldTime<R>(result: R, { told }: Attempt): R {
  if (typeof result !== 'object' || result === null || !('lateWritesUntilMs' in result)) return result;
  return { ...result, told };
}

/** A cancelled request throws anything. Temporal's own failure says why it was cancelled. */
function cancelledFailure(signal: AbortSignal, details: FailureDetails): CancelledFailure {
  const why: unknown = signal.reason;
  return new CancelledFailure(why instanceof Error ? why.message : undefined, [details]);
}
