/** How an operation repeats a step that fails. Temporal has retried a blip before; what comes here lasts, and has a reason. */
import { ActivityFailure, ApplicationFailure, isCancellation, sleep } from '@temporalio/workflow';
import type { OperationState } from '../../contract/operation-state';
import type { CoordinatorActivities } from '../../contract/activities';
import type { AskedToWait } from '../../contract/move';
import { ASKED_PAUSE_MAX_MS, type Timings } from '../../domain/limits';
import { nowMs } from '../clock';
import { showAsked } from '../holds/slowed';
import { describeFailure, type StepFailure } from './step-failure';
import type { Waits } from './waits';

/** A step fails with one of these when its operation is over, or was taken over. */
const WITHOUT_THE_LOCK: readonly string[] = ['NotLockHolder', 'OperationEnded'];

/** What fails with the cluster workflow alone knows no shard. */
const TRANSITION: keyof CoordinatorActivities = 'changeCluster';

/** `forever`: the step depends on the cluster workflow alone, and is tried until it succeeds. */
export type Patience = 'limited' | 'forever';

/** What a retry needs of the run that it belongs to. */
export interface Retrying {
  readonly state: OperationState;
  readonly timings: Timings;
  readonly waits: Waits;
  /** True in a row after the flip that may be abandoned with its leaver. */
  readonly canAbandonLeaver: boolean;
  checkpoint(): Promise<void>;
  /** Where a person has given a shard another address meanwhile, the next try goes there. */
  renewAddresses(): Promise<void>;
  checkpointOnceAnnounced(): Promise<void>;
}

/**
 * Runs a step until it succeeds, and shows the reason while it waits.
 * Before the flip a step ends the operation when only a person can help, or when it fails for longer than `patienceMs`; the undo follows.
 * After the flip, and with `forever`, the step is tried until it succeeds.
 */
export async function persist<T>(
  retrying: Retrying,
  what: string,
  step: () => Promise<T>,
  patience: Patience,
): Promise<T> {
  const { timings, waits, state } = retrying;
  let sinceMs: number | null = null;
  let pauseMs = timings.retryFirstMs;
  for (;;) {
    try {
      const result = await step();
      waits.end(what);
      return result;
    } catch (error) {
      if (!(error instanceof ActivityFailure)) throw error;
      const failure = describeFailure(error, timings);
      waits.expectLateWrites(failure.lateWritesUntilMs);
      waits.noteClock(failure.told);
      if (isCancellation(error)) throw error;
      sinceMs ??= nowMs();
      state.progress.failedAttempts += 1;
      const end = endOf(retrying, { what, failure, patience, sinceMs });
      if (end !== null) {
        waits.end(what);
        throw end;
      }
      const { askedToWait } = failure;
      const untilNextMs = Math.max(pauseMs, Math.min(askedToWait?.forMs ?? 0, ASKED_PAUSE_MAX_MS));
      waits.beginFailing(what, {
        reason: `${what}: ${failure.message}${askedToWait === null ? '' : askedFor(askedToWait)}`,
        endsWhen: endsWhen(failure, nowMs() + untilNextMs),
        sinceMs,
      });
      const endAsked = askedToWait === null ? () => undefined : showAsked(state, askedToWait);
      try {
        await sleep(untilNextMs);
      } catch (cancelled) {
        waits.end(what);
        throw cancelled;
      } finally {
        endAsked();
      }
      if (error.activityType !== TRANSITION) await retrying.renewAddresses();
      pauseMs = Math.min(pauseMs * 2, timings.retryMaxMs);
      // After the flip and in an undo nothing else is under way, and a wait may last for days.
      if (state.progress.pointOfNoReturnPassed) await retrying.checkpoint();
      else if (state.undoing !== null) await retrying.checkpointOnceAnnounced();
    }
  }
}

function askedFor({ shardUrl, forMs }: AskedToWait): string {
  return `; the shard at ${shardUrl} asked for a pause of ${Math.ceil(forMs / 1000)} s`;
}

function endsWhen({ waitingHelps, askedToWait }: StepFailure, nextTryAtMs: number): string {
  if (!waitingHelps) return 'a person has repaired what the message names; the step is then tried again';
  if (askedToWait === null) return 'the next try succeeds';
  return `${new Date(nextTryAtMs).toISOString()} has passed and the shard takes the next try`;
}

interface Failed {
  readonly what: string;
  readonly failure: StepFailure;
  readonly patience: Patience;
  readonly sinceMs: number;
}

/** What the step ends with, or null when it is tried again. */
function endOf(retrying: Retrying, failed: Failed): ApplicationFailure | null {
  const { failure } = failed;
  if (isHopeless(retrying, failure)) return ApplicationFailure.nonRetryable(failure.message, failure.type);
  return patienceExhausted(retrying, failed);
}

/** Without the lock nothing has flipped and nothing can: that ends it on either side of the flip. */
function isHopeless({ state }: Retrying, failure: StepFailure): boolean {
  if (failure.waitingHelps) return false;
  return !state.progress.pointOfNoReturnPassed || WITHOUT_THE_LOCK.includes(failure.type);
}

function patienceExhausted(
  { state, timings, canAbandonLeaver }: Retrying,
  { what, failure, patience, sinceMs }: Failed,
): ApplicationFailure | null {
  const isBounded = patience === 'limited' && (!state.progress.pointOfNoReturnPassed || canAbandonLeaver);
  const failedForMs = nowMs() - sinceMs;
  if (!isBounded || failedForMs <= timings.patienceMs) return null;
  return ApplicationFailure.nonRetryable(
    `${what} failed for ${Math.round(failedForMs / 1000)} s, longer than this operation waits for it: ${failure.message}`,
    'PatienceExhausted',
  );
}
