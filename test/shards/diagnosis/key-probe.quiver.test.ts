/** What real Quiver answers to the probes, on which the roles are told. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent } from 'undici';
import { probeHealth } from '../../../src/shards/diagnosis/health-probe';
import { probeKey } from '../../../src/shards/diagnosis/key-probe';
import { OPEN_REACH } from '../../../src/shards/reach/reach';
import { ShardHttp } from '../../../src/shards/http/shard-http';
import { steadyNowMs } from '../../../src/shards/steady-clock';
import { describeWithQuiver, quiverBinary, startQuiver, type RealQuiver } from '../../support/real-quiver';

const KEYS = [
  'admin-key',
  '{secret=writer,role=write}',
  '{secret=reader,role=read}',
  '{secret=scoped,role=admin,collections=[docs]}',
];

describeWithQuiver('the probes of real Quiver', () => {
  let dir: string;
  let quiver: RealQuiver;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'key-probe-'));
    const env = { QUIVER_API_KEYS: `[${KEYS.join(',')}]` };
    quiver = await startQuiver({ role: 'shard', binary: quiverBinary() ?? '', dataDir: dir, env });
  });
  afterAll(async () => {
    await quiver.kill();
    await rm(dir, { recursive: true, force: true });
  });

  it.each([
    ['admin-key', { role: 'admin', isScoped: false, problem: null }],
    ['writer', { role: 'write', isScoped: false, problem: null }],
    ['reader', { role: 'read', isScoped: false, problem: null }],
    ['scoped', { role: null, isScoped: true, problem: null }],
    ['wrong', { role: 'refused', isScoped: null }],
  ])('tell the role of the key %s', async (key, seen) => {
    const http = new ShardHttp({ address: { primary_url: quiver.url, replica_urls: [] }, key });
    expect(await probeKey(http, { deadlineMs: steadyNowMs() + 2_000 })).toMatchObject(seen);
  });

  it('leave nothing behind', async () => {
    const listed = await fetch(`${quiver.url}/v1/collections`, { headers: { authorization: 'Bearer admin-key' } });
    expect(await listed.json()).toEqual([]);
  });

  it('tell its clock', async () => {
    const agent = new Agent({ connect: OPEN_REACH.connector() });
    const { signal } = new AbortController();
    const asked = { timeoutMs: 2_000, signal, nowMs: () => steadyNowMs() };
    expect(await probeHealth(quiver.url, agent, asked)).toEqual({ problem: null, clockSkewMs: 0 });
    await agent.destroy();
  });
});
