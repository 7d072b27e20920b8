/**
 * Who listens to what. Each thing has one lookout in this process. Whoever listens has a seat, and seats are bounded, so that readers
 * neither take all connections nor make more work for Temporal.
 *
 * A lookout that nobody listens to makes no looks. It is kept for a while, so that a reader whose connection broke goes on where it was.
 */
import { randomInt } from 'node:crypto';
import type { Logger } from 'pino';
import { ApiError } from '../http/problem';
import { ID_STEP } from './ring';
import { Lookout, type Source } from './lookout';

export interface Sources {
  cluster(): Source;
  operation(operationId: string): Source;
}

export interface EventHubOptions {
  readonly sources: Sources;
  readonly logger: Logger;
  readonly seatsMax?: number;
  readonly lookoutsMax?: number;
  readonly pauseMs?: number;
  readonly lingerMs?: number;
  readonly nowMs?: () => number;
}

/** The right to listen. It is left once, and a second time is harmless. */
export interface Seat {
  readonly lookout: Lookout;
  readonly leave: () => void;
}

/** Half of the connections that an API keeps by default. */
const SEATS_MAX = 1_000;
const LOOKOUTS_MAX = 32;
const PAUSE_MS = 1_000;
const LINGER_MS = 60_000;
const CLUSTER = 'cluster';

interface Kept {
  readonly lookout: Lookout;
  seats: number;
  /** Ends the lookout when nobody comes back. */
  linger: NodeJS.Timeout | null;
}

export class EventHub {
  private readonly options: EventHubOptions;
  private readonly seatsMax: number;
  private readonly lookoutsMax: number;
  private readonly remainder = randomInt(ID_STEP);
  /** The one that was left first stands first among those that nobody listens to. */
  private readonly kept = new Map<string, Kept>();
  private seats = 0;
  private closed = false;

  constructor(options: EventHubOptions) {
    this.options = options;
    this.seatsMax = options.seatsMax ?? SEATS_MAX;
    this.lookoutsMax = options.lookoutsMax ?? LOOKOUTS_MAX;
  }

  /** This process stops: all streams and waits have ended. */
  get isClosed(): boolean {
    return this.closed;
  }

  /** @throws ApiError TooManySubscribers */
  joinCluster(): Seat {
    return this.join(CLUSTER, () => this.options.sources.cluster());
  }

  /** The operation need not exist: the first look tells. @throws ApiError TooManySubscribers */
  joinOperation(operationId: string): Seat {
    return this.join(`operation ${operationId}`, () => this.options.sources.operation(operationId));
  }

  /** This process has changed something: whoever listens is told at once. */
  nudge(): void {
    for (const { lookout } of this.kept.values()) if (lookout.hasListeners) lookout.nudge();
  }

  /** Ends all streams and waits, and takes nobody any more. */
  close(): void {
    this.closed = true;
    for (const { lookout, linger } of this.kept.values()) {
      if (linger !== null) clearTimeout(linger);
      lookout.close();
    }
    this.kept.clear();
  }

  private join(name: string, source: () => Source): Seat {
    if (this.closed) {
      throw new ApiError(
        'TooManySubscribers',
        'this process is shutting down, so it takes no subscriber: connect again',
      );
    }
    if (this.seats >= this.seatsMax) {
      const detail = `this process has ${this.seatsMax} subscribers, which is the most: end some streams, or ask another API`;
      throw new ApiError('TooManySubscribers', detail);
    }
    const kept = this.kept.get(name) ?? this.begin(name, source());
    if (kept.linger !== null) clearTimeout(kept.linger);
    kept.linger = null;
    kept.seats += 1;
    this.seats += 1;
    let isLeft = false;
    const leave = (): void => {
      if (isLeft) return;
      isLeft = true;
      this.seats -= 1;
      kept.seats -= 1;
      if (kept.seats === 0) this.letLinger(name, kept);
    };
    return { lookout: kept.lookout, leave };
  }

  private begin(name: string, source: Source): Kept {
    if (this.kept.size >= this.lookoutsMax) this.makeRoom();
    const { logger, pauseMs = PAUSE_MS, nowMs = Date.now } = this.options;
    const ring = { startedAtMs: nowMs(), remainder: this.remainder };
    const kept: Kept = { lookout: new Lookout({ source, ring, logger, pauseMs }), seats: 0, linger: null };
    this.kept.set(name, kept);
    return kept;
  }

  private makeRoom(): void {
    for (const [name, { seats, linger }] of this.kept) {
      if (seats > 0) continue;
      if (linger !== null) clearTimeout(linger);
      this.kept.delete(name);
      return;
    }
    const detail = `this process watches ${this.lookoutsMax} things, which is the most: end some streams, or use GET /cluster/events`;
    throw new ApiError('TooManySubscribers', detail);
  }

  private letLinger(name: string, kept: Kept): void {
    // It stands behind those that were left before. After a close, or where nothing was seen, nothing is kept.
    this.kept.delete(name);
    if (this.closed || kept.lookout.ring.lastId === null) return;
    this.kept.set(name, kept);
    kept.linger = setTimeout(() => this.kept.delete(name), this.options.lingerMs ?? LINGER_MS);
    kept.linger.unref();
  }
}
