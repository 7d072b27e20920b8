import { join } from 'node:path';
import type { Logger } from 'pino';
import { startDevServer, type DevServer, type DevServerOptions } from './dev-server';

const DATABASE_FILE = 'temporal.db';
const RESTART_PAUSE_MIN_MS = 200;
const RESTART_PAUSE_MAX_MS = 5_000;
const STOP_PATIENCE_MS = 1_000;

export interface EmbeddedOptions {
  readonly cli: string;
  readonly dataDir: string;
  readonly port: number;
  readonly uiPort: number;
  readonly namespace: string;
  readonly logger: Logger;
}

/** The Temporal that `serve` starts with its database file, and starts again when it dies. */
export class EmbeddedTemporal {
  readonly address: string;
  readonly uiUrl: string | null;
  private readonly options: DevServerOptions;
  private readonly logger: Logger;
  private server: DevServer;
  private readonly stopping = new AbortController();
  private readonly supervision: Promise<void>;

  static async start(options: EmbeddedOptions): Promise<EmbeddedTemporal> {
    const { cli, dataDir, port, uiPort, namespace, logger } = options;
    const serverOptions = { cli, dbFile: join(dataDir, DATABASE_FILE), port, uiPort, namespace };
    return new EmbeddedTemporal(serverOptions, await startDevServer(serverOptions), logger);
  }

  private constructor(options: DevServerOptions, server: DevServer, logger: Logger) {
    this.address = server.address;
    this.uiUrl = server.uiUrl;
    // Clients find it again at the same address, also when its first port was a free one.
    this.options = {
      ...options,
      port: portOf(server.address),
      uiPort: server.uiUrl === null ? null : portOf(server.uiUrl),
    };
    this.server = server;
    this.logger = logger;
    this.supervision = this.supervise();
  }

  /** Ends it for good. What it had acknowledged is in its database, however it ends. */
  async stop(): Promise<void> {
    this.stopping.abort();
    const { server } = this;
    const patience = setTimeout(() => server.kill(), STOP_PATIENCE_MS);
    await server.stop();
    clearTimeout(patience);
    await this.supervision;
  }

  private isStopping(): boolean {
    return this.stopping.signal.aborted;
  }

  private async supervise(): Promise<void> {
    let pauseMs = RESTART_PAUSE_MIN_MS;
    for (;;) {
      const exit = await this.server.exited;
      while (!this.isStopping()) {
        this.logger.warn({ ...exit, pauseMs }, 'the embedded Temporal ended by itself: starting it again');
        await pause(pauseMs, this.stopping.signal);
        pauseMs = Math.min(pauseMs * 2, RESTART_PAUSE_MAX_MS);
        if (await this.restart()) break;
      }
      if (this.isStopping()) return;
      pauseMs = RESTART_PAUSE_MIN_MS;
    }
  }

  private async restart(): Promise<boolean> {
    if (this.isStopping()) return false;
    try {
      this.server = await startDevServer(this.options);
    } catch (error) {
      this.logger.error({ err: error }, 'the embedded Temporal could not be started again');
      return false;
    }
    this.logger.info({ address: this.address }, 'the embedded Temporal is back');
    // A stop that came meanwhile has stopped the previous one.
    if (this.isStopping()) {
      this.server.kill();
      await this.server.exited;
    }
    return true;
  }
}

const portOf = (address: string): number => Number(/:(\d+)$/.exec(address)?.[1]);

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(end, ms);
    function end(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    }
    signal.addEventListener('abort', end);
    if (signal.aborted) end();
  });
}
