import type { PreflightInput } from '../../../src/contract/move';
import { COLLECTION, MovingCluster, point, SCHEMA } from '../../support/moving-cluster';

let cluster: MovingCluster;
afterEach(() => cluster.stop());

const PREFLIGHT = { info: { heartbeatTimeoutMs: undefined, startToCloseTimeoutMs: 15_000 } } as never;
const input = (more: Partial<PreflightInput> = {}): PreflightInput => ({
  joiners: [{ primary_url: cluster.joiner.url, replica_urls: [] }],
  donors: cluster.donors,
  routerUrls: [],
  allowNonempty: false,
  mapVersion: 3,
  ...more,
});

async function refusal(more: Partial<PreflightInput> = {}): Promise<{ type: unknown; message: string }> {
  const { type, nonRetryable, message } = await cluster.failure('preflightGrow', input(more), PREFLIGHT);
  expect(nonRetryable).toBe(true);
  cluster.expectUntouched();
  return { type, message };
}

describe('preflightGrow', () => {
  it('reports the collections with their counts, and those that the joiner had', async () => {
    cluster = await MovingCluster.start();
    cluster.fill(30);
    const { result } = await cluster.run(
      'preflightGrow',
      input({ routerUrls: [await cluster.startRouter(3)] }),
      PREFLIGHT,
    );
    const points = cluster.shards.slice(0, 2).reduce((sum, shard) => sum + shard.ids(COLLECTION).length, 0);
    expect(result).toEqual({
      collections: [{ name: COLLECTION, points }],
      collectionsBefore: [[COLLECTION]],
      nonemptyBefore: [[]],
    });
  });

  it('ignores the collection that a killed or cancelled probe left behind', async () => {
    cluster = await MovingCluster.start();
    const left = { ...SCHEMA, name: 'coordinator-probe-0123456789abcdef' };
    for (const shard of [cluster.shards[0]!, cluster.joiner]) shard.create(left);
    const { result } = await cluster.run('preflightGrow', input(), PREFLIGHT);
    expect(result).toMatchObject({ collections: [{ name: COLLECTION }], collectionsBefore: [[COLLECTION]] });
  });

  it('refuses a joiner that does not answer', async () => {
    cluster = await MovingCluster.start();
    await cluster.joiner.stop();
    const { type, message } = await refusal();
    expect(type).toBe('JoinerUnreachable');
    expect(message).toContain(cluster.joiner.url);
  });

  it('refuses a joiner whose address may not be called, without a try', async () => {
    cluster = await MovingCluster.start();
    const { type, message } = await refusal({
      joiners: [{ primary_url: 'http://169.254.169.254', replica_urls: [] }],
    });
    expect(type).toBe('AddressNotAllowed');
    expect(message).toContain('http://169.254.169.254');
  });

  it('refuses a joiner that hangs, within 3 seconds and the time of one test', async () => {
    cluster = await MovingCluster.start();
    cluster.joiner.faults.add({ fault: { kind: 'hang' } });
    expect((await refusal()).type).toBe('JoinerUnreachable');
  });

  it('asks once more when a connection was cut, as happens to a kept-alive one', async () => {
    cluster = await MovingCluster.start();
    const cut = { match: { nth: 1 }, fault: { kind: 'refuse' } } as const;
    for (const shard of cluster.shards) shard.faults.add(cut);
    await expect(cluster.run('preflightGrow', input(), PREFLIGHT)).resolves.toBeDefined();
  });

  it('refuses a joiner that does not accept the key', async () => {
    cluster = await MovingCluster.start();
    const joiner = await cluster.startOther({ keys: ['another'] });
    const { type } = await refusal({ joiners: [{ primary_url: joiner.url, replica_urls: [] }] });
    expect(type).toBe('JoinerRefusedKey');
  });

  it('refuses a joiner that holds points, unless that was allowed', async () => {
    cluster = await MovingCluster.start();
    cluster.joiner.create({ ...SCHEMA, name: 'old' });
    cluster.joiner.put('old', point('POINTDATA-x'));
    const { type, message } = await refusal();
    expect(type).toBe('JoinerNotEmpty');
    expect(message).toContain('old (1 points)');
    const { result } = await cluster.run('preflightGrow', input({ allowNonempty: true }), PREFLIGHT);
    expect(result).toMatchObject({ collectionsBefore: [[COLLECTION, 'old']], nonemptyBefore: [['old']] });
  });

  it('refuses when a donor does not answer, because its points could not be moved', async () => {
    cluster = await MovingCluster.start();
    await cluster.shards[1]!.stop();
    expect((await refusal()).type).toBe('DonorUnreachable');
  });

  it('refuses when a donor does not accept the key', async () => {
    cluster = await MovingCluster.start();
    const donor = await cluster.startOther({ keys: ['another'] });
    const donors = [cluster.address(0), { id: 1, primary_url: donor.url, replica_urls: [] }];
    expect((await refusal({ donors })).type).toBe('DonorRefusedKey');
  });

  it('refuses documents of several vectors that it cannot reach over gRPC, and takes an empty collection for them', async () => {
    cluster = await MovingCluster.start({ schema: null });
    for (const donor of cluster.shards.slice(0, 2)) donor.create({ ...SCHEMA, index: 'colbert', multivector: true });
    expect((await cluster.run('preflightGrow', input(), PREFLIGHT)).result.collections).toHaveLength(1);
    cluster.shards[1]!.putDocument(COLLECTION, 'POINTDATA-a', [[1, 2]]);
    expect((await cluster.run('preflightGrow', input(), PREFLIGHT)).result.collections).toHaveLength(1);
    await cluster.shards[1]!.closeGrpc();
    const { type, message } = await refusal();
    expect(type).toBe('MultivectorCollection');
    expect(message).toContain(COLLECTION);
  });

  it.each([
    ['another dimension on one donor', { ...SCHEMA, dim: 3 }],
    ['no such collection on one donor', null],
  ])('refuses a cluster with %s', async (_title, schema) => {
    cluster = await MovingCluster.start({ schema: null });
    cluster.shards[0]!.create(SCHEMA);
    if (schema !== null) cluster.shards[1]!.create(schema);
    const { type, message } = await refusal();
    expect(type).toBe('SchemaConflict');
    expect(message).toContain(COLLECTION);
  });

  it('waits for a client that is half-way through creating a collection on the donors', async () => {
    cluster = await MovingCluster.start({ schema: null });
    cluster.shards[0]!.create(SCHEMA);
    cluster.shards[1]!.faults.add({
      match: { nth: 1 },
      fault: { kind: 'beforeReply', run: () => cluster.shards[1]!.create(SCHEMA) },
    });
    const { result } = await cluster.run('preflightGrow', input(), PREFLIGHT);
    expect(result.collections.map(({ name }) => name)).toEqual([COLLECTION]);
  });

  it('refuses a joiner that has a collection of the same name with other settings', async () => {
    cluster = await MovingCluster.start({ schema: null });
    for (const donor of cluster.shards.slice(0, 2)) donor.create(SCHEMA);
    cluster.joiner.create({ ...SCHEMA, metric: 'cosine' });
    expect((await refusal()).type).toBe('SchemaConflict');
  });

  it('refuses a router ahead of the map, which it would never adopt, and accepts a router behind it', async () => {
    cluster = await MovingCluster.start();
    const [ahead, behind] = [await cluster.startRouter(4), await cluster.startRouter(0)];
    const { type, message } = await refusal({ routerUrls: [behind, ahead] });
    expect(type).toBe('RouterAhead');
    expect(message).toContain(ahead);
    const run = cluster.run('preflightGrow', input({ routerUrls: [behind] }), PREFLIGHT);
    await expect(run).resolves.toBeDefined();
  });

  it('refuses when a configured router does not tell its version, whether it is down or does not know the key', async () => {
    cluster = await MovingCluster.start();
    const down = 'http://127.0.0.1:1';
    const strict = await cluster.startRouter(0, 401);
    for (const url of [down, strict]) {
      const { type, message } = await refusal({ routerUrls: [url] });
      expect(type).toBe('RouterUnreachable');
      expect(message).toContain(url);
    }
  });
});
