import { ApiServer, DIAGNOSIS, KEYS } from '../../support/api-server';

let api: ApiServer;
beforeEach(async () => {
  api = await ApiServer.start();
});
afterEach(() => api.close());

describe('GET /cluster/doctor', () => {
  it('needs the role read', async () => {
    expect((await api.call('/cluster/doctor', { key: null })).status).toBe(401);
    expect((await api.call('/cluster/doctor', { key: KEYS.read })).status).toBe(200);
    expect((await api.call('/cluster/doctor', { method: 'POST' })).status).toBe(405);
  });

  it('tells what the API and a worker see, and is kept by nobody', async () => {
    const { json, headers } = await api.call('/cluster/doctor');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(json).toMatchObject({
      scan_stop_max_ms: 30_000,
      temporal: { version: '1.31.0', retention_s: 259_200, pollers: [{ last_seen: '2026-01-02T00:00:00.000Z' }] },
      worker: { host: 'worker-a', clock_skew_ms: 0, spool: { folder: '/var/spool' } },
      worker_problem: null,
      shards: [{ id: 0, key: { role: 'admin', is_scoped: false } }, { id: 1 }],
    });
  });

  it('tells why no worker has looked', async () => {
    api.diagnosis.found = { ...DIAGNOSIS, apiSkewMs: null, seen: { problem: 'no worker' } };
    expect((await api.call('/cluster/doctor')).json).toMatchObject({
      worker: null,
      worker_problem: 'no worker',
      api: { clock_skew_ms: null },
      shards: [],
    });
  });

  it('looks once for all who ask meanwhile', async () => {
    let end = (): void => undefined;
    const underWay = new Promise<void>((resolve) => (end = resolve));
    const { diagnosis } = api;
    const looked = jest.spyOn(diagnosis, 'examine').mockImplementation(async () => {
      await underWay;
      return DIAGNOSIS;
    });
    const asking = Array.from({ length: 10 }, () => api.call('/cluster/doctor'));
    await new Promise((resolve) => setTimeout(resolve, 200));
    end();
    expect((await Promise.all(asking)).map(({ status }) => status)).toEqual(Array(10).fill(200));
    // The first call has a look of its own, and those that came while it was under way share the next one.
    expect(looked.mock.calls.length).toBeLessThanOrEqual(2);
  });
});
