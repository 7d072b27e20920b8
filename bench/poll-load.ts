/** Many kept-alive connections that ask for the map. Bare sockets, so that the load costs less than what it measures. */
import { connect, type Socket } from 'node:net';
import { KEY } from './http';

const HEAD_END = '\r\n\r\n';
const CONNECT_AT_ONCE = 200;

export interface Polls {
  readonly answers: number;
  readonly unchanged: number;
  /** Other statuses, and connections that broke. */
  readonly failed: number;
  /** Of 200 and 304. */
  readonly latenciesMs: readonly number[];
  readonly seconds: number;
}

export interface PollLoadOptions {
  readonly url: string;
  readonly connections: number;
  /** Between two questions of one connection, begun anywhere in it. 0: the next one follows the answer at once. */
  readonly intervalMs: number;
  /** Asks with the ETag of the answer before. */
  readonly isConditional: boolean;
}

export class PollLoad {
  private readonly options: PollLoadOptions;
  private readonly pollers: Poller[] = [];

  constructor(options: PollLoadOptions) {
    this.options = options;
  }

  /** Opens all connections, a few at a time. */
  async connect(): Promise<void> {
    const { connections } = this.options;
    while (this.pollers.length < connections) {
      const some = Math.min(CONNECT_AT_ONCE, connections - this.pollers.length);
      const opened = Array.from({ length: some }, () => new Poller(this.options));
      await Promise.all(opened.map((poller) => poller.connected));
      this.pollers.push(...opened);
    }
  }

  /** Polls for so long, and counts what was asked in that time. */
  async run(ms: number): Promise<Polls> {
    const beganAtMs = performance.now();
    for (const poller of this.pollers) poller.begin();
    await new Promise((resolve) => setTimeout(resolve, ms));
    for (const poller of this.pollers) poller.pause();
    const seconds = (performance.now() - beganAtMs) / 1_000;
    const sum = (of: (poller: Poller) => number): number => this.pollers.reduce((total, each) => total + of(each), 0);
    const polls = {
      answers: sum(({ latenciesMs }) => latenciesMs.length),
      unchanged: sum(({ unchanged }) => unchanged),
      failed: sum(({ failed }) => failed),
      latenciesMs: this.pollers.flatMap(({ latenciesMs }) => latenciesMs),
      seconds,
    };
    for (const poller of this.pollers) poller.forget();
    return polls;
  }

  close(): void {
    for (const poller of this.pollers) poller.close();
  }
}

class Poller {
  readonly connected: Promise<void>;
  latenciesMs: number[] = [];
  unchanged = 0;
  failed = 0;
  private readonly socket: Socket;
  private readonly options: PollLoadOptions;
  private readonly host: string;
  private etag: string | null = null;
  private received = '';
  private askedAtMs = 0;
  private isPolling = false;
  private isAsking = false;
  private timer: NodeJS.Timeout | null = null;

  constructor(options: PollLoadOptions) {
    this.options = options;
    const { hostname, port, host } = new URL(options.url);
    this.host = host;
    this.socket = connect({ host: hostname, port: Number(port), noDelay: true });
    this.socket.setEncoding('latin1');
    this.connected = new Promise((resolve, reject) => this.socket.once('connect', resolve).once('error', reject));
    this.socket.on('data', (text: string) => this.read(text));
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => {
      if (this.isPolling) this.failed += 1;
    });
  }

  begin(): void {
    this.isPolling = true;
    if (this.options.intervalMs === 0) this.ask();
    else this.timer = setTimeout(() => this.ask(), Math.random() * this.options.intervalMs);
  }

  pause(): void {
    this.isPolling = false;
    if (this.timer !== null) clearTimeout(this.timer);
  }

  forget(): void {
    this.latenciesMs = [];
    this.unchanged = 0;
    this.failed = 0;
  }

  close(): void {
    this.socket.destroy();
  }

  private ask(): void {
    if (!this.isPolling || this.isAsking) return;
    const known = this.etag === null || !this.options.isConditional ? '' : `If-None-Match: ${this.etag}\r\n`;
    this.isAsking = true;
    this.askedAtMs = performance.now();
    this.socket.write(
      `GET /cluster/map HTTP/1.1\r\nHost: ${this.host}\r\nAuthorization: Bearer ${KEY}\r\n${known}\r\n`,
    );
  }

  private read(text: string): void {
    this.received += text;
    const end = this.received.indexOf(HEAD_END);
    if (end < 0) return;
    const head = this.received.slice(0, end);
    const status = Number(head.slice(9, 12));
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
    if (this.received.length < end + HEAD_END.length + (status === 304 ? 0 : length)) return;
    this.etag = /etag: (\S+)/i.exec(head)?.[1] ?? null;
    this.received = '';
    this.isAsking = false;
    this.count(status);
    const { intervalMs } = this.options;
    if (intervalMs === 0) this.ask();
    else if (this.isPolling) this.timer = setTimeout(() => this.ask(), intervalMs);
  }

  private count(status: number): void {
    if (!this.isPolling) return;
    if (status !== 200 && status !== 304) this.failed += 1;
    else this.latenciesMs.push(performance.now() - this.askedAtMs);
    if (status === 304) this.unchanged += 1;
  }
}
