import { PlacementPlan } from '../../src/domain/placement-plan';
import { transitionUpdate } from '../../src/contract/messages';
import type { InProcessShard } from '../support/in-process-shard';
import { useCluster } from '../support/use-cluster';
import { waitFor } from '../support/wait-for';
import { type ClusterFixture, FAST, pointJson, refusalOf } from '../support/cluster-fixture';

const POINTS = 3_000;
/** The shard that leaves, of three. */
const LEAVER = 1;
let cluster: ClusterFixture;
let leaver: InProcessShard;

useCluster('drain', { points: POINTS, shards: 3 }, (started) => {
  cluster = started;
  leaver = cluster.donors[LEAVER]!;
});

const contents = () =>
  new Map(cluster.donors.flatMap((shard) => shard.ids('docs').map((id) => [id, shard.get('docs', id)] as const)));

async function expectGone(): Promise<void> {
  expect(await cluster.map()).toMatchObject({ version: 3, shards: [{ id: 0 }, { id: 2 }], leaving: [] });
  expect(leaver.collections()).toEqual([]);
  expect(await cluster.misplaced('docs')).toEqual([]);
}

describe('a drain', () => {
  it('moves what its shard owns to the new owners, byte for byte, and leaves the shard empty', async () => {
    const before = contents();
    const owned = leaver.ids('docs').length;
    const announced = await cluster.announceDrain('a', LEAVER);
    expect(announced).toMatchObject({ shardIds: [LEAVER], map: { version: 2, leaving: [LEAVER] } });
    const outcome = (await cluster.operation('a', 'drain').result()) as { pointsMoved: number; pointsKept: number };
    await expectGone();
    expect(contents()).toEqual(before);
    expect(outcome).toMatchObject({ pointsMoved: owned, pointsKept: 0 });
    expect((await cluster.state()).operations[0]).toMatchObject({ operationId: 'drain-a', end: 'succeeded' });
  });

  it('begins the cooldown of the policy when it has ended, and not when it was undone', async () => {
    const held = leaver.faults.add({ match: { method: 'GRPC', path: /Replicate/ }, fault: { kind: 'slow', ms: 500 } });
    await cluster.announceDrain('undone', LEAVER);
    await held.struck;
    await cluster.operation('undone', 'drain').cancel();
    await expect(cluster.operation('undone', 'drain').result()).rejects.toThrow();
    expect((await cluster.state()).autoscale.lastScaleAtMs).toBeNull();
    held.remove();
    await cluster.announceDrain('a', LEAVER);
    await cluster.operation('a', 'drain').result();
    const { autoscale, operations } = await cluster.state();
    expect(autoscale.lastScaleAtMs).not.toBeNull();
    expect(autoscale.lastScaleAtMs).toBe(operations[0]?.endedAtMs);
  });

  it('answers a repeated call with the first answer, also after it has ended', async () => {
    const first = await cluster.announceDrain('a', LEAVER);
    await cluster.operation('a', 'drain').result();
    expect(await cluster.announceDrain('a', LEAVER)).toEqual(first);
    expect((await cluster.map()).version).toBe(3);
  });

  it('puts no id, payload or key into its history', async () => {
    await cluster.announceDrain('a', LEAVER);
    const handle = cluster.operation('a', 'drain');
    await handle.result();
    const history = JSON.stringify(await handle.fetchHistory());
    for (const secret of ['p17', Buffer.from('"p17"').toString('base64').slice(0, 4), '9007199254740993']) {
      expect(history.includes(`"${secret}"`)).toBe(false);
    }
  });

  it('lets the leaver keep nothing that a client deletes or overwrites meanwhile, and loses no write', async () => {
    leaver.faults.add({ match: { method: 'GRPC', path: /Replicate/ }, fault: { kind: 'slow', ms: 150 } });
    await cluster.announceDrain('a', LEAVER);
    await cluster.inPhase('a', 'copy', 'drain');
    // As routers do under this map: the new owner first, then the leaver.
    const plan = new PlacementPlan({ shards: [0, 1, 2], joining: [], leaving: [LEAVER] });
    const sides = (id: string) => [plan.ownerOf(Buffer.from(id)), plan.donorOf(Buffer.from(id))] as const;
    const moving = leaver.ids('docs').slice(0, 60);
    const [deleted, overwritten] = [moving.slice(0, 30), moving.slice(30)];
    for (const id of deleted) {
      for (const side of sides(id)) if (side !== null) cluster.donors[side]!.delete('docs', id);
    }
    for (const id of overwritten) {
      for (const side of sides(id)) if (side !== null) cluster.donors[side]!.put('docs', pointJson(id, 777));
    }
    await cluster.operation('a', 'drain').result();
    await expectGone();
    const after = contents();
    for (const id of deleted) expect(after.has(id)).toBe(false);
    for (const id of overwritten) expect(after.get(id)).toContain('"v":777');
    expect(after.size).toBe(POINTS - deleted.length);
  });

  it('leaves a collection alone that a client drops meanwhile, and does not bring it back', async () => {
    cluster.fill('gone', 300, 'g');
    leaver.faults.add({ match: { method: 'GRPC', path: /Replicate/ }, fault: { kind: 'slow', ms: 200 } });
    await cluster.announceDrain('a', LEAVER);
    await cluster.inPhase('a', 'copy', 'drain');
    for (const shard of cluster.donors) {
      shard.drop('gone');
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    await cluster.operation('a', 'drain').result();
    for (const shard of cluster.donors) expect(shard.collections()).not.toContain('gone');
    await expectGone();
  });
});

describe('a drain that cannot be', () => {
  it('is refused for an unknown shard, beside another operation, and while a destination is down', async () => {
    expect(await refusalOf(cluster.announceDrain('a', 7))).toBe('UnknownShard');
    await cluster.donors[2]!.stop();
    expect(await refusalOf(cluster.announceDrain('b', LEAVER))).toBe('DonorUnreachable');
    const state = await cluster.state();
    expect(state).toMatchObject({ lock: null, map: { version: 1 } });
    expect(state.operations).toMatchObject([{ operationId: 'drain-b', end: 'refused' }]);
  });

  it('is refused where points of its slice lie on other shards, and touches none of them', async () => {
    // A shard that was added without a move: what it owns lies where it was before.
    const added = cluster.joiner;
    added.create({ name: 'docs', dim: 4, metric: 'l2', index: 'hnsw' });
    const change = { change: 'add', shard: cluster.address(added) } as const;
    await cluster.cluster.executeUpdate(transitionUpdate, { args: [{ type: 'changeByHand', change, key: null }] });
    const before = contents();
    expect(await refusalOf(cluster.announceDrain('a', 3))).toBe('MisplacedPoints');
    expect(contents()).toEqual(before);
    expect(await cluster.state()).toMatchObject({ lock: null, map: { version: 2 } });
  });
});

describe('a drain whose leaver dies', () => {
  it('before the flip is undone, and keeps the copies that may be the last ones', async () => {
    const timings = { ...FAST, patienceMs: 1_500, attemptMs: 2_500 };
    leaver.faults.add({ match: { method: 'GRPC', path: /Replicate/ }, fault: { kind: 'slow', ms: 300 } });
    await cluster.announceDrain('a', LEAVER, { timings });
    await cluster.inPhase('a', 'reconcile', 'drain');
    const copies = [0, 2].reduce((sum, id) => sum + cluster.donors[id]!.ids('docs').length, 0);
    expect(copies).toBe(POINTS);
    await leaver.stop();
    await expect(cluster.operation('a', 'drain').result()).rejects.toThrow();
    expect(await cluster.state()).toMatchObject({ lock: null, map: { leaving: [], shards: { length: 3 } } });
    expect([0, 2].reduce((sum, id) => sum + cluster.donors[id]!.ids('docs').length, 0)).toBe(POINTS);
    expect((await cluster.state()).operations[0]?.message).toMatch(/by hand/);
  });

  it('after the flip is over all the same: its points are on their owners, and the outcome says that it is not empty', async () => {
    const timings = { ...FAST, patienceMs: 1_500, attemptMs: 2_500 };
    leaver.faults.add({ match: { method: 'DELETE' }, fault: { kind: 'slow', ms: 1_500 } });
    await cluster.announceDrain('a', LEAVER, { timings });
    await waitFor('the flip', async () => (await cluster.map()).version === 3);
    await leaver.stop();
    const { message } = (await cluster.operation('a', 'drain').result()) as { message: string };
    expect(message).toMatch(/could not be emptied/);
    expect(await cluster.state()).toMatchObject({ lock: null, map: { version: 3, shards: [{ id: 0 }, { id: 2 }] } });
    expect([0, 2].reduce((sum, id) => sum + cluster.donors[id]!.ids('docs').length, 0)).toBe(POINTS);
  });
});
