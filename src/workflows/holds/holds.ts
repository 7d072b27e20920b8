/**
 * Where an operation stands still on request: for a pause, or outside of the cluster's window.
 *
 * - It does so at safe points alone: the callers of `hold` say where. No activity is under way there.
 * - Before it is announced it has changed nothing that lasts, and an undo has to end: neither is held.
 * - A hold before the flip makes old what was proven, and what is known of the routers. What follows asks again.
 * - It begins with a message of this release, so the history of an earlier one holds nothing of it, and needs no patch.
 *
 * Crash and continue-as-new: the state says what holds, and the safe point is reached again.
 */
import { CancellationScope, condition, isCancellation } from '@temporalio/workflow';
import type { OperationState } from '../../contract/operation-state';
import { isOver, pausedBy, type PauseRequest } from '../../domain/pause';
import { isUnlimited, limitsOf, windowOpensAtMs, type ClusterLimits, type WorkLimits } from '../../domain/work-limits';
import { nowMs } from '../clock';
import { iso } from '../wording';

/** What is held, in progress.waiting. */
const HOLD = 'hold';
/** No timer is longer, whatever the end of a pause is. */
const SLEEP_MAX_MS = 7 * 24 * 60 * 60 * 1_000;

/** What a hold needs of its run. */
interface Held {
  readonly state: OperationState;
  readonly waits: {
    begin(what: string, waiting: { reason: string; endsWhen: string; sinceMs: number }): void;
    end(what: string): void;
  };
  show(): void;
  checkpointOnceAnnounced(): Promise<void>;
}

export class Holds {
  /** Called when there are limits to tell. */
  onLimits: () => void = () => undefined;
  readonly #run: Held;
  /** Rises with every message that may change whether something holds. */
  #messages = 0;
  #cutOff: (() => void) | null = null;

  constructor(run: Held) {
    this.#run = run;
  }

  // ---- Messages ----

  pause(request: PauseRequest): void {
    const { progress } = this.#run.state;
    progress.pause = pausedBy(progress.pause, request, nowMs());
    this.#noticed();
    this.#cutOff?.();
  }

  resume(): void {
    delete this.#run.state.progress.pause;
    this.#noticed();
  }

  /** What is absent stays as it is; null: as the cluster says. */
  limit(change: Partial<WorkLimits>): void {
    const { state } = this.#run;
    state.limits = { cluster: null, ...state.limits, own: { ...state.limits?.own, ...change } };
    this.#limitsChanged();
  }

  adoptClusterLimits(cluster: ClusterLimits): void {
    const { state } = this.#run;
    if (JSON.stringify(state.limits?.cluster) === JSON.stringify(cluster)) return;
    state.limits = { own: {}, ...state.limits, cluster };
    this.#limitsChanged();
  }

  #limitsChanged(): void {
    const { limits, progress } = this.#run.state;
    const both = limitsOf(limits?.own ?? {}, limits?.cluster ?? null);
    if (isUnlimited(both)) delete progress.limits;
    else progress.limits = both;
    this.onLimits();
    this.#noticed();
  }

  #noticed(): void {
    this.#messages += 1;
    this.#run.show();
  }

  // ---- Safe points ----

  /** Whether the next safe point has to be held. */
  isDue(): boolean {
    const { state } = this.#run;
    if (state.announced === null || state.undoing !== null) return false;
    return this.isPaused() || this.#opensAtMs() !== null;
  }

  /** At a safe point. Returns when nothing holds it any more. @throws CancelledFailure */
  async hold(): Promise<void> {
    const { state } = this.#run;
    const sinceMs = nowMs();
    while (this.isDue()) {
      if (!state.progress.pointOfNoReturnPassed) {
        state.routersAdoptedAtMs = 0;
        state.isProofStale = true;
      }
      this.#showHold(sinceMs);
      const seen = this.#messages;
      const endsAtMs = Math.min(this.#endOfPauseMs() ?? Infinity, this.#opensAtMs() ?? Infinity);
      const sleepMs = Math.min(Math.max(endsAtMs - nowMs(), 1), SLEEP_MAX_MS);
      if (this.#hasPause() && this.#endOfPauseMs() === null) await condition(() => this.#messages !== seen);
      else await condition(() => this.#messages !== seen, sleepMs);
      if (this.isDue()) await this.#run.checkpointOnceAnnounced();
    }
    this.end();
  }

  /**
   * Runs steps that a pause may cut off, because a cancelled attempt of them is as good as one that died. False: it was
   * cut off.
   */
  async untilPaused(steps: () => Promise<void>): Promise<boolean> {
    const outer = CancellationScope.current();
    const scope = new CancellationScope({ cancellable: true });
    this.#cutOff = () => scope.cancel();
    try {
      await scope.run(steps);
      return true;
    } catch (error) {
      if (!scope.consideredCancelled || !isCancellation(error) || outer.consideredCancelled) throw error;
      return false;
    } finally {
      this.#cutOff = null;
    }
  }

  /** Nothing is held, or will be: it goes on, it is undone, or it has ended. */
  end(): void {
    const { state, waits } = this.#run;
    delete state.progress.pause;
    waits.end(HOLD);
  }

  /** By a person, and the next safe point has to be held for that. */
  isPaused(): boolean {
    const { state } = this.#run;
    return state.announced !== null && state.undoing === null && this.#hasPause();
  }

  #hasPause(): boolean {
    return !isOver(this.#run.state.progress.pause, nowMs());
  }

  #endOfPauseMs(): number | null {
    return this.#run.state.progress.pause?.untilMs ?? null;
  }

  #opensAtMs(): number | null {
    return windowOpensAtMs(this.#run.state.limits?.cluster ?? null, nowMs());
  }

  #showHold(sinceMs: number): void {
    const { state, waits } = this.#run;
    const { progress } = state;
    const { pause } = progress;
    if (pause !== undefined && this.#hasPause()) {
      progress.pause = { ...pause, holds: true };
      waits.begin(HOLD, {
        reason: `paused by ${pause.by}: ${pause.reason}`,
        endsWhen: pause.untilMs === null ? 'it is resumed' : `${iso(pause.untilMs)} has passed, or it is resumed`,
        sinceMs: pause.sinceMs,
      });
      return;
    }
    delete progress.pause;
    const { activeFrom, activeTo } = state.limits?.cluster ?? {};
    waits.begin(HOLD, {
      reason: `operations work from ${activeFrom ?? ''} to ${activeTo ?? ''} UTC`,
      endsWhen: `${iso(this.#opensAtMs() ?? nowMs())} has passed, or PUT /cluster/limits changes the window`,
      sinceMs,
    });
  }
}
