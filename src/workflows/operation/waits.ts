/**
 * INV-9: everything that an operation waits for is shown here, so that it says for what, since when, and what would end the wait.
 * Also knows until when a write of an attempt that is over may still reach a shard.
 */
import { sleep } from '@temporalio/workflow';
import type { MayWriteLate } from '../../contract/move';
import type { OperationState } from '../../contract/operation-state';
import { boundedText } from '../../domain/bounded-text';
import type { Waiting } from '../../domain/progress';
import { clockSkewMs, lateWritesUntil, notBeyondAttempts, type ToldTime } from '../../domain/late-writes';
import type { Timings } from '../../domain/limits';
import { nowMs } from '../clock';

interface Wait {
  readonly waiting: Waiting;
  readonly isFailure: boolean;
}

export class Waits {
  private readonly state: OperationState;
  private readonly timings: Timings;
  private readonly show: () => void;
  /** What waits now, by what it waits for. A wait of an earlier run begins again with its step. */
  private readonly waits = new Map<string, Wait>();

  constructor(state: OperationState, timings: Timings, show: () => void) {
    this.state = state;
    this.timings = timings;
    this.show = show;
  }

  /** Several lanes may wait at once, each for something of its own (`what`): the longest wait is shown. */
  begin(what: string, waiting: Waiting): void {
    this.set(what, { waiting, isFailure: false });
  }

  /** A wait for a step that fails. It is shown before a wait that was foreseen, which may have begun earlier. */
  beginFailing(what: string, waiting: Waiting): void {
    this.set(what, { waiting, isFailure: true });
  }

  private set(what: string, { waiting, isFailure }: Wait): void {
    const { reason, endsWhen, sinceMs } = waiting;
    const bounded = { reason: boundedText(reason), endsWhen: boundedText(endsWhen), sinceMs };
    this.waits.set(what, { waiting: bounded, isFailure });
    this.showLongest();
  }

  end(what: string): void {
    if (this.waits.delete(what)) this.showLongest();
  }

  endAll(): void {
    this.waits.clear();
    this.state.progress.waiting = null;
  }

  /** Waits for a moment (ms since the epoch), and says so. */
  async until(momentMs: number, reason: string): Promise<void> {
    const remainingMs = momentMs - nowMs();
    if (remainingMs <= 0) return;
    this.begin(reason, { reason, endsWhen: `${new Date(momentMs).toISOString()} has passed`, sinceMs: nowMs() });
    await sleep(remainingMs);
    this.end(reason);
  }

  /** A write that may still be under way must be over before a pass may allow the flip, and before the lock is given back. */
  expectLateWrites(untilMs: number): void {
    if (untilMs > this.state.lateWritesUntilMs) this.state.lateWritesUntilMs = untilMs;
  }

  /** The same, told by the result of an activity that writes to shards. */
  noted<T extends MayWriteLate>(result: T): T {
    this.expectLateWrites(lateWritesUntil(result, this.timings, nowMs()));
    this.noteClock(result.told);
    return result;
  }

  /** A clock that is off is an operator's to set (notices.ts). */
  noteClock(told: ToldTime | undefined): void {
    const skewMs = told === undefined ? null : clockSkewMs(told, nowMs());
    if (told === undefined || skewMs === null || this.state.clockSkews[told.worker] !== undefined) return;
    this.state.clockSkews = { ...this.state.clockSkews, [told.worker]: { skewMs, isNoticed: false } };
  }

  async forLateWrites(): Promise<void> {
    // What an earlier release carried over may come from a wrong clock.
    this.state.lateWritesUntilMs = notBeyondAttempts(this.state.lateWritesUntilMs, this.timings, nowMs());
    await this.until(this.state.lateWritesUntilMs, 'an earlier attempt of a step may still be writing to a shard');
  }

  showLongest(): void {
    const [longest] = [...this.waits.values()].sort(
      (a, b) => Number(b.isFailure) - Number(a.isFailure) || a.waiting.sinceMs - b.waiting.sinceMs,
    );
    this.state.progress.waiting = longest?.waiting ?? null;
    this.show();
  }
}
