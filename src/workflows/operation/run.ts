/** One run of an operation's workflow: its state, its activities, its phases, and how all of that is shown. */
import {
  ActivityFailure,
  allHandlersFinished,
  CancellationScope,
  condition,
  ContinueAsNew,
  continueAsNew,
  patched,
  setCurrentDetails,
  upsertMemo,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { LockGuard } from '../../contract/cluster';
import { operationIdOf } from '../../contract/ids';
import { newOperationState, readCarried, type OperationState } from '../../contract/operation-state';
import type { OperationInput } from '../../contract/messages';
import { CLUSTER_ATTRIBUTE, PHASE_ATTRIBUTE } from '../../contract/search-attributes';
import { boundedText } from '../../domain/bounded-text';
import type { OperationEnd, OperationKind } from '../../domain/cluster-state';
import { HISTORY_EVENTS_MAX, type Timings } from '../../domain/limits';
import type { Phase } from '../../domain/progress';
import { nowMs } from '../clock';
import { progressDetails } from '../web-ui-details';
import { activityProfiles, type Profiles } from './activity-profiles';
import { PATCHES } from '../patches';
import { renewAddresses } from '../identity/addresses';
import { Holds } from '../holds/holds';
import { handleHolds, stepLimits } from '../holds/messages';
import { endAllSlowed } from '../holds/slowed';
import { tracePhase } from '../trace/pass-trace-on';
import { handleMessages } from './handlers';
import { persist, type Patience, type Retrying } from './retry';
import { Waits } from './waits';

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
  const state =
    input.carried === undefined
      ? newOperationState(kind, operationIdOf(kind, input.key), nowMs())
      : readCarried(input.carried);
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
  handleHolds(state, run.holds, () => run.stepsUnderWay);
  return { run, forward };
}

export class OperationRun implements Retrying {
  readonly cluster: string;
  readonly timings: Timings;
  readonly activities: Profiles;
  readonly state: OperationState;
  readonly waits: Waits;
  readonly holds: Holds;
  /** Steps that read or write rows. */
  stepsUnderWay = 0;
  private isLeaverDispensable = false;
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
    this.activities = activityProfiles(
      options.timings,
      () => this.lockGuard(),
      () => stepLimits(this.state, this.stepsUnderWay),
    );
    this.waits = new Waits(options.state, options.timings, () => this.show());
    this.holds = new Holds(this);
    // What slowed the run before, or the operation that this one recovers.
    endAllSlowed(this.state);
    this.waits.showLongest();
  }

  get canAbandonLeaver(): boolean {
    return this.isLeaverDispensable;
  }

  private lockGuard(): LockGuard | null {
    const { lockStage, progress } = this.state;
    return lockStage === null ? null : { cluster: this.cluster, operationId: progress.operationId, stage: lockStage };
  }

  // ---- Phases ----

  /** Runs one phase, unless an earlier run of this workflow has completed it. */
  async phase(
    phase: Phase,
    next: string,
    work: () => Promise<string>,
    { canAbandonLeaver } = { canAbandonLeaver: false },
  ): Promise<void> {
    if (this.state.completed.includes(phase)) return;
    tracePhase(phase);
    const { progress } = this.state;
    if (progress.phases.at(-1)?.phase !== phase) {
      progress.phases = [...progress.phases, { phase, startedAtMs: nowMs(), endedAtMs: null, note: '' }];
      progress.phase = phase;
      this.state.steps = {};
      endAllSlowed(this.state);
      progress.next = next;
      progress.ratePerSecond = 0;
      progress.etaSeconds = null;
      this.milestone(`${phase} since ${new Date(nowMs()).toISOString()}`);
      this.show();
    }
    this.isLeaverDispensable = canAbandonLeaver;
    try {
      this.endPhase(await work());
    } finally {
      this.isLeaverDispensable = false;
    }
    this.state.completed.push(phase);
    this.show();
    await this.checkpointOnceAnnounced();
  }

  /** Closes the phase that runs, if one does. */
  endPhase(note: string): void {
    const { progress } = this.state;
    const ended = { endedAtMs: nowMs(), note: boundedText(note) };
    progress.phases = progress.phases.map((each) => (each.endedAtMs === null ? { ...each, ...ended } : each));
  }

  // ---- Steps ----

  /** Runs a step until it succeeds; see retry.ts. `what` names it for people. */
  persist<T>(what: string, step: () => Promise<T>, patience: Patience = 'limited'): Promise<T> {
    return persist(this, what, step, patience);
  }

  /** One part of several that are all tried: a failure is said in `left`. Returns whether it succeeded. */
  async part(left: string[], what: string, work: () => Promise<unknown>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      if (error instanceof ContinueAsNew) throw error;
      const inner = error instanceof ActivityFailure && error.cause !== undefined ? error.cause : error;
      left.push(`${what}: ${inner instanceof Error ? inner.message : 'unknown failure'}`);
      return false;
    }
  }

  renewAddresses(): Promise<void> {
    return renewAddresses(this);
  }

  // ---- Continue as new ----

  historyIsLong(): boolean {
    const info = workflowInfo();
    return info.continueAsNewSuggested || info.historyLength > this.historyEventsMax;
  }

  /** To be called where no activity is under way: continues as new when the history has become long. */
  async checkpoint(): Promise<void> {
    if (this.historyIsLong()) await this.checkpointNow();
  }

  /** A caller who waits for the announcement is answered first: its update belongs to this run. */
  async checkpointOnceAnnounced(): Promise<void> {
    if (this.state.announced === null || !this.historyIsLong()) return;
    // A run that was longer than this when it began under earlier code goes on as it was.
    if (patched(PATCHES.checkpointsBetweenPhases)) await this.checkpointNow();
  }

  // ---- What is shown ----

  setPoints(points: number, bytes: number): void {
    const { progress } = this.state;
    progress.pointsDone = Math.max(points, progress.pointsDone);
    progress.bytesDone = Math.max(bytes, progress.bytesDone);
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

  end(end: OperationEnd): void {
    const { progress } = this.state;
    progress.status = end;
    progress.endedAtMs = nowMs();
    this.holds.end();
    endAllSlowed(this.state);
    this.waits.endAll();
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
