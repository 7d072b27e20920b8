/** Collections that need more than points do, moved between real shards: documents of several vectors, and `binary`. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import pino from 'pino';
import { Agent } from 'undici';
import { createActivities } from '../../src/activities';
import type { CoordinatorActivities } from '../../src/contract/activities';
import type { DonorInput, Move } from '../../src/contract/move';
import { PlacementPlan } from '../../src/domain/placement-plan';
import type { Shard } from '../../src/domain/shard-map';
import { ShardGrpc } from '../../src/shards/stream/shard-grpc';
import { freePort } from '../support/free-port';
import { describeWithQuiver, quiverBinary, startQuiver, type RealQuiver } from '../support/real-quiver';
import { inTime } from '../support/shard-fixture';

const KEY = 'shard-key';
const DOCS = 'docs';
const PLACEMENT = { shards: [0, 1, 2], joining: [2], leaving: [] };
const SCHEMA = { name: DOCS, dim: 2, metric: 'cosine', multivector: true };

interface Document {
  readonly id: string;
  readonly vectors: readonly (readonly number[])[];
  readonly payload: unknown;
}

function document(id: string, tokens = 1, payload: unknown = { of: id }): Document {
  return { id, vectors: Array.from({ length: tokens }, (_, n) => [1, n + 0.1]), payload };
}

describeWithQuiver('collections that need more than points do, on real Quiver', () => {
  const dispatcher = new Agent();
  const activities = createActivities({
    shardKey: KEY,
    client: {} as unknown as Client,
    logger: pino({ level: 'silent' }),
    dispatcher,
  });
  const quivers: RealQuiver[] = [];
  const shards: Shard[] = [];
  let dir: string;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'documents-on-quiver-'));
    for (const id of PLACEMENT.shards) {
      const grpcPort = await freePort();
      const env = { QUIVER_GRPC_ADDR: `127.0.0.1:${grpcPort}` };
      const dataDir = join(dir, String(id));
      const quiver = await startQuiver({ role: 'shard', binary: quiverBinary() ?? '', dataDir, keys: [KEY], env });
      quivers.push(quiver);
      shards.push({ id, primary_url: quiver.url, replica_urls: [], grpc_url: `http://127.0.0.1:${grpcPort}` });
    }
  }, 60_000);
  afterAll(async () => {
    await Promise.all(quivers.map((quiver) => quiver.kill()));
    await dispatcher.destroy();
    await rm(dir, { recursive: true, force: true });
  });

  async function call(shardId: number, method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await fetch(`${quivers[shardId]!.url}/v1/collections${path}`, {
      method,
      headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return JSON.parse(text);
  }

  async function run<Name extends keyof CoordinatorActivities>(
    name: Name,
    input: Parameters<CoordinatorActivities[Name]>[0],
  ): Promise<Awaited<ReturnType<CoordinatorActivities[Name]>>> {
    const environment = new MockActivityEnvironment(
      {
        activityType: name,
        startToCloseTimeoutMs: 60_000,
        currentAttemptScheduledTimestampMs: Date.now(),
      },
      { logger: new DefaultLogger('ERROR', () => undefined) },
    );
    const activity = activities[name] as (given: unknown) => Promise<unknown>;
    const result: unknown = await environment.run(activity, input);
    return result as Awaited<ReturnType<CoordinatorActivities[Name]>>;
  }

  const put = (shardId: number, ...documents: Document[]) => call(shardId, 'POST', `/${DOCS}/documents`, { documents });
  const remove = (shardId: number, ...ids: string[]) => call(shardId, 'DELETE', `/${DOCS}/documents`, { ids });

  /** By id, as a search that asks for all of them shows them. */
  async function held(shardId: number): Promise<Map<string, Document>> {
    const query = { query: [[1, 1]], k: 10_000, with_vector: true };
    const { matches } = (await call(shardId, 'POST', `/${DOCS}/documents/query`, query)) as { matches: Document[] };
    return new Map(matches.map(({ id, vectors, payload }) => [id, { id, vectors, payload }]));
  }

  const move: Move = { placement: PLACEMENT, shards };
  const ofDonor = (donorId: number): DonorInput & { collections: string[] } => ({
    ...move,
    session: 'grow-a',
    donorId,
    expected: 0,
    collections: [DOCS],
  });
  const sides = () => ({ donors: shards.slice(0, 2), receivers: shards.slice(2) });
  const preflight = () => ({
    joiners: shards.slice(2),
    donors: shards.slice(0, 2),
    routerUrls: [],
    allowNonempty: true,
    mapVersion: 1,
  });
  const plan = new PlacementPlan(PLACEMENT);
  const holderOf = (id: string): number => plan.donorOf(Buffer.from(id)) ?? plan.ownerOf(Buffer.from(id));

  async function pass(recut: boolean) {
    const passes = [];
    for (const donorId of [0, 1]) {
      passes.push(await run('compareDonor', { ...ofDonor(donorId), settleMs: 100, recut, scanReceivers: false }));
    }
    return passes.reduce((sum, { upserted, deleted, pointsCompared }) => ({
      ...sum,
      upserted: sum.upserted + upserted,
      deleted: sum.deleted + deleted,
      pointsCompared: sum.pointsCompared + pointsCompared,
    }));
  }

  it('carries the binary flag over', async () => {
    for (const id of [0, 1]) {
      await call(id, 'POST', '', { name: 'bits', dim: 8, metric: 'l2', index: 'disk_vamana', binary: true });
    }
    expect((await run('preflightGrow', preflight())).collections).toHaveLength(1);
    expect((await run('prepareCollections', sides())).created).toBe(1);
    const grpc = new ShardGrpc({ url: shards[2]!.grpc_url ?? '', key: KEY });
    const listed = await grpc.listCollections(inTime()).finally(() => grpc.close());
    expect(listed).toMatchObject([{ name: 'bits', binary: true }]);
    expect((await run('prepareCollections', sides())).created).toBe(0);
    await call(2, 'DELETE', '/bits');
    await call(2, 'POST', '', { name: 'bits', dim: 8, metric: 'l2', index: 'disk_vamana' });
    await expect(run('preflightGrow', preflight())).rejects.toMatchObject({ type: 'SchemaConflict' });
    for (const id of [0, 1, 2]) await call(id, 'DELETE', '/bits');
  });

  it('moves documents whole, mends what differs, and drops them from their donors', async () => {
    for (const id of [0, 1]) await call(id, 'POST', '', SCHEMA);
    const all = [
      ...Array.from({ length: 40 }, (_, n) => document(`d${n}`, 1 + (n % 13))),
      document(''),
      document('a', 3),
      document('a\u0001', 2),
      document('a b/c%', 2, null),
      document('numbers', 2, { integer: 4_294_967_296, text: 'ä€𝄞' }),
    ];
    for (const each of all) await put(holderOf(each.id), each);
    const moving = all.filter(({ id }) => plan.donorOf(Buffer.from(id)) !== null);
    expect(moving.length).toBeGreaterThan(5);

    expect((await run('preflightGrow', preflight())).collections).toHaveLength(1);
    await run('prepareCollections', sides());
    const copies = [];
    for (const donorId of [0, 1]) copies.push(await run('copyDonor', { ...ofDonor(donorId), isRepeat: false }));
    expect(copies.reduce((sum, { pointsCopied }) => sum + pointsCopied, 0)).toBe(moving.length);
    const before = [await held(0), await held(1)];
    const expected = new Map(moving.map(({ id }) => [id, before[holderOf(id)]!.get(id)!]));
    expect(await held(2)).toEqual(expected);

    // A shorter one, a longer one, one that is gone, and one that only the owner has.
    const [shorter, longer, gone] = moving.filter(({ id }) => id.startsWith('d')).map(({ id }) => id) as [
      string,
      string,
      string,
    ];
    await put(holderOf(shorter), document(shorter, 1, { is: 'shorter' }));
    await put(holderOf(longer), document(longer, 14, { is: 'longer' }));
    await remove(holderOf(gone), gone);
    await remove(2, 'a', moving.at(-1)!.id);
    expect(await pass(true)).toMatchObject({ deleted: 1 });
    expect(await pass(false)).toMatchObject({ upserted: 0, deleted: 0, pointsCompared: moving.length - 1 });
    const now = [await held(0), await held(1)];
    expected.delete(gone);
    for (const id of expected.keys()) expected.set(id, now[holderOf(id)]!.get(id)!);
    expect(expected.get(longer)?.vectors).toHaveLength(14);
    expect(await held(2)).toEqual(expected);

    const drop = {
      settleMs: 100,
      isWatchUnbroken: true,
      provenCollections: [DOCS],
      isLeaver: false,
      isTailLate: false,
    };
    for (const donorId of [0, 1]) {
      await run('readForDrop', { ...ofDonor(donorId), ...drop });
      expect(await run('dropFromDonor', { ...ofDonor(donorId), ...drop })).toMatchObject({ kept: 0 });
    }
    const left = [...(await held(0)).keys(), ...(await held(1)).keys()].sort();
    const staying = all.filter(({ id }) => plan.donorOf(Buffer.from(id)) === null).map(({ id }) => id);
    expect(left).toEqual(staying.sort());
    expect(await held(2)).toEqual(expected);
  });

  it('finds a document that lies where it does not belong, and a repair takes it to its owner', async () => {
    const parties = { placement: { shards: [0, 1, 2], joining: [], leaving: [] }, shards, leftovers: [] };
    const owners = new PlacementPlan(parties.placement);
    const id = Array.from({ length: 50 }, (_, n) => `r${n}`).find((each) => owners.ownerOf(Buffer.from(each)) !== 0)!;
    const ownerId = owners.ownerOf(Buffer.from(id));
    await put(0, document(id, 4));
    const look = { ...parties, collections: [DOCS], creates: false, settleMs: 100 };
    const { collections } = await run('inspectCollections', look);
    expect(collections).toMatchObject([{ collection: DOCS, notCompared: null }]);
    const find = { ...parties, collections };
    expect((await run('findMisplaced', { ...find, mend: null })).found).toMatchObject({
      collections: [{ byHolder: { '0': { onlyHere: 1 } } }],
    });
    const mend = { settleMs: 100, prefer: [] };
    expect(await run('findMisplaced', { ...find, mend })).toMatchObject({ moved: 1, removedByHolder: { '0': 1 } });
    expect((await held(ownerId)).get(id)).toEqual(document(id, 4));
    expect((await held(0)).has(id)).toBe(false);
  });

  it('moves vectors with infinite elements and with such as are no numbers, to the bit', async () => {
    for (const id of [0, 1]) await call(id, 'POST', '', { name: 'odd', dim: 2, metric: 'l2' });
    const clients = shards.map(({ grpc_url }) => new ShardGrpc({ url: grpc_url ?? '', key: KEY }));
    const ids = Array.from({ length: 100 }, (_, n) => `o${n}`).filter((id) => plan.donorOf(Buffer.from(id)) !== null);
    const odd = [Infinity, -Infinity, NaN];
    const rows = ids.map((id, n) => ({
      id: Buffer.from(id),
      vector: Buffer.from(Float32Array.of(odd[n % odd.length]!, 1).buffer),
      payload: Buffer.from('null'),
    }));
    for (const donorId of [0, 1]) {
      const stream = clients[donorId]!.upsertStream('odd', inTime());
      await stream.write(rows.filter(({ id }) => plan.donorOf(id) === donorId));
      await stream.end();
    }
    await run('prepareCollections', sides());
    const collections = ['odd'];
    for (const donorId of [0, 1])
      await run('copyDonor', { ...ofDonor(donorId), session: 'b', collections, isRepeat: false });
    for (const donorId of [0, 1]) {
      const compare = {
        ...ofDonor(donorId),
        session: 'b',
        collections,
        settleMs: 100,
        recut: true,
        scanReceivers: true,
      };
      expect(await run('compareDonor', compare)).toMatchObject({ upserted: 0, deleted: 0 });
    }
    const found = await clients[2]!.getPoints(
      'odd',
      rows.map(({ id }) => id),
      { withVector: true },
      inTime(),
    );
    expect(found).toEqual(rows);
    for (const client of clients) client.close();
  });
});
