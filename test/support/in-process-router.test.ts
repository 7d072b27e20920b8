import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PlacementPlan } from '../../src/domain/placement-plan';
import { placementSpec, type ShardMap } from '../../src/domain/shard-map';
import { startRouter, type InProcessRouter } from './in-process-router';
import { startShard, SHARD_KEY, type InProcessShard } from './in-process-shard';

let shards: InProcessShard[];
let router: InProcessRouter;
let coordinator: Server;
let map: ShardMap;

beforeEach(async () => {
  shards = await Promise.all([startShard(), startShard(), startShard()]);
  const entries = shards.map(({ url }, id) => ({ id, primary_url: url, replica_urls: [] }));
  map = { version: 1, shards: entries, joining: [2], leaving: [] };
  coordinator = createServer((_request, response) => response.end(JSON.stringify(map)));
  await new Promise<void>((resolve) => coordinator.listen(0, '127.0.0.1', resolve));
  router = await startRouter({
    coordinatorUrl: `http://127.0.0.1:${(coordinator.address() as AddressInfo).port}`,
    shardUrls: shards.slice(0, 2).map(({ url }) => url),
    shardKey: SHARD_KEY,
    keys: ['client-key'],
  });
});
afterEach(async () => {
  await router.stop();
  coordinator.close();
  coordinator.closeAllConnections();
  await Promise.all(shards.map((shard) => shard.stop()));
});

type Body = Record<string, unknown> & { readonly matches?: readonly { readonly id: string }[] };

async function call(method: string, path: string, body?: unknown): Promise<{ status: number; body: Body }> {
  const response = await fetch(`${router.url}${path}`, {
    method,
    headers: { authorization: 'Bearer client-key', 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: JSON.parse(text) as Body };
}

/** The first id of its kind: owned by the joining shard, or by one that is not. */
function anId(isMoving: boolean): { id: string; owner: number; donor: number } {
  const plan = new PlacementPlan(placementSpec(map));
  for (let i = 0; ; i++) {
    plan.locate(Buffer.from(`id-${i}`));
    if ((plan.owner === 2) === isMoving) return { id: `id-${i}`, owner: plan.owner, donor: plan.donor };
  }
}

const upsert = (id: string) => call('POST', '/v1/collections/docs/points', { points: [{ id, vector: [1, 2] }] });

describe('the in-process router', () => {
  it('creates and drops a collection on every shard, the joining one included', async () => {
    expect((await call('POST', '/v1/collections', { name: 'docs', dim: 2 })).status).toBe(200);
    expect(shards.map((shard) => shard.collections())).toEqual([['docs'], ['docs'], ['docs']]);
    expect((await call('DELETE', '/v1/collections/docs')).body).toEqual({ existed: true });
    expect(shards.map((shard) => shard.collections())).toEqual([[], [], []]);
  });

  it('writes a moving point to its owner first and then to its donor, and reads it from the donor', async () => {
    await call('POST', '/v1/collections', { name: 'docs', dim: 2 });
    const { id, donor } = anId(true);
    const order: number[] = [];
    shards.forEach((shard, index) => {
      const match = { method: 'POST', path: /points$/ };
      shard.faults.add({ match, fault: { kind: 'before', run: () => void order.push(index) } });
    });
    expect((await upsert(id)).body).toEqual({ upserted: 1 });
    expect(order).toEqual([2, donor]);
    shards[2]!.delete('docs', id);
    expect((await call('GET', `/v1/collections/docs/points/${id}`)).status).toBe(200);
    expect((await call('DELETE', '/v1/collections/docs/points', { ids: [id] })).body).toEqual({ deleted: 1 });
    expect(shards.map((shard) => shard.ids('docs'))).toEqual([[], [], []]);
  });

  it('writes to all owners of a request before the first of its donors', async () => {
    await call('POST', '/v1/collections', { name: 'docs', dim: 2 });
    const plan = new PlacementPlan(placementSpec(map));
    const ids = Array.from({ length: 100 }, (_, index) => `id-${index}`);
    const placed = ids.map((id) => {
      plan.locate(Buffer.from(id));
      return { owner: plan.owner, donor: plan.donor };
    });
    const owners = new Set(placed.map(({ owner }) => owner));
    const donors = new Set(placed.filter(({ owner }) => owner === 2).map(({ donor }) => donor));
    expect({ owners: owners.size, donors: donors.size }).toEqual({ owners: 3, donors: 2 });
    const order: number[] = [];
    shards.forEach((shard, index) => {
      const match = { method: 'POST', path: /points:bulk$/ };
      shard.faults.add({ match, fault: { kind: 'before', run: () => void order.push(index) } });
    });
    const points = ids.map((id) => ({ id, vector: [1, 2] }));
    expect((await call('POST', '/v1/collections/docs/points:bulk', { points })).body).toEqual({ upserted: 100 });
    expect(new Set(order.slice(0, 3))).toEqual(owners);
    expect(new Set(order.slice(3))).toEqual(donors);
    expect(order).toHaveLength(5);
  });

  it('leaves the donor alone when the write to the owner failed', async () => {
    await call('POST', '/v1/collections', { name: 'docs', dim: 2 });
    const { id } = anId(true);
    shards[2]!.faults.add({ match: { path: /points$/ }, fault: { kind: 'status', status: 503 } });
    expect((await upsert(id)).status).toBe(503);
    expect(shards.map((shard) => shard.ids('docs'))).toEqual([[], [], []]);
  });

  it('writes a point that does not move to its owner only', async () => {
    await call('POST', '/v1/collections', { name: 'docs', dim: 2 });
    const { id, owner } = anId(false);
    await upsert(id);
    expect(shards.map((shard) => shard.ids('docs').length)).toEqual(
      [0, 1, 2].map((index) => (index === owner ? 1 : 0)),
    );
  });

  it('searches the shards that are not joining and collapses results with one id', async () => {
    await call('POST', '/v1/collections', { name: 'docs', dim: 2 });
    for (const shard of shards) shard.put('docs', { id: 'both', vector: [1, 2] });
    shards[2]!.put('docs', { id: 'joiner-only', vector: [1, 2] });
    const { body } = await call('POST', '/v1/collections/docs/query', { vector: [1, 2], k: 5 });
    expect(body.matches?.map(({ id }) => id)).toEqual(['both']);
  });

  it('adopts only a map with a greater version, and tells which one it holds', async () => {
    map = { ...map, version: 1, joining: [] };
    await router.poll();
    expect(router.map.joining).toEqual([2]);
    map = { ...map, version: 2 };
    await router.poll();
    expect((await call('GET', '/cluster/map')).body).toEqual(map);
  });

  it('tries the other address of a shard that is not the leader', async () => {
    await call('POST', '/v1/collections', { name: 'docs', dim: 2 });
    const { id, owner } = anId(false);
    const leader = shards[owner]!;
    const follower = await startShard({ leader });
    const replaced = { id: owner, primary_url: follower.url, replica_urls: [leader.url] };
    map = { ...map, version: 2, shards: map.shards.map((shard) => (shard.id === owner ? replaced : shard)) };
    await router.poll();
    expect((await upsert(id)).status).toBe(200);
    expect(leader.ids('docs')).toEqual([id]);
    await follower.stop();
  });

  it('asks its clients for a key', async () => {
    expect((await fetch(`${router.url}/cluster/map`)).status).toBe(401);
  });
});
