/** A connection to Temporal: when it is closed while a call waits to be repeated, the process goes on. */
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { createLogger } from '../../src/log';
import { connectClient } from '../../src/temporal/connection';

const UNAVAILABLE = 14;
/** The SDK repeats a call that was answered UNAVAILABLE after 0.2 s at most. */
const REPEATED_MS = 600;
const EMPTY_MESSAGE = Buffer.alloc(5);

/** Answers whether it is there, and fails every other call. */
async function startUnavailableTemporal() {
  const server = http2.createServer();
  const asked: string[] = [];
  server.on('stream', (stream, headers) => {
    const method = String(headers[':path']).split('/').at(-1)!;
    asked.push(method);
    stream.resume();
    if (['GetSystemInfo', 'DescribeNamespace'].includes(method)) {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(EMPTY_MESSAGE);
    } else {
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': String(UNAVAILABLE) },
        { endStream: true },
      );
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, asked, address: `127.0.0.1:${(server.address() as AddressInfo).port}` };
}

it('ends a call that waited to be repeated when it was closed', async () => {
  const { server, asked, address } = await startUnavailableTemporal();
  try {
    const connection = await connectClient({
      address,
      connection: { apiKey: 'a-secret', tls: false },
      namespace: 'default',
      logger: createLogger('silent'),
    });
    const call = connection.workflowService.getClusterInfo({}).catch((error: unknown) => error);
    while (!asked.includes('GetClusterInfo')) await new Promise((resolve) => setTimeout(resolve, 5));
    await connection.close();
    await new Promise((resolve) => setTimeout(resolve, REPEATED_MS));
    const closed = { message: expect.stringContaining('the connection to Temporal was closed') };
    const error = await call;
    expect(error).toMatchObject(closed);
    expect(inspect(error, { depth: null })).not.toContain('a-secret');
    await expect(connection.workflowService.getClusterInfo({})).rejects.toMatchObject(closed);
  } finally {
    server.close();
  }
});
