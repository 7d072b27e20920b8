import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

const HOST = '127.0.0.1';
/** Below the range from which the system takes ports for connections: one of those is in use at any moment. */
const PORTS = { first: 12_000, count: 20_000 };
const REMEMBERED_MAX = 5_000;
const handedOut = new Set<number>();

/**
 * A port that was free a moment ago, and so was the next one, where a shard has its gRPC. None of the thousands before it
 * is handed out again: its owner may be down, and come back.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = PORTS.first + 2 * randomInt(PORTS.count / 2);
    if (handedOut.has(port)) continue;
    const [oldest] = handedOut;
    if (handedOut.size > REMEMBERED_MAX && oldest !== undefined) handedOut.delete(oldest);
    handedOut.add(port);
    if ((await isFree(port)) && (await isFree(port + 1))) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  const probe = createServer();
  return new Promise((resolve) => {
    probe.once('error', () => resolve(false));
    probe.listen(port, HOST, () => probe.close(() => resolve(true)));
  });
}
