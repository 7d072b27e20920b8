import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { LocalServer } from './local-server';

export interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Answers one request. `attempt` counts from 1. What it leaves open stays open until `stop`. */
export type Behaviour = (response: ServerResponse, received: Received, attempt: number) => void;

/** A server that answers as a test says, and counts its requests. */
export class StubShard {
  readonly received: Received[] = [];
  behaviour: Behaviour;
  readonly #server: LocalServer;
  readonly #port: number;

  /** `port` 0: a free one. */
  constructor(behaviour: Behaviour, port = 0) {
    this.behaviour = behaviour;
    this.#server = new LocalServer((request, response) => this.#answer(request, response));
    this.#port = port;
  }

  get url(): string {
    return this.#server.url;
  }

  get attempts(): number {
    return this.received.length;
  }

  /** The first time on any free port, later on the same one. */
  async start(): Promise<this> {
    await this.#server.listen(this.#port);
    return this;
  }

  /** Cuts every connection, as a killed process does. */
  stop(): Promise<void> {
    return this.#server.stop();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    try {
      for await (const part of request) parts.push(part as Buffer);
    } catch {
      return; // The client has cancelled the request.
    }
    const { method = '', url = '', headers } = request;
    const received = { method, url, headers, body: Buffer.concat(parts).toString('utf8') };
    this.received.push(received);
    this.behaviour(response, received, this.received.length);
  }
}

export function json(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

export function problem(response: ServerResponse, status: number, detail: string, headers: object = {}): void {
  response.writeHead(status, { 'content-type': 'application/problem+json', ...headers });
  response.end(JSON.stringify({ type: 'about:blank', title: 'Any', status, detail }));
}
