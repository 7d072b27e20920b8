/**
 * One run of an operation's workflow: its state, its activities, and how its phases, waits and retries are shown.
 *
 * INV-9 lives here: whatever an operation waits for goes through `persist`, `waitUntil` or `showWaiting`, so that it says for
 * what, since when, and what would end the wait.
 */
import {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  isCancellation,
  setCurrentDetails,
  sleep,
  TimeoutFailure,
  upsertMemo,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { HISTORY_EVENTS_MAX, type Timings } from '../domain/limits';
import type { MayWriteLate } from '../activities/contract';
import type { OperationEnd } from '../domain/cluster-state';
import type { Phase } from '../domain/progress';
import { activityProfiles, type Profiles } from './activity-profiles';
import { nowMs } from './clock';
import { progressDetails } from './operation-details';
import type { OperationState } from './operation-state';
import { CLUSTER_ATTRIBUTE, PHASE_ATTRIBUTE } from './search-attributes';

/** A write whose reply was lost is taken to have reached the shard, or not to, after this long. */
const LOST_REPLY_MS = 5_000;

export class OperationRun {
  readonly cluster: string;
  readonly timings: Timings;
  readonly activities: Profiles;
  readonly state: OperationState;
  private readonly searchAttributes: boolean;
  private readonly historyEventsMax: number;
  private readonly checkpointNow: () => Promise<never>;

  constructor(options: {
    cluster: string;
    timings: Timings;
    searchAttributes: boolean;
    state: OperationState;
    historyEventsMax?: number;
    /** Continues as new with the state as it is. */
    continueAsNew: () => Promise<never>;
  }) {
    this.cluster = options.cluster;
    this.timings = options.timings;
    this.state = options.state;
    this.searchAttributes = options.searchAttributes;
    this.historyEventsMax = options.historyEventsMax ?? HISTORY_EVENTS_MAX;
    this.checkpointNow = options.continueAsNew;
    this.activities = activityProfiles(options.timings);
    this.show();
  }

  /** Runs one phase, unless an earlier run of this workflow has completed it. */
  async phase(phase: Phase, next: string, work: () => Promise<string>): Promise<void> {
    if (this.state.completed.includes(phase)) return;
    const { progress } = this.state;
    if (progress.phases.at(-1)?.phase !== phase) {
      progress.phases = [...progress.phases, { phase, startedAtMs: nowMs(), endedAtMs: null, note: '' }];
      progress.phase = phase;
      progress.next = next;
      progress.ratePerSecond = 0;
      progress.etaSeconds = null;
      this.milestone(`${phase} since ${new Date(nowMs()).toISOString()}`);
      this.show();
    }
    const note = await work();
    this.endPhase(note);
    this.state.completed.push(phase);
    this.show();
  }

  /** Closes the phase that runs, if one does. */
  endPhase(note: string): void {
    const { progress } = this.state;
    progress.phases = progress.phases.map((each) =>
      each.endedAtMs === null ? { ...each, endedAtMs: nowMs(), note } : each,
    );
  }

  /**
   * Runs a step until it succeeds. Temporal has retried a blip already; what fails here has a reason, which is shown.
   * Before the flip a step that only a person can mend, or that fails for longer than `patienceMs`, ends the operation, and
   * its undo follows. After the flip there is only forward: the step is tried until it succeeds.
   */
  async persist<T>(what: string, step: () => Promise<T>): Promise<T> {
    let sinceMs: number | null = null;
    let pauseMs = this.timings.retryFirstMs;
    for (;;) {
      try {
        const result = await step();
        this.endWaiting();
        return result;
      } catch (error) {
        if (isCancellation(error) || !(error instanceof ActivityFailure)) throw error;
        const failure = describeFailure(error, this.timings);
        sinceMs ??= nowMs();
        this.state.progress.failedAttempts += 1;
        this.expectLateWrites(failure.lateWritesUntilMs);
        const forwardOnly = this.state.progress.pointOfNoReturnPassed;
        // Without the lock nothing has flipped and nothing can: that ends it on either side of the flip.
        const hopeless = !failure.waitingHelps && (!forwardOnly || failure.type === 'NotLockHolder');
        if (hopeless) throw ApplicationFailure.nonRetryable(failure.message, failure.type);
        if (!forwardOnly && nowMs() - sinceMs > this.timings.patienceMs) {
          throw ApplicationFailure.nonRetryable(
            `${what} failed for ${seconds(nowMs() - sinceMs)}, longer than this operation waits before the flip: ${failure.message}`,
            'PatienceExhausted',
          );
        }
        this.showWaiting(
          `${what}: ${failure.message}`,
          failure.waitingHelps
            ? 'the next try succeeds'
            : 'a person has mended what the message names; it is tried again by itself',
          sinceMs,
        );
        await sleep(pauseMs);
        pauseMs = Math.min(pauseMs * 2, this.timings.retryMaxMs);
      }
    }
  }

  /** Waits for a moment, and says so. */
  async waitUntil(momentMs: number, reason: string): Promise<void> {
    const remainingMs = momentMs - nowMs();
    if (remainingMs <= 0) return;
    this.showWaiting(reason, `${new Date(momentMs).toISOString()} has passed`);
    await sleep(remainingMs);
    this.endWaiting();
  }

  showWaiting(reason: string, endsWhen: string, sinceMs?: number): void {
    const { progress } = this.state;
    progress.waiting = { reason, endsWhen, sinceMs: sinceMs ?? progress.waiting?.sinceMs ?? nowMs() };
    this.show();
  }

  endWaiting(): void {
    this.state.progress.waiting = null;
    this.show();
  }

  /** A write that may still be under way must be over before a pass may allow the flip, and before the lock is given back. */
  expectLateWrites(untilMs: number): void {
    this.state.lateWritesUntilMs = Math.max(this.state.lateWritesUntilMs, untilMs);
  }

  async waitForLateWrites(): Promise<void> {
    await this.waitUntil(this.state.lateWritesUntilMs, 'an earlier attempt of a step may still be writing to a shard');
  }

  countPoints(points: number, bytes: number): void {
    const { progress } = this.state;
    progress.pointsDone += points;
    progress.bytesDone += bytes;
    this.show();
  }

  /** Sets rate and ETA from how much of a phase's work is done. */
  pace(done: number, expected: number, pointsInPhase: number): void {
    const { progress } = this.state;
    const started = progress.phases.at(-1)?.startedAtMs ?? nowMs();
    const elapsedSeconds = Math.max(nowMs() - started, 1) / 1000;
    progress.ratePerSecond = Math.round(pointsInPhase / elapsedSeconds);
    progress.etaSeconds = done > 0 ? Math.ceil((elapsedSeconds / done) * Math.max(expected - done, 0)) : null;
    this.show();
  }

  historyIsLong(): boolean {
    const info = workflowInfo();
    return info.continueAsNewSuggested || info.historyLength > this.historyEventsMax;
  }

  /** To be called where no activity is under way: continues as new when the history has become long. */
  async checkpoint(): Promise<void> {
    if (this.historyIsLong()) await this.checkpointNow();
  }

  end(end: OperationEnd): void {
    const { progress } = this.state;
    progress.status = end;
    progress.endedAtMs = nowMs();
    progress.waiting = null;
    progress.next = 'nothing: it has ended';
    progress.ratePerSecond = 0;
    progress.etaSeconds = null;
    this.milestone(end);
    this.show();
  }

  show(): void {
    this.state.progress.updatedAtMs = nowMs();
    setCurrentDetails(progressDetails(this.state.progress));
  }

  private milestone(text: string): void {
    upsertMemo({ milestone: text });
    if (!this.searchAttributes) return;
    upsertSearchAttributes([
      { key: CLUSTER_ATTRIBUTE, value: this.cluster },
      { key: PHASE_ATTRIBUTE, value: this.state.progress.phase },
    ]);
  }
}

export interface StepFailure {
  readonly type: string;
  readonly message: string;
  readonly waitingHelps: boolean;
  /** Until when a write of this attempt, or of one before it, may still reach a shard. 0: none can. */
  readonly lateWritesUntilMs: number;
}

/**
 * What failed, for people and for the next decision. An attempt that Temporal gave up may be alive and writing until its own
 * deadline; one that failed by itself says in its details what may still be under way, or has lost a reply at most.
 */
export function describeFailure(error: ActivityFailure, timings: Timings): StepFailure {
  const { cause } = error;
  if (cause instanceof ApplicationFailure) {
    return {
      type: cause.type ?? 'Unknown',
      message: cause.message,
      waitingHelps: cause.nonRetryable !== true,
      lateWritesUntilMs: lateWritesUntilMs(cause),
    };
  }
  if (cause instanceof TimeoutFailure) {
    const message = `no worker finished this step in time (${cause.timeoutType})`;
    return { type: 'TimedOut', message, waitingHelps: true, lateWritesUntilMs: nowMs() + timings.attemptMs };
  }
  return {
    type: 'Unknown',
    message: error.message,
    waitingHelps: true,
    lateWritesUntilMs: nowMs() + timings.attemptMs,
  };
}

function lateWritesUntilMs(failure: ApplicationFailure): number {
  const detail = failure.details?.[0] as Partial<MayWriteLate> | undefined;
  if (detail?.lateWritesUntilMs !== undefined) return detail.lateWritesUntilMs;
  return failure.nonRetryable === true ? 0 : nowMs() + LOST_REPLY_MS;
}

export function cancelled(): CancelledFailure {
  return new CancelledFailure('the operation was cancelled');
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}
