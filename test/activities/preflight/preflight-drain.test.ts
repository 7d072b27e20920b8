import { connect, createServer, type AddressInfo, type Server } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { DrainPreflightInput } from '../../../src/contract/move';
import { COLLECTION, MovingCluster, point, SCHEMA } from '../../support/moving-cluster';

let cluster: MovingCluster;
afterEach(() => cluster.stop());

const LEAVER = 1;
const PREFLIGHT = { info: { heartbeatTimeoutMs: undefined, startToCloseTimeoutMs: 12_000 } } as never;
const drain = (options: Parameters<typeof MovingCluster.start>[0] = {}) =>
  MovingCluster.start({ leaver: LEAVER, ...options });
const input = (more: Partial<DrainPreflightInput> = {}): DrainPreflightInput => {
  const { placement, shards } = cluster.move;
  return { placement, shards, routerUrls: [], mapVersion: 3, ...more };
};

async function refusal(more: Partial<DrainPreflightInput> = {}): Promise<{ type: unknown; message: string }> {
  const { type, nonRetryable, message } = await cluster.failure('preflightDrain', input(more), PREFLIGHT);
  expect(nonRetryable).toBe(true);
  cluster.expectUntouched();
  return { type, message };
}

describe('preflightDrain', () => {
  it('says how many collections there are, and changes nothing', async () => {
    cluster = await drain({ shard: { limits: { fetchRowsMax: 50 } } });
    cluster.fill(600);
    const { result } = await cluster.run(
      'preflightDrain',
      input({ routerUrls: [await cluster.startRouter(3)] }),
      PREFLIGHT,
    );
    expect(result).toEqual({ collections: 1 });
    cluster.expectUntouched();
  });

  it.each([
    [LEAVER, 'the leaving shard'],
    [2, 'the staying shard'],
  ])('refuses when shard %i does not answer, and says that it is %s', async (id, name) => {
    cluster = await drain();
    await cluster.shards[id]!.stop();
    const { type, message } = await refusal();
    expect(type).toBe('DonorUnreachable');
    expect(message).toContain(`${name} ${cluster.shards[id]!.url}`);
  });

  describe('of 700 shards', () => {
    const LISTING = { method: 'GET', path: /^\/v1\/collections$/ } as const;
    let front: Server;
    /** All of them are one process, at addresses of their own. */
    const shards = (): DrainPreflightInput['shards'] => {
      const { port } = front.address() as AddressInfo;
      const urlOf = (id: number): string => `http://127.0.${4 + (id >> 8)}.${id & 255}:${port}`;
      return Array.from({ length: 700 }, (_, id) => ({ id, primary_url: urlOf(id), replica_urls: [] }));
    };

    beforeEach(async () => {
      cluster = await drain();
      const port = Number(new URL(cluster.shards[0]!.url).port);
      front = createServer((socket) => {
        const onward = connect(port, '127.0.0.1');
        socket.on('error', () => onward.destroy());
        onward.on('error', () => socket.destroy());
        socket.pipe(onward).pipe(socket);
      });
      await new Promise<void>((resolve) => front.listen(0, '0.0.0.0', resolve));
    });
    afterEach(() => front.close());

    it('gives each one its time from when it is asked, and not from when the first one is', async () => {
      // As where many long answers are read one after the other.
      let lastOne: Promise<void> = Promise.resolve();
      const inTurn = (): Promise<void> => (lastOne = lastOne.then(() => delay(5)));
      cluster.shards[0]!.faults.add({ match: LISTING, fault: { kind: 'before', run: inTurn } });
      const { result } = await cluster.run('preflightDrain', input({ shards: shards() }), PREFLIGHT);
      expect(result).toEqual({ collections: 1 });
    });

    it('asks nobody else once some have hung for their whole time', async () => {
      cluster.shards[0]!.faults.add({ match: LISTING, fault: { kind: 'hang' } });
      const begunMs = Date.now();
      expect((await refusal({ shards: shards() })).type).toBe('DonorUnreachable');
      expect(Date.now() - begunMs).toBeLessThan(8_000);
    });
  });

  it.each([
    [LEAVER, 'the leaving shard'],
    [2, 'the staying shard'],
  ])('refuses when shard %i does not accept the key, and says that it is %s', async (id, name) => {
    cluster = await drain();
    const strict = await cluster.startOther({ keys: ['another'] });
    const shards = cluster.move.shards.map((shard) =>
      shard.id === id ? { ...shard, primary_url: strict.url } : shard,
    );
    const { type, message } = await refusal({ shards });
    expect(type).toBe('DonorRefusedKey');
    expect(message).toContain(`${name} ${strict.url}`);
  });

  it('refuses when a router is ahead of the map, and when one does not tell its version', async () => {
    cluster = await drain();
    expect((await refusal({ routerUrls: [await cluster.startRouter(4)] })).type).toBe('RouterAhead');
    expect((await refusal({ routerUrls: ['http://127.0.0.1:1'] })).type).toBe('RouterUnreachable');
  });

  it.each([
    ['lacks a collection', null],
    ['has it with another dimension', { ...SCHEMA, dim: 3 }],
  ])('refuses when a staying shard %s', async (_title, schema) => {
    cluster = await drain({ schema: null });
    for (const id of [0, LEAVER]) cluster.shards[id]!.create(SCHEMA);
    if (schema !== null) cluster.shards[2]!.create(schema);
    const { type, message } = await refusal();
    expect(type).toBe('SchemaConflict');
    expect(message).toContain(COLLECTION);
  });

  it('waits for a client that is half-way through creating a collection', async () => {
    cluster = await drain({ schema: null });
    for (const id of [0, LEAVER]) cluster.shards[id]!.create(SCHEMA);
    cluster.shards[2]!.faults.add({
      match: { nth: 1 },
      fault: { kind: 'beforeReply', run: () => cluster.shards[2]!.create(SCHEMA) },
    });
    const { result } = await cluster.run('preflightDrain', input(), PREFLIGHT);
    expect(result).toEqual({ collections: 1 });
  });

  it('refuses documents of several vectors that it cannot reach over gRPC, and takes an empty collection for them', async () => {
    cluster = await drain({ schema: { ...SCHEMA, index: 'colbert', multivector: true } });
    expect((await cluster.run('preflightDrain', input(), PREFLIGHT)).result.collections).toBe(1);
    cluster.leaver.putDocument(COLLECTION, 'POINTDATA-a', [[1, 2]]);
    expect((await cluster.run('preflightDrain', input(), PREFLIGHT)).result.collections).toBe(1);
    await cluster.leaver.closeGrpc();
    expect((await refusal()).type).toBe('MultivectorCollection');
  });

  it('refuses documents of several vectors that may not fit the memory of the worker', async () => {
    cluster = await drain({ schema: { ...SCHEMA, dim: 4_096, index: 'colbert', multivector: true } });
    const token = Array.from({ length: 4_096 }, () => 1);
    for (let n = 0; n < 129; n++) cluster.leaver.putDocument(COLLECTION, `POINTDATA-${n}`, [token]);
    expect(await refusal()).toMatchObject({
      type: 'MultivectorCollection',
      message: expect.stringContaining('no more than 128 of them') as unknown,
    });
  });

  it('refuses no drain for points on the leaver that belong to others, nor for those that are misplaced among the others', async () => {
    cluster = await drain();
    cluster.fill(300);
    const foreign = cluster.shards[0]!.ids(COLLECTION).slice(0, 5);
    for (const id of [LEAVER, 2]) cluster.shards[id]!.put(COLLECTION, ...foreign.map((each) => point(each)));
    await expect(cluster.run('preflightDrain', input(), PREFLIGHT)).resolves.toBeDefined();
  });
});
