import { Agent, type Dispatcher } from 'undici';
import { OPEN_REACH, Reach } from '../../../src/shards/reach/reach';
import { probeHealth } from '../../../src/shards/diagnosis/health-probe';
import { probeKey } from '../../../src/shards/diagnosis/key-probe';
import { ShardHttp } from '../../../src/shards/http/shard-http';
import { steadyNowMs } from '../../../src/shards/steady-clock';
import { startShard, type InProcessShard } from '../../support/in-process-shard';
import { json, StubShard } from '../../support/stub-shard';

const KEYS = ['admin-key', { secret: 'writer', role: 'write' }, { secret: 'reader', role: 'read' }] as const;
const inTime = () => ({ deadlineMs: steadyNowMs() + 2_000 });
const closing: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of closing.splice(0)) await each.stop();
});

async function start<T extends { stop(): Promise<void> }>(starting: Promise<T>): Promise<T> {
  const started = await starting;
  closing.push(started);
  return started;
}

const keyOf = (shard: { url: string }, key: string | null, replicas: string[] = []) =>
  probeKey(new ShardHttp({ address: { primary_url: shard.url, replica_urls: replicas }, key }), inTime());

describe('the probe of a key', () => {
  let shard: InProcessShard;
  beforeEach(async () => {
    shard = await start(startShard({ keys: KEYS }));
    shard.create({ name: 'docs', dim: 1, metric: 'l2', index: 'hnsw' });
    shard.put('docs', { id: 'a', vector: [1] });
  });

  it('tells the role, and changes nothing', async () => {
    expect(await keyOf(shard, 'admin-key')).toEqual({ role: 'admin', isScoped: false, problem: null });
    expect(await keyOf(shard, 'writer')).toEqual({ role: 'write', isScoped: false, problem: null });
    expect(await keyOf(shard, 'reader')).toEqual({ role: 'read', isScoped: false, problem: null });
    expect([shard.collections(), shard.ids('docs')]).toEqual([['docs'], ['a']]);
    const named = shard.requests.map(({ path }) => path.split('/')[3]);
    for (const name of named) expect(name).toMatch(/^coordinator-probe-[0-9a-f]{16}$/);
  });

  it('tells a key that is refused, without showing it', async () => {
    const seen = await keyOf(shard, 'a-wrong-key');
    expect(seen).toMatchObject({ role: 'refused', isScoped: null, problem: expect.stringContaining('401') });
    expect(JSON.stringify(seen)).not.toContain('a-wrong-key');
  });

  it('tells a key that may not see every collection', async () => {
    const scoped = await start(
      new StubShard((response) => json(response, { detail: 'outside of the scope' }, 403)).start(),
    );
    expect(await keyOf(scoped, 'k')).toEqual({ role: null, isScoped: true, problem: null });
  });

  it('does not take a fault for a role', async () => {
    shard.faults.add({ match: { method: 'DELETE' }, fault: { kind: 'status', status: 503 } });
    expect(await keyOf(shard, 'admin-key')).toMatchObject({ role: null, problem: expect.stringContaining('503') });
    await shard.stop();
    expect(await keyOf(shard, 'admin-key')).toMatchObject({ role: null, isScoped: null });
  });

  it('asks the leader what a write may do', async () => {
    const follower = await start(startShard({ keys: KEYS, leader: shard }));
    expect(await keyOf(follower, 'writer', [shard.url])).toMatchObject({ role: 'write' });
  });
});

describe('the probe of a health', () => {
  const agent = new Agent({ connect: OPEN_REACH.connector() });
  afterAll(() => agent.destroy());
  interface Asked {
    nowMs?: () => number;
    timeoutMs?: number;
    dispatcher?: Dispatcher;
  }
  const healthOf = (url: string, { nowMs = steadyNowMs, timeoutMs = 500, dispatcher }: Asked = {}) =>
    probeHealth(url, dispatcher ?? agent, { timeoutMs, signal: new AbortController().signal, nowMs });

  it('tells that a shard answers, and how far its clock is off', async () => {
    const shard = await start(startShard());
    expect(await healthOf(shard.url)).toEqual({ problem: null, clockSkewMs: 0 });
    const behind = await healthOf(shard.url, { nowMs: () => steadyNowMs() + 60_000 });
    expect(behind.clockSkewMs).toBeLessThanOrEqual(-58_000);
    const ahead = await healthOf(shard.url, { nowMs: () => steadyNowMs() - 60_000 });
    expect(ahead.clockSkewMs).toBeGreaterThanOrEqual(58_000);
  });

  it('knows no clock of an answer without a date', async () => {
    const dateless = await start(
      new StubShard((response) => {
        response.sendDate = false;
        response.end('ok');
      }).start(),
    );
    expect(await healthOf(dateless.url)).toEqual({ problem: null, clockSkewMs: null });
  });

  it('says why there is no answer', async () => {
    const ill = await start(new StubShard((response) => json(response, {}, 503)).start());
    expect((await healthOf(ill.url)).problem).toBe('/healthz answers with status 503');
    const mute = await start(new StubShard(() => undefined).start());
    expect((await healthOf(mute.url, { timeoutMs: 50 })).problem).toBe('no answer within 50 ms');
    await ill.stop();
    expect((await healthOf(ill.url)).problem).toBe('no answer (ECONNREFUSED)');
    const reach = new Reach({ allowed: ['10.0.0.0/8'], own: [] });
    expect((await healthOf(ill.url, { dispatcher: reach.dispatcher })).problem).toContain('127.0.0.1');
    await reach.close();
  });

  it('takes no kept-alive connection that was closed for a shard that is away', async () => {
    const shard = await start(startShard());
    await healthOf(shard.url);
    await shard.stop();
    expect((await healthOf(shard.url)).problem).toBe('no answer (ECONNREFUSED)');
    await shard.listen();
    expect((await healthOf(shard.url)).problem).toBeNull();
  });

  it('ends with its caller', async () => {
    const mute = await start(new StubShard(() => undefined).start());
    const reason = new Error('cancelled');
    const asking = probeHealth(mute.url, agent, {
      timeoutMs: 5_000,
      signal: AbortSignal.abort(reason),
      nowMs: Date.now,
    });
    await expect(asking).rejects.toBe(reason);
  });
});
