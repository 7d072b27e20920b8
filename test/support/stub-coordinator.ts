/** Fixed answers by method and path, for what the API app of the other tests cannot be made to answer. Remembers what it was asked. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface StubAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON, unless it is text already. */
  readonly body: unknown;
}

export interface Asked {
  readonly line: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: unknown;
}

const UNKNOWN_ROUTE: StubAnswer = {
  status: 404,
  headers: { 'Content-Type': 'application/problem+json' },
  body: { type: 'about:blank', title: 'Not Found', status: 404, detail: 'there is none', code: 'UnknownRoute' },
};

export class StubCoordinator {
  readonly asked: Asked[] = [];
  /** By `METHOD /path`, the query included. */
  readonly answers = new Map<string, StubAnswer | (() => StubAnswer)>();
  private readonly server: Server;

  static async start(): Promise<StubCoordinator> {
    const stub = new StubCoordinator();
    await new Promise<void>((resolve) => stub.server.listen(0, '127.0.0.1', resolve));
    return stub;
  }

  private constructor() {
    this.server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const line = `${request.method} ${request.url}`;
        const text = Buffer.concat(chunks).toString();
        this.asked.push({ line, headers: request.headers, body: text === '' ? undefined : JSON.parse(text) });
        const found = this.answers.get(line) ?? UNKNOWN_ROUTE;
        const { status = 200, headers = {}, body } = typeof found === 'function' ? found() : found;
        response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
        response.end(status === 304 ? undefined : typeof body === 'string' ? body : JSON.stringify(body));
      });
    });
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  answer(line: string, body: unknown, more: Omit<StubAnswer, 'body'> = {}): void {
    this.answers.set(line, { ...more, body });
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
