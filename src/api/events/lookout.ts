/** Looks at one thing again and again while somebody listens, however many listen, and tells all of them what is new. */
import type { Logger } from 'pino';
import { withoutTrace } from '../../tracing/current';
import { EventRing, type NewEvent, type RingOptions, type ToldEvent } from './ring';
import { sharing } from './shared-run';

export interface Found {
  /** What differs from the look before. */
  readonly events: readonly NewEvent[];
  /** Topics that are no longer a part of the present state. */
  readonly gone: readonly string[];
  /** Nothing more comes, as far as this look can tell. */
  readonly isOver: boolean;
}

/** What a lookout looks at. */
export interface Source {
  /** @throws ClientError, ApiError when it cannot be known now */
  look(): Promise<Found>;
}

export interface Listener {
  take(event: ToldEvent): void;
  /** Nothing more comes. It is called once, and never after its leave. */
  end(): void;
}

export interface LookoutOptions {
  readonly source: Source;
  readonly ring: RingOptions;
  readonly logger: Logger;
  /** Between the end of one look and the next. */
  readonly pauseMs: number;
}

export class Lookout {
  readonly ring: EventRing;
  /** Looks, and resolves when what is true now was told. @throws what a look throws */
  readonly look: () => Promise<void>;
  private readonly options: LookoutOptions;
  private readonly listeners = new Set<Listener>();
  private timer: NodeJS.Timeout | null = null;
  private over = false;
  private isClosed = false;

  constructor(options: LookoutOptions) {
    this.options = options;
    this.ring = new EventRing(options.ring);
    this.look = sharing(() => this.lookOnce());
  }

  get isOver(): boolean {
    return this.over || this.isClosed;
  }

  get hasListeners(): boolean {
    return this.listeners.size > 0;
  }

  /** For a reader whose last event had this id: what it missed, or the present state when that is not known. */
  backlog(lastId: number | null): readonly ToldEvent[] {
    return (lastId === null ? null : this.ring.after(lastId)) ?? this.ring.present();
  }

  /** From now on. The function that is returned ends it. */
  listen(listener: Listener): () => void {
    this.listeners.add(listener);
    this.lookLater();
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size === 0) this.rest();
    };
  }

  /** A look that nobody waits for. */
  nudge(): void {
    this.look().catch((error: unknown) => {
      this.options.logger.debug({ err: error }, 'what is watched could not be looked at');
    });
  }

  /** Ends all listeners, and whoever comes later. */
  close(): void {
    this.isClosed = true;
    this.end();
  }

  private end(): void {
    this.rest();
    const listeners = [...this.listeners];
    this.listeners.clear();
    for (const listener of listeners) listener.end();
  }

  private async lookOnce(): Promise<void> {
    const { events, gone, isOver } = await this.options.source.look();
    for (const topic of gone) this.ring.forget(topic);
    this.over = isOver;
    for (const event of events) {
      const told = this.ring.add(event);
      for (const listener of this.listeners) listener.take(told);
    }
    if (isOver) this.end();
  }

  private lookLater(): void {
    if (this.timer !== null) return;
    const lookAgain = (): void => {
      const again = (): void => {
        // All may have left meanwhile, and others may have come with a timer of their own.
        if (this.timer !== timer) return;
        this.timer = null;
        this.lookLater();
      };
      this.look().then(again, (error: unknown) => {
        this.options.logger.debug({ err: error }, 'what is watched could not be looked at');
        again();
      });
    };
    // Looks go on when the request is over that began them.
    const timer = withoutTrace(() => setTimeout(lookAgain, this.options.pauseMs));
    this.timer = timer;
  }

  private rest(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }
}
