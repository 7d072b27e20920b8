/**
 * One reader of server-sent events. It never holds up the others: what it does not read is buffered up to a bound, and then its
 * connection is cut. It may connect again with the id of its last event.
 */
import type { ServerResponse } from 'node:http';
import { noteHeld } from '../http/request-trail';
import type { ToldEvent } from './ring';
import type { Listener } from './lookout';

export interface StreamOptions {
  /** Throws when the key of the reader is no longer one. */
  readonly confirmKey: () => unknown;
  /** Called once, when the stream is over for whatever reason. */
  readonly onEnd: () => void;
  readonly keepAliveMs?: number;
  readonly bufferBytesMax?: number;
}

const KEEP_ALIVE_MS = 15_000;
/** Twice what a ring holds, so that a reader that comes back is not cut for what it missed. */
const BUFFER_BYTES_MAX = 512 * 1024;
const RECONNECT_MS = 2_000;
/** Who does not read the last events in this time is cut. */
const LAST_WORDS_MS = 10_000;
export const STREAM_HEADERS = {
  'Content-Type': 'text/event-stream',
  'Cache-Control': 'no-store',
  // A listener that closes waits for no connection that a stream had.
  Connection: 'close',
  // A proxy must not gather events.
  'X-Accel-Buffering': 'no',
} as const;
const KEEP_ALIVE = ': keep-alive\n\n';

export class EventStream implements Listener {
  private readonly response: ServerResponse;
  private readonly bufferBytesMax: number;
  private readonly keepAlive: NodeJS.Timeout;
  private cut: NodeJS.Timeout | null = null;

  /** Sends the head. */
  constructor(response: ServerResponse, options: StreamOptions) {
    const { confirmKey, onEnd, keepAliveMs = KEEP_ALIVE_MS, bufferBytesMax = BUFFER_BYTES_MAX } = options;
    this.response = response;
    this.bufferBytesMax = bufferBytesMax;
    this.keepAlive = setInterval(() => this.stayAlive(confirmKey), keepAliveMs);
    response.once('close', () => {
      clearInterval(this.keepAlive);
      if (this.cut !== null) clearTimeout(this.cut);
      onEnd();
    });
    noteHeld(response);
    response.writeHead(200, STREAM_HEADERS);
    response.write(`retry: ${RECONNECT_MS}\n\n`);
  }

  take({ bytes }: ToldEvent): void {
    this.write(bytes);
  }

  end(): void {
    clearInterval(this.keepAlive);
    this.response.end();
    this.cut ??= setTimeout(() => this.response.destroy(), LAST_WORDS_MS);
  }

  private stayAlive(confirmKey: () => unknown): void {
    try {
      confirmKey();
    } catch {
      this.end();
      return;
    }
    this.write(KEEP_ALIVE);
  }

  private write(chunk: Buffer | string): void {
    const { response } = this;
    if (response.destroyed || response.writableEnded) return;
    if (response.writableLength > this.bufferBytesMax) response.destroy();
    else response.write(chunk);
  }
}
