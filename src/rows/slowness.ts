/** What slows a job down, over its last seconds. Without a timer of its own: a job that does nothing has nothing new to tell. */
import { worstOfStep, type Slowed, type SlowedBy } from '../domain/slowed';

/** So long something is told after it was seen last. */
const KEPT_MS = 10_000;
/** Rests are counted over this one and the one before it. */
const PERIOD_MS = 5_000;
const TELL_EVERY_MS = 1_000;

interface Seen {
  readonly by: SlowedBy;
  readonly shard: number | string | null;
  seenMs: number | null;
  boundMs: number | null;
  untilMs: number;
  restedToMs: number;
  /** In this period, and in the one before it. */
  restMs: number;
  restBeforeMs: number;
}

export class Slowness {
  readonly #nowMs: () => number;
  readonly #seen = new Map<string, Seen>();
  #periodMs: number;
  #periodBeforeMs: number;
  readonly #tell: (slowed: readonly Slowed[]) => void;
  #toldMs: number;

  /** `tell` is called about once a second while the job works, also when nothing slows it down. */
  constructor(nowMs: () => number, tell: (slowed: readonly Slowed[]) => void = () => undefined) {
    this.#nowMs = nowMs;
    this.#tell = tell;
    this.#periodMs = this.#periodBeforeMs = this.#toldMs = nowMs();
  }

  /** The job goes on. */
  glance(): void {
    const nowMs = this.#nowMs();
    if (nowMs - this.#toldMs < TELL_EVERY_MS) return;
    this.#toldMs = nowMs;
    this.#tell(this.now());
  }

  /** A call has ended, which should take `boundMs` at most. */
  called(
    by: 'write_latency' | 'delete_latency',
    shard: number | string,
    of: { tookMs: number; boundMs: number },
  ): void {
    if (of.tookMs > of.boundMs) {
      const seen = this.#of(by, shard);
      seen.seenMs = Math.round(of.tookMs);
      seen.boundMs = of.boundMs;
      // The next call of a shard that hangs is told only when it ends.
      seen.untilMs = this.#nowMs() + Math.max(KEPT_MS, 2 * of.tookMs);
    }
    this.glance();
  }

  /** The job stood still from then until now. Rests side by side count once. `shard` null: for all of its shards. */
  rested(by: SlowedBy, shard: number | string | null, sinceMs: number): void {
    const nowMs = this.#nowMs();
    const seen = this.#of(by, shard);
    seen.restMs += Math.max(0, nowMs - Math.max(sinceMs, seen.restedToMs));
    seen.restedToMs = nowMs;
    seen.untilMs = Math.max(seen.untilMs, nowMs + KEPT_MS);
    this.glance();
  }

  /** The worst of it. A rate names no shard here: whoever runs the job knows whose step it is. */
  now(): readonly Slowed[] {
    const nowMs = this.#nowMs();
    this.#turnPeriod(nowMs);
    for (const [key, { untilMs }] of this.#seen) if (untilMs <= nowMs) this.#seen.delete(key);
    const countedMs = Math.max(nowMs - this.#periodBeforeMs, 1);
    return worstOfStep(
      [...this.#seen.values()].map(({ by, shard, seenMs, boundMs, restMs, restBeforeMs }) => {
        const share = Math.round(Math.min((restMs + restBeforeMs) / countedMs, 1) * 100) / 100;
        return {
          by,
          shardId: typeof shard === 'number' ? shard : null,
          ...(seenMs === null ? {} : { seenMs }),
          ...(boundMs === null ? {} : { boundMs }),
          ...(share === 0 ? {} : { restShare: share }),
        };
      }),
    );
  }

  #of(by: SlowedBy, shard: number | string | null): Seen {
    const nowMs = this.#nowMs();
    this.#turnPeriod(nowMs);
    const key = `${by} ${shard ?? ''}`;
    const known = this.#seen.get(key);
    if (known !== undefined) return known;
    const empty = { seenMs: null, boundMs: null, untilMs: nowMs, restedToMs: 0, restMs: 0, restBeforeMs: 0 };
    const seen: Seen = { by, shard, ...empty };
    this.#seen.set(key, seen);
    return seen;
  }

  #turnPeriod(nowMs: number): void {
    const passedMs = nowMs - this.#periodMs;
    if (passedMs < PERIOD_MS) return;
    const isNext = passedMs < 2 * PERIOD_MS;
    this.#periodBeforeMs = isNext ? this.#periodMs : nowMs - PERIOD_MS;
    this.#periodMs = nowMs;
    for (const seen of this.#seen.values()) {
      seen.restBeforeMs = isNext ? seen.restMs : 0;
      seen.restMs = 0;
    }
  }
}
