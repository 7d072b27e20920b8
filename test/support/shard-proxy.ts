/**
 * Stands in front of a real shard under the address that the map gives out, and makes what only a coordinator asks for
 * take longer, so that a phase lasts long enough to be hit. A request that has arrived is carried out even when its
 * sender has been killed meanwhile, as it would be on a slow network.
 */
import { Agent, createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * Clients write and delete at `…/points` and read single points; routers create and drop collections as well, rarely.
 */
const COORDINATORS_ONLY =
  /^(GET \/v1\/collections(\/[^/]+)?|POST \/v1\/collections(\/[^/]+\/(fetch|points:bulk|query))?)$/;

export class ShardProxy {
  /** How much longer a coordinator's request takes. */
  delayMs = 0;
  private readonly target: string;
  private readonly agent = new Agent({ keepAlive: true });
  private readonly server = createServer((request, response) => void this.pass(request, response));

  constructor(target: string) {
    this.target = target;
    // Between two requests of a slow test a client must not find its connection closed.
    this.server.keepAliveTimeout = 120_000;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject).listen(0, '127.0.0.1', resolve);
    });
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.server.closeAllConnections();
    this.agent.destroy();
    await closed;
  }

  private async pass(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    const { method = 'GET', url: path = '/' } = incoming;
    try {
      const chunks: Buffer[] = [];
      for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
      if (this.delayMs > 0 && COORDINATORS_ONLY.test(`${method} ${path}`)) await delay(this.delayMs);
      const options = { method, headers: incoming.headers, agent: this.agent };
      const outgoing = httpRequest(`${this.target}${path}`, options, (reply) => {
        answer.writeHead(reply.statusCode ?? 502, reply.headers);
        reply.on('error', () => answer.destroy()).pipe(answer);
      });
      outgoing.on('error', () => incoming.socket.destroy());
      outgoing.end(Buffer.concat(chunks));
    } catch {
      // The sender went away in the middle of its own body: there is nothing to carry out.
      incoming.socket.destroy();
    }
  }
}
