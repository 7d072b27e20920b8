import type { Logger } from 'pino';

/** It looks at most this often, and only while requests come. */
const LOOK_INTERVAL_MS = 10_000;

/**
 * Uses the requests that come anyway, a router's poll for instance, to find an abandoned lock: its holder was ended from outside. No request
 * waits for that, and none fails because of it.
 */
export class LockWatch {
  private readonly look: () => Promise<unknown>;
  private readonly logger: Logger;
  private readonly nowMs: () => number;
  private lookedAtMs = Number.NEGATIVE_INFINITY;
  private isLooking = false;

  constructor(options: { look: () => Promise<unknown>; logger: Logger; nowMs?: () => number }) {
    this.look = options.look;
    this.logger = options.logger;
    this.nowMs = options.nowMs ?? Date.now;
  }

  glance(): void {
    if (this.isLooking || this.nowMs() - this.lookedAtMs < LOOK_INTERVAL_MS) return;
    this.isLooking = true;
    this.lookedAtMs = this.nowMs();
    this.look()
      .catch((error: unknown) => this.logger.debug({ err: error }, 'the lock could not be looked at'))
      .finally(() => {
        this.isLooking = false;
      });
  }
}
