import { startShard, SHARD_KEY, type Fault, type InProcessShard } from './in-process-shard';
import { waitFor } from './wait-for';

const HEADERS = { authorization: `Bearer ${SHARD_KEY}`, 'content-type': 'application/json' };

let shard: InProcessShard;
beforeEach(async () => {
  shard = await startShard();
  shard.create({ name: 'docs', dim: 2 });
});
afterEach(() => shard.stop());

async function upsert(ids: string | string[], signal: AbortSignal | null = null): Promise<Response> {
  const body = JSON.stringify({ points: [ids].flat().map((id) => ({ id, vector: [1, 2] })) });
  return fetch(`${shard.url}/v1/collections/docs/points`, { method: 'POST', headers: HEADERS, body, signal });
}

async function fetchIds(offset = 0): Promise<string[]> {
  const body = JSON.stringify({ offset, limit: 2 });
  const response = await fetch(`${shard.url}/v1/collections/docs/fetch`, { method: 'POST', headers: HEADERS, body });
  return ((await response.json()) as { points: { id: string }[] }).points.map(({ id }) => id);
}

const strike = (fault: Fault, match: Parameters<InProcessShard['faults']['add']>[0]['match'] = {}) =>
  shard.faults.add({ match: { method: 'POST', ...match }, fault });

describe('a fault of the in-process shard', () => {
  it('cuts the connection and does nothing when it refuses', async () => {
    strike({ kind: 'refuse' });
    await expect(upsert('a')).rejects.toThrow();
    expect(shard.ids('docs')).toEqual([]);
  });

  it('does nothing and never answers when it hangs, and carries out first when it hangs after', async () => {
    for (const [kind, ids] of [
      ['hang', []],
      ['hangAfter', ['a']],
    ] as const) {
      shard.faults.clear();
      const fault = strike({ kind });
      await expect(upsert('a', AbortSignal.timeout(300))).rejects.toThrow('timeout');
      await waitFor('the fault has struck and the write is done or not', () => {
        return fault.hits === 1 && shard.ids('docs').length === ids.length;
      });
    }
  });

  it('carries a slow write out late, even when the caller has given up', async () => {
    strike({ kind: 'slow', ms: 200 });
    await expect(upsert('late', AbortSignal.timeout(50))).rejects.toThrow('timeout');
    expect(shard.ids('docs')).toEqual([]);
    await waitFor('the late write has been carried out', () => shard.get('docs', 'late'));
  });

  it('answers a status with Retry-After instead of writing', async () => {
    strike({ kind: 'status', status: 429, retryAfter: '2' }, { times: 1 });
    const refused = await upsert('a');
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '2']);
    expect(shard.ids('docs')).toEqual([]);
    expect((await upsert('a')).status).toBe(200);
  });

  it('writes and then cuts the connection when the reply is lost', async () => {
    strike({ kind: 'replyLost' });
    await expect(upsert('a')).rejects.toThrow();
    expect(shard.ids('docs')).toEqual(['a']);
  });

  it('sends the head and half of the body when it cuts the body', async () => {
    await upsert(['a', 'b']);
    strike({ kind: 'cutBody' }, { path: /fetch$/ });
    const response = await fetch(`${shard.url}/v1/collections/docs/fetch`, {
      method: 'POST',
      headers: HEADERS,
      body: '{}',
    });
    expect(response.status).toBe(200);
    const length = Number(response.headers.get('content-length'));
    let bytes = 0;
    const read = async (): Promise<void> => {
      for await (const chunk of response.body ?? []) bytes += (chunk as Uint8Array).length;
    };
    await expect(read()).rejects.toThrow();
    expect(bytes).toBe(Math.floor(length / 2));
  });

  it('changes rows between two pages, so that a plain offset walk skips one', async () => {
    await upsert(['a', 'b', 'c', 'd']);
    strike({ kind: 'beforeReply', run: () => void shard.delete('docs', 'a') }, { path: /fetch$/, nth: 1 });
    expect([await fetchIds(0), await fetchIds(2)]).toEqual([['a', 'b'], ['d']]);
  });

  it('changes rows before a page is read', async () => {
    await upsert(['a', 'b']);
    strike({ kind: 'before', run: () => shard.put('docs', { id: '0', vector: [1, 2] }) }, { path: /fetch$/ });
    expect(await fetchIds()).toEqual(['0', 'a']);
  });

  it('strikes the nth request that matches, as often as it was told', async () => {
    const fault = strike({ kind: 'status', status: 503 }, { collection: 'docs', nth: 2, times: 2 });
    const statuses = [];
    for (const id of ['a', 'b', 'c', 'd']) statuses.push((await upsert(id)).status);
    expect(statuses).toEqual([200, 503, 503, 200]);
    expect(fault.hits).toBe(2);
    await fault.struck;
    expect((await fetch(`${shard.url}/v1/collections`, { headers: HEADERS })).status).toBe(200);
  });
});

