/**
 * One run of an operation's workflow: its state, its activities, and how its phases, waits and retries are shown.
 *
 * INV-9 lives here: whatever an operation waits for goes through `persist`, `waitUntil` or `showWaiting`, so that it says for
 * what, since when, and what would end the wait.
 */
import {
  ActivityFailure,
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  condition,
  continueAsNew,
  isCancellation,
  setCurrentDetails,
  sleep,
  TimeoutFailure,
  upsertMemo,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { HISTORY_EVENTS_MAX, type Timings } from '../../domain/limits';
import type { MayWriteLate } from '../../contract/move';
import type { LockGuard } from '../../contract/cluster';
import type { OperationEnd, OperationKind } from '../../domain/cluster-state';
import type { Phase, Waiting } from '../../domain/progress';
import { activityProfiles, type Profiles } from './activity-profiles';
import { nowMs } from '../clock';
import type { OperationInput } from '../../contract/messages';
import { operationIdOf } from '../../contract/ids';
import { progressDetails } from '../web-ui-details';
import { handleMessages } from './handlers';
import { newOperationState, type OperationState } from '../../contract/operation-state';
import { CLUSTER_ATTRIBUTE, PHASE_ATTRIBUTE } from '../../contract/search-attributes';

/** A write whose reply was lost is taken to have reached the shard, or not to, after this long. */
const LOST_REPLY_MS = 5_000;
/** What a step fails with whose operation is over, or was taken over. */
const WITHOUT_THE_LOCK: readonly string[] = ['NotLockHolder', 'OperationEnded'];

/**
 * What every operation begins with: its state, new or carried over from the run before; its message handlers; the scope that a
 * cancel stops. `self` is its workflow function, for the runs that follow.
 */
export function beginRun<Request>(
  kind: OperationKind,
  input: OperationInput<Request>,
  self: (input: OperationInput<Request>) => Promise<unknown>,
  options: { canBeCancelled: boolean } = { canBeCancelled: true },
): { run: OperationRun; forward: CancellationScope } {
  const state = input.carried ?? newOperationState(kind, operationIdOf(kind, input.key), nowMs());
  const forward = new CancellationScope({ cancellable: true });
  handleMessages(state, options.canBeCancelled ? forward : null);
  if (state.progress.cancelRequested) forward.cancel();
  const run = new OperationRun({
    ...input,
    state,
    continueAsNew: async () => {
      await condition(allHandlersFinished);
      return continueAsNew<typeof self>({ ...input, carried: state });
    },
  });
  return { run, forward };
}

export class OperationRun {
  /** True where what fails for longer than the patience may be given up, although ownership has flipped. */
  givesUp = false;
  readonly cluster: string;
  readonly timings: Timings;
  readonly activities: Profiles;
  readonly state: OperationState;
  private readonly searchAttributes: boolean;
  private readonly historyEventsMax: number;
  private readonly checkpointNow: () => Promise<never>;
  /** What waits now, by what it waits for. A wait of an earlier run begins anew with its step. */
  private readonly waits = new Map<string, Waiting>();

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
    this.activities = activityProfiles(options.timings, () => this.lockGuard());
    this.showLongestWait();
  }

  private lockGuard(): LockGuard | null {
    const { lockStage, progress } = this.state;
    return lockStage === null ? null : { cluster: this.cluster, operationId: progress.operationId, stage: lockStage };
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
   * its undo follows. After the flip, and with `forever`, there is no giving up: the step is tried until it succeeds.
   */
  async persist<T>(what: string, step: () => Promise<T>, patience: 'limited' | 'forever' = 'limited'): Promise<T> {
    let sinceMs: number | null = null;
    let pauseMs = this.timings.retryFirstMs;
    for (;;) {
      try {
        const result = await step();
        this.endWaiting(what);
        return result;
      } catch (error) {
        if (!(error instanceof ActivityFailure)) throw error;
        const failure = describeFailure(error, this.timings);
        this.expectLateWrites(failure.lateWritesUntilMs);
        if (isCancellation(error)) throw error;
        sinceMs ??= nowMs();
        this.state.progress.failedAttempts += 1;
        const hasFlipped = this.state.progress.pointOfNoReturnPassed;
        // Without the lock nothing has flipped and nothing can: that ends it on either side of the flip.
        const hopeless = !failure.waitingHelps && (!hasFlipped || WITHOUT_THE_LOCK.includes(failure.type));
        if (hopeless) throw ApplicationFailure.nonRetryable(failure.message, failure.type);
        const failedForMs = nowMs() - sinceMs;
        const mayGiveUp = patience === 'limited' && (!hasFlipped || this.givesUp);
        if (mayGiveUp && failedForMs > this.timings.patienceMs) {
          throw ApplicationFailure.nonRetryable(
            `${what} failed for ${seconds(failedForMs)}, longer than this operation waits for it: ${failure.message}`,
            'PatienceExhausted',
          );
        }
        this.showWaiting(what, {
          reason: `${what}: ${failure.message}`,
          endsWhen: failure.waitingHelps
            ? 'the next try succeeds'
            : 'a person has mended what the message names; it is tried again by itself',
          sinceMs,
        });
        await sleep(pauseMs);
        pauseMs = Math.min(pauseMs * 2, this.timings.retryMaxMs);
        // Behind the flip nothing else is under way, and a wait may last for days.
        if (hasFlipped) await this.checkpoint();
      }
    }
  }

  /** One part of several that are all tried: what fails is said in `left`. Returns whether it succeeded. */
  async part(left: string[], what: string, work: () => Promise<unknown>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      const inner = error instanceof ActivityFailure && error.cause !== undefined ? error.cause : error;
      left.push(`${what}: ${inner instanceof Error ? inner.message : 'unknown failure'}`);
      return false;
    }
  }

  /** Waits for a moment, and says so. */
  async waitUntil(momentMs: number, reason: string): Promise<void> {
    const remainingMs = momentMs - nowMs();
    if (remainingMs <= 0) return;
    this.showWaiting(reason, { reason, endsWhen: `${new Date(momentMs).toISOString()} has passed`, sinceMs: nowMs() });
    await sleep(remainingMs);
    this.endWaiting(reason);
  }

  /** Several lanes may wait at once, each for something of its own (`what`): the longest wait is shown. */
  showWaiting(what: string, waiting: Waiting): void {
    this.waits.set(what, waiting);
    this.showLongestWait();
  }

  endWaiting(what: string): void {
    if (this.waits.delete(what)) this.showLongestWait();
  }

  private showLongestWait(): void {
    const [longest] = [...this.waits.values()].sort((a, b) => a.sinceMs - b.sinceMs);
    this.state.progress.waiting = longest ?? null;
    this.show();
  }

  /** A write that may still be under way must be over before a pass may allow the flip, and before the lock is given back. */
  expectLateWrites(untilMs: number): void {
    if (untilMs > this.state.lateWritesUntilMs) this.state.lateWritesUntilMs = untilMs;
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
    this.waits.clear();
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
  if (cause instanceof CancelledFailure) {
    return {
      type: 'Cancelled',
      message: 'cancelled',
      waitingHelps: false,
      lateWritesUntilMs: toldLateWrites(cause) ?? 0,
    };
  }
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
  return toldLateWrites(failure) ?? (failure.nonRetryable === true ? 0 : nowMs() + LOST_REPLY_MS);
}

/** What the attempt itself said in its details, null when it said nothing. */
function toldLateWrites(failure: ApplicationFailure | CancelledFailure): number | null {
  const detail = failure.details?.[0] as Partial<MayWriteLate> | null | undefined;
  return detail?.lateWritesUntilMs ?? null;
}

export function cancelled(): CancelledFailure {
  return new CancelledFailure('the operation was cancelled');
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}
