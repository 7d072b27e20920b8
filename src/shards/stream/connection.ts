import {
  connect as connectHttp2,
  constants,
  type ClientHttp2Session,
  type ClientSessionOptions,
  type ClientHttp2Stream,
} from 'node:http2';
import type { TcpNetConnectOpts } from 'node:net';
import { AddressNotAllowedError, portOf, type Reach } from '../reach/reach';

/**
 * What may be under way to us unread: a stream's and a connection's window. With HTTP/2's default of 64 KiB the shard
 * waits for us after every 170 rows.
 */
const WINDOW_BYTES = 2 * 1024 * 1024;
/** Without an answer to a ping for this long the other side is gone. A shard answers pings while it scans. */
const PING_EVERY_MS = 20_000;
const PING_TIMEOUT_MS = 60_000;

/** A call on its way, and whether its connection has ever stood. */
export interface OpenedStream {
  readonly stream: ClientHttp2Stream;
  /** False: the shard has seen nothing of the call. */
  readonly wasConnected: () => boolean;
  /** Why no connection was made, when its address may not be called. */
  readonly refusal: () => AddressNotAllowedError | null;
  /**
   * Until the returned function is called, the shard is made to answer without pauses. Quiver 1.1.0 leaves Nagle's
   * algorithm on: it holds a small packet back until the one before it is acknowledged, and a system that has nothing
   * to send puts that off for 40 ms. So something is sent.
   */
  readonly hurry: () => () => void;
  /** No later call uses this connection: it did not answer in time, and may be dead. */
  readonly abandon: () => void;
}

/** Of an address, for all connections to it. A proxy in front of it may take pings for an attack. */
export interface Pace {
  mayHurry: boolean;
}

/** One HTTP/2 connection to one address, opened by the first call, and again by the first call after it broke. */
export class Connection {
  readonly #url: URL;
  readonly #reach: Reach;
  readonly #onClose: () => void;
  #current: Session | null = null;
  readonly #pace: Pace;
  /** With those that were abandoned and still have calls. */
  readonly #sessions = new Set<Session>();

  constructor(url: string, reach: Reach, of: { readonly pace: Pace; readonly onClose?: () => void }) {
    this.#url = new URL(url);
    this.#reach = reach;
    this.#pace = of.pace;
    this.#onClose = of.onClose ?? (() => undefined);
  }

  /** @throws AddressNotAllowedError, when the URL names an address that may not be called. A name fails its calls. */
  open(headers: Readonly<Record<string, string>>): OpenedStream {
    const session = (this.#current ??= this.#connect());
    return {
      stream: session.http2.request({ ...headers, ':scheme': this.#url.protocol.slice(0, -1) }),
      wasConnected: () => session.wasConnected,
      refusal: () => session.refusal,
      hurry: () => session.hurry(),
      abandon: () => {
        this.#forget(session);
        session.http2.close();
      },
    };
  }

  /** Cuts every call. */
  close(): void {
    for (const { http2 } of this.#sessions) http2.destroy();
    this.#sessions.clear();
    this.#current = null;
    this.#onClose();
  }

  #connect(): Session {
    this.#reach.requireLiteral(this.#url);
    const session = new Session(this.#url, this.#reach, {
      mayHurry: this.#pace.mayHurry,
      // It may still have calls, but takes no more.
      onEnding: (isTooMuch) => {
        if (isTooMuch) this.#pace.mayHurry = false;
        this.#forget(session);
      },
      onEnd: () => {
        this.#forget(session);
        this.#sessions.delete(session);
      },
    });
    this.#sessions.add(session);
    return session;
  }

  #forget(session: Session): void {
    if (this.#current === session) this.#current = null;
  }
}

/** Longer than most answers take, and short beside 40 ms. */
const HURRY_EVERY_MS = 1;

class Session {
  readonly http2: ClientHttp2Session;
  wasConnected = false;
  refusal: AddressNotAllowedError | null = null;
  readonly #mayHurry: boolean;
  /** Calls that wait for an answer. */
  #waiting = 0;
  #hurrying: NodeJS.Timeout | undefined;

  constructor(
    url: URL,
    reach: Reach,
    of: {
      readonly mayHurry: boolean;
      /** `isTooMuch`: the other side ends it because it got too many frames. */
      readonly onEnding: (isTooMuch: boolean) => void;
      readonly onEnd: () => void;
    },
  ) {
    const { onEnding, onEnd } = of;
    this.#mayHurry = of.mayHurry;
    const options: ClientSessionOptions & Pick<TcpNetConnectOpts, 'lookup'> = {
      lookup: reach.lookup(portOf(url)),
      settings: { initialWindowSize: WINDOW_BYTES, enablePush: false },
    };
    this.http2 = connectHttp2(url.origin, options);
    let silentMs = 0;
    // A ping that is not sent, because ten are unanswered or the session is closed, is called back with an error.
    const isAlive = (error: Error | null): void => {
      if (error === null) silentMs = 0;
    };
    const pings = setInterval(() => {
      silentMs += PING_EVERY_MS;
      if (silentMs > PING_TIMEOUT_MS) this.http2.destroy(new Error('no answer to pings'));
      else if (this.wasConnected && !this.http2.destroyed) this.http2.ping(isAlive);
    }, PING_EVERY_MS);
    pings.unref();
    this.http2.on('connect', () => {
      this.wasConnected = true;
      this.http2.setLocalWindowSize(WINDOW_BYTES);
    });
    // Its calls fail, and say why.
    this.http2.on('error', (error) => {
      if (error instanceof AddressNotAllowedError) this.refusal = error;
      onEnding(false);
    });
    this.http2.on('goaway', (errorCode) => onEnding(errorCode === constants.NGHTTP2_ENHANCE_YOUR_CALM));
    this.http2.on('close', () => {
      clearInterval(pings);
      clearInterval(this.#hurrying);
      onEnd();
    });
  }

  hurry(): () => void {
    if (this.#waiting++ === 0 && this.#mayHurry) this.#hurrying = setInterval(() => this.#ping(), HURRY_EVERY_MS);
    return () => {
      if (--this.#waiting === 0) clearInterval(this.#hurrying);
    };
  }

  /** At most ten are unanswered at a time, so a shard that takes long gets no more. */
  #ping(): void {
    if (this.wasConnected && !this.http2.closed && !this.http2.destroyed) this.http2.ping(() => undefined);
  }
}