describe('the in-process shard', () => {
  it('tells every attempt with its status, and none where it did not answer', async () => {
    strike({ kind: 'refuse' }, { nth: 2 });
    await upsert('a');
    await expect(upsert('b')).rejects.toThrow();
    expect(shard.requests).toEqual(
      [200, null].map((status) => ({
        method: 'POST',
        path: '/v1/collections/docs/points',
        collection: 'docs',
        startedAtMs: expect.any(Number) as number,
        status,
      })),
    );
  });

  it('comes back on the same port with its data after a stop, and without it when wiped', async () => {
    await upsert('a');
    const { url } = shard;
    await shard.stop();
    await expect(fetch(url)).rejects.toThrow();
    await shard.restart();
    expect([shard.url, await fetchIds()]).toEqual([url, ['a']]);
    await shard.restart('wipe');
    expect(shard.collections()).toEqual([]);
  });

  it('answers writes with 421 and reads with the data of its leader when it follows one', async () => {
    const follower = await startShard({ leader: shard });
    shard.put('docs', { id: 'a', vector: [1, 2] });
    const write = await fetch(`${follower.url}/v1/collections/docs/points`, {
      method: 'POST',
      headers: HEADERS,
      body: '{"points":[]}',
    });
    const read = await fetch(`${follower.url}/v1/collections/docs/points/a`, { headers: HEADERS });
    expect([write.status, read.status]).toEqual([421, 200]);
    await follower.stop();
  });

  it('lets a key do what its role allows', async () => {
    const guarded = await startShard({
      keys: ['all', { secret: 'reader', role: 'read' }, { secret: 'writer', role: 'write' }],
    });
    guarded.create({ name: 'docs', dim: 2 });
    const status = async (key: string, method: string, path: string, body?: string): Promise<number> => {
      const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
      const response = await fetch(`${guarded.url}/v1/collections${path}`, {
        method,
        headers,
        ...(body === undefined ? {} : { body }),
      });
      return response.status;
    };
    for (const [key, expected] of [
      ['reader', [200, 403, 403]],
      ['writer', [200, 200, 403]],
      ['all', [200, 200, 200]],
    ] as const) {
      expect([
        await status(key, 'POST', '/docs/fetch', '{}'),
        await status(key, 'POST', '/docs/points', '{"points":[]}'),
        await status(key, 'DELETE', '/absent'),
      ]).toEqual(expected);
    }
    await guarded.stop();
  });

  it('holds a search back for as long as building the index takes', async () => {
    const slow = await startShard({ indexBuildMs: 500 });
    slow.create({ name: 'docs', dim: 2, index: 'ivf' });
    slow.put('docs', { id: 'a', vector: [1, 2] });
    const collection = `${slow.url}/v1/collections/docs`;
    const order: string[] = [];
    const body = '{"vector":[1,2],"k":1}';
    const search = fetch(`${collection}/query`, { method: 'POST', headers: HEADERS, body }).then(() =>
      order.push('search'),
    );
    const before = (await (await fetch(collection, { headers: HEADERS })).json()) as { index_ready: boolean };
    order.push('description');
    await search;
    const after = (await (await fetch(collection, { headers: HEADERS })).json()) as { index_ready: boolean };
    expect(order).toEqual(['description', 'search']);
    expect([before.index_ready, after.index_ready]).toEqual([false, true]);
    await slow.stop();
  });
});
