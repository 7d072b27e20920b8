import { SHARD_KEY, startShard, type InProcessShard } from './in-process-shard';
import {
  RegisterCheck,
  faultCount,
  refusedCount,
  type RegisterCheckOptions,
  type RegisterReport,
} from './register-check';
import { idOf, isReadableThroughRouter, pointText, type CheckedCollection, type Register } from './register-content';
import { waitFor } from './wait-for';

const PLAIN: CheckedCollection = { name: 'docs', dim: 4, metric: 'l2', index: 'hnsw', ids: 'plain', points: 60 };
const PATHOLOGICAL: CheckedCollection = { ...PLAIN, name: 'odd', metric: 'cosine', ids: 'pathological' };

/** A cluster of one shard, which is its own router, and a second shard that owns nothing. */
describe('the register check', () => {
  let shard: InProcessShard;
  let other: InProcessShard;
  let check: RegisterCheck;

  beforeEach(async () => {
    [shard, other] = [await startShard(), await startShard()];
  });

  afterEach(async () => {
    await check.close();
    await Promise.all([shard.stop(), other.stop()]);
  });

  async function prefilled(options: Partial<RegisterCheckOptions> = {}): Promise<void> {
    const requestsPerSecond = 2_000;
    const collections = [PLAIN, PATHOLOGICAL];
    check = new RegisterCheck({ routerUrl: shard.url, key: SHARD_KEY, collections, requestsPerSecond, ...options });
    await check.prefill();
    for (const { name, dim, metric, index } of collections) other.create({ name, dim, metric, index });
  }

  /** Lets the clients do some of everything. */
  async function used(): Promise<void> {
    check.start();
    const { counts } = check;
    await waitFor('clients have written, deleted and read', () => {
      return counts.writes > 40 && counts.deletes > 40 && counts.reads > 40;
    });
    await check.stop();
  }

  const verify = (): Promise<RegisterReport> =>
    check.verify({
      shards: [
        { id: 0, url: shard.url },
        { id: 1, url: other.url },
      ],
      placement: { shards: [0], joining: [], leaving: [] },
    });

  const register = (number: number, collection = PLAIN): Register => ({
    collection,
    number,
    id: idOf(collection, number),
  });

  test('finds nothing wrong with a shard that did as it was told', async () => {
    await prefilled();
    await used();
    const report = await verify();
    expect(report.examples).toEqual([]);
    expect(faultCount(report)).toBe(0);
    expect(refusedCount(report.refusedWrites) + refusedCount(report.refusedReads)).toBe(0);
    expect(report.unsure).toBe(0);
    expect(report.checked.ids).toBe(2 * (60 + 400));
    expect(report.checked.throughRouter).toBeGreaterThan(460);
    expect(report.checked.pointsOnShards).toBe(shard.ids('docs').length + shard.ids('odd').length);
    expect(report.checked.acknowledgedWrites).toBeGreaterThan(40);
    expect(report.checked.acknowledgedDeletes).toBeGreaterThan(40);
  });

  test('reports an acknowledged point that is not there as lost', async () => {
    await prefilled();
    shard.delete('docs', idOf(PLAIN, 7));
    shard.delete('odd', idOf(PATHOLOGICAL, 1));
    expect(await verify()).toMatchObject({ lost: 2, resurrected: 0, stale: 0, altered: 0, misplaced: 0, unknown: 0 });
  });

  test('reports every point of a dropped collection as lost', async () => {
    await prefilled();
    const headers = { authorization: `Bearer ${SHARD_KEY}` };
    await fetch(`${shard.url}/v1/collections/docs`, { method: 'DELETE', headers });
    expect(await verify()).toMatchObject({ lost: 60 });
  });

  test('reports an acknowledged delete that came back as resurrected', async () => {
    await prefilled();
    await used();
    const gone = Array.from({ length: 460 }, (_, number) => register(number)).filter(
      (each) => !shard.ids('docs').includes(each.id),
    );
    shard.put('docs', ...gone.slice(0, 3).map((each) => pointText(each, 1)));
    expect(await verify()).toMatchObject({ lost: 0, resurrected: 3, stale: 0, altered: 0 });
  });

  test('reports another version than the acknowledged one as stale', async () => {
    await prefilled();
    shard.put('docs', pointText(register(5), 12));
    shard.put('odd', pointText(register(4, PATHOLOGICAL), 1));
    expect(await verify()).toMatchObject({ lost: 0, resurrected: 0, stale: 2, altered: 0 });
  });

  test.each([
    ['an integer beyond 2^53 that was rounded', '9007199254740993', '9007199254740992'],
    ['a float that became an integer', '"float":1.0', '"float":1'],
    ['a negative zero that lost its sign', '-0.0', '0.0'],
    ['a text that lost a character', '世', ''],
    ['a vector of another version', /"vector":\[[^\]]*\]/, '"vector":[0.5,0.5,0.5,0.5]'],
  ])('reports a point as altered when it holds %s', async (_what, written, stored) => {
    await prefilled();
    shard.put('docs', pointText(register(5), 0).replace(written, stored));
    expect(await verify()).toMatchObject({ lost: 0, resurrected: 0, stale: 0, altered: 1 });
  });

  test('reports a point on two shards, and one on a wrong shard only, as misplaced', async () => {
    await prefilled();
    other.put('docs', pointText(register(5), 0), pointText(register(6), 0));
    shard.delete('docs', idOf(PLAIN, 6));
    expect(await verify()).toMatchObject({ misplaced: 2, lost: 1, unknown: 0 });
  });

  test('reports an id that no client ever wrote as unknown', async () => {
    await prefilled();
    other.put('docs', pointText({ ...register(1), id: 'never written' }, 0));
    expect(await verify()).toMatchObject({ unknown: 1, lost: 0, misplaced: 0 });
  });

  test('reports a client that reads something else than it wrote while it happens', async () => {
    await prefilled({ changedShare: 1, newIds: 0 });
    check.start();
    shard.faults.add({
      match: { method: 'GET' },
      fault: { kind: 'before', run: () => shard.put('docs', pointText(register(3), 9_999)) },
    });
    await waitFor('a client has read it', () => check.counts.wrongReads > 0);
    await check.stop();
    expect((await verify()).wrongReads).toBeGreaterThan(0);
  });

  test('counts refused writes by status and reason, and takes either state of their ids for right', async () => {
    await prefilled();
    shard.faults.add({
      match: { path: /\/points$/, method: 'POST', nth: 3, times: 5 },
      fault: { kind: 'status', status: 503 },
    });
    await used();
    const report = await verify();
    expect(report.refusedWrites).toEqual({ '503 a fault that the test asked for': 5 });
    expect(faultCount(report)).toBe(0);
  });

  test('leaves an id alone whose request was never answered, and takes either state of it for right', async () => {
    await prefilled({ newIds: 3_000 });
    shard.faults.add({ match: { method: 'POST', path: /\/points$/, nth: 3, times: 5 }, fault: { kind: 'replyLost' } });
    await used();
    const report = await verify();
    expect(refusedCount(report.refusedWrites)).toBe(5);
    expect(report.unsure).toBeGreaterThanOrEqual(5);
    expect(faultCount(report)).toBe(0);
  });

  test('fails, rather than finding nothing wrong, when a shard cannot be read', async () => {
    await prefilled();
    other.faults.add({ fault: { kind: 'status', status: 503 } });
    await expect(verify()).rejects.toThrow(/cannot be read: 503/);
  });

  test('reads ids only from the shards that a router would misread', async () => {
    await prefilled();
    expect((await verify()).checked.throughRouter).toBe(460 + Math.ceil((460 * 5) / 8));
    const unreadable = Array.from({ length: 8 }, (_, number) => idOf(PATHOLOGICAL, number)).filter(
      (id) => !isReadableThroughRouter(id),
    );
    expect(unreadable).toEqual(['docs/1/page', '%2F4?x=1#y', '"5"\\']);
  });
});
