import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ConfigError, type Config } from '../../config';

/** A caller that sends its request more slowly than this only holds a connection. */
const REQUEST_TIMEOUT_MS = 30_000;
const HEADERS_TIMEOUT_MS = 10_000;
/** Longer than the pause between two polls of a router, so that it keeps its connection. */
const KEEP_ALIVE_TIMEOUT_MS = 30_000;

/** How often the times are looked at. Node's own default is half a minute. */
const CHECK_INTERVAL_MS = 1_000;
/** Longer headers are answered with 431. */
const HEADERS_BYTES_MAX = 16 * 1024;

export interface ListenerLimits {
  /** Further connections are closed at once. */
  readonly connectionsMax?: number;
  readonly headersTimeoutMs?: number;
  readonly requestTimeoutMs?: number;
  readonly checkIntervalMs?: number;
}

/** The HTTP server in front of the API. */
export class Listener {
  readonly url: string;
  private readonly server: Server;

  /** @throws ConfigError when the address cannot be listened on */
  static async listen(
    address: Config['restAddress'] & { readonly setting?: string },
    api: RequestListener,
    limits: ListenerLimits = {},
  ): Promise<Listener> {
    const server = createServer(
      {
        requestTimeout: limits.requestTimeoutMs ?? REQUEST_TIMEOUT_MS,
        headersTimeout: limits.headersTimeoutMs ?? HEADERS_TIMEOUT_MS,
        connectionsCheckingInterval: limits.checkIntervalMs ?? CHECK_INTERVAL_MS,
        maxHeaderSize: HEADERS_BYTES_MAX,
        keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      },
      (request, response) => {
        // While the server closes, each answer is the last one on its connection.
        if (!server.listening) response.setHeader('Connection', 'close');
        api(request, response);
      },
    );
    if (limits.connectionsMax !== undefined) server.maxConnections = limits.connectionsMax;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => {
        const at = `${address.host}:${address.port}`;
        reject(
          new ConfigError(
            `${address.setting ?? 'QUIVER_REST_ADDR'}: expected an address that can be listened on, got ${at} (${error.code ?? error.message}): free it or choose another one`,
          ),
        );
      });
      server.listen(address.port, address.host, resolve);
    });
    return new Listener(server);
  }

  private constructor(server: Server) {
    this.server = server;
    const { address, family, port } = server.address() as AddressInfo;
    this.url = `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
  }

  /**
   * Takes no new request, and ends when those under way are answered. It first calls `endStreams`, which ends the answers that never end
   * by themselves. After `patienceMs` it calls `hurry`, which ends calls to Temporal. A moment later it cuts what is left.
   */
  async close(patienceMs: number, hurry: () => void, endStreams: () => void = () => undefined): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    endStreams();
    this.server.closeIdleConnections();
    const hurried = setTimeout(hurry, patienceMs);
    const cut = setTimeout(() => this.server.closeAllConnections(), patienceMs + HURRY_MS);
    await closed;
    clearTimeout(hurried);
    clearTimeout(cut);
  }
}

const HURRY_MS = 500;
