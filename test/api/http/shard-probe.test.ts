import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { clusterHealth, createProbe } from '../../../src/api/http/shard-probe';

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

async function shard(answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('the probe of a shard', () => {
  it('is true only for a 200 of /healthz', async () => {
    const probe = createProbe();
    const url = await shard((request, response) =>
      response.writeHead(request.url === '/healthz' ? 200 : 404).end('ok'),
    );
    expect(await probe(url)).toBe(true);
    expect(await probe(`${url}/elsewhere`)).toBe(false);
    expect(await probe(await shard((_request, response) => response.writeHead(503).end()))).toBe(false);
    expect(await probe(await shard((_request, response) => response.writeHead(302, { Location: url }).end()))).toBe(
      false,
    );
  });

  it('is false for a shard that refuses or hangs', async () => {
    const probe = createProbe({ timeoutMs: 100 });
    expect(await probe('http://127.0.0.1:1')).toBe(false);
    expect(await probe(await shard(() => undefined))).toBe(false);
  });
});

describe('clusterHealth', () => {
  it('probes all shards side by side', async () => {
    const shards = [0, 1, 2].map((id) => ({ id, primary_url: `http://s${id}`, replica_urls: [] }));
    let begun = 0;
    let allBegan: () => void = () => undefined;
    const all = new Promise<void>((resolve) => (allBegan = resolve));
    const probe = async (): Promise<boolean> => {
      if (++begun === shards.length) allBegan();
      await all;
      return true;
    };
    const map = { version: 0, shards, joining: [], leaving: [] };
    expect(await clusterHealth(map, probe)).toEqual({ '0': true, '1': true, '2': true });
  });
});
