import { WorkflowFailedError } from '@temporalio/client';
import type { FaultMatch } from '../support/shard-faults';
import { PlacementPlan } from '../../src/domain/placement-plan';
import { transitionUpdate } from '../../src/contract/messages';
import { useCluster } from '../support/use-cluster';
import { waitFor } from '../support/wait-for';
import { type ClusterFixture, FAST, pointJson, refusalOf } from '../support/cluster-fixture';

const POINTS = 3_000;
let cluster: ClusterFixture;

useCluster('grow', { points: POINTS }, (started) => {
  cluster = started;
});

/** The cluster is as before, but for the version, and the joiner holds nothing (INV-7). */
async function expectUndone(versionAtLeast: number): Promise<void> {
  const state = await cluster.state();
  expect(state.lock).toBeNull();
  expect(state.map.shards.map((shard) => shard.id)).toEqual([0, 1]);
  expect(state.map.joining).toEqual([]);
  expect(state.map.version).toBeGreaterThanOrEqual(versionAtLeast);
  expect(cluster.joiner.collections()).toEqual([]);
  expect(cluster.allIds('docs')).toHaveLength(POINTS);
  expect(await cluster.misplaced('docs')).toEqual([]);
}

describe('a grow', () => {
  it('moves to the joiner what it owns, byte for byte, and leaves it nowhere else', async () => {
    const before = new Map(
      cluster.donors.flatMap((donor) => donor.ids('docs').map((id) => [id, donor.get('docs', id)] as const)),
    );
    const announced = await cluster.announce('a');
    expect(announced.map).toMatchObject({ version: 2, joining: [2] });
    const outcome = (await cluster.operation('a').result()) as { pointsMoved: number; pointsKept: number };
    expect(await cluster.map()).toMatchObject({ version: 3, joining: [] });
    expect(await cluster.misplaced('docs')).toEqual([]);
    expect(cluster.allIds('docs')).toHaveLength(POINTS);
    expect(cluster.joiner.ids('docs').length).toBeGreaterThan(POINTS / 5);
    for (const id of cluster.joiner.ids('docs')) expect(cluster.joiner.get('docs', id)).toBe(before.get(id));
    expect(outcome).toMatchObject({ pointsMoved: cluster.joiner.ids('docs').length, pointsKept: 0 });
    expect((await cluster.state()).operations[0]).toMatchObject({ operationId: 'grow-a', end: 'succeeded' });
  });

  it('answers a repeated call with the first answer, also after it has ended', async () => {
    const first = await cluster.announce('a');
    await cluster.operation('a').result();
    expect(await cluster.announce('a')).toEqual(first);
    expect((await cluster.map()).version).toBe(3);
  });

  it('is refused while another one runs, and the first goes on', async () => {
    cluster.donors[0]?.faults.add({ match: { method: 'GRPC', path: /Replicate/ }, fault: { kind: 'slow', ms: 300 } });
    await cluster.announce('a');
    expect(await refusalOf(cluster.announce('b'))).toBe('OperationInProgress');
    await cluster.operation('a').result();
    expect(await cluster.misplaced('docs')).toEqual([]);
  });

  it('puts no id, payload or key into its history', async () => {
    await cluster.announce('a');
    await cluster.operation('a').result();
    const history = JSON.stringify(await cluster.operation('a').fetchHistory());
    const decoded = history.replace(/"data":"([^"]*)"/g, (_, data: string) => Buffer.from(data, 'base64').toString());
    expect(decoded).toContain('docs');
    expect(decoded).not.toMatch(/p17\b|9007199254740993|shard-key/);
  });

  it('sweeps up a point that reached a donor after the drop, before it ends', async () => {
    const late = cluster.donors[0]?.faults.add({
      match: { method: 'DELETE', path: /docs\/points/, nth: 1 },
      fault: {
        kind: 'beforeReply',
        run: () => {
          const [id] = cluster.joiner.ids('docs');
          if (id !== undefined) cluster.donors[0]?.put('docs', pointJson(id, 1));
        },
      },
    });
    await cluster.announce('a');
    await cluster.operation('a').result();
    expect(late?.hits).toBe(1);
    expect(await cluster.misplaced('docs')).toEqual([]);
  });
});

describe('a grow under a fault of a shard', () => {
  const fetching: FaultMatch = { method: 'POST', path: /fetch/ };

  it('loses and revives nothing when rows change on the donors between pages', async () => {
    let change = 0;
    const [donor] = cluster.donors;
    const gone: string[] = [];
    donor?.faults.add({
      match: { ...fetching, nth: 1, times: 6 },
      fault: {
        kind: 'beforeReply',
        run: () => {
          // As a client's deletes through a router: owner (the joiner) first, then the donor.
          const ids = donor.ids('docs').slice(change * 3, change * 3 + 3);
          change += 1;
          if (cluster.joiner.collections().includes('docs')) cluster.joiner.delete('docs', ...ids);
          donor.delete('docs', ...ids);
          gone.push(...ids);
        },
      },
    });
    await cluster.announce('a');
    await cluster.operation('a').result();
    expect(gone.length).toBeGreaterThan(0);
    expect(await cluster.misplaced('docs')).toEqual([]);
    const left = new Set(cluster.allIds('docs'));
    expect(gone.filter((id) => left.has(id))).toEqual([]);
    expect(left.size).toBe(POINTS - gone.length);
  });
});

describe("a client's write during a grow", () => {
  it('is kept when its second half reaches the donor long after its first half reached the joiner', async () => {
    const id = idOnJoiner();
    const [donor] = cluster.donors;
    // The joiner is read before the copy.
    const reconciling: FaultMatch = { method: 'GRPC', path: /Replicate/, nth: 1 };
    cluster.joiner.faults.add({
      match: reconciling,
      fault: { kind: 'before', run: () => cluster.joiner.put('docs', pointJson(id, 7)) },
    });
    // The first pass takes the half write for a point that the donor has deleted. Only then comes the second half.
    const mended = cluster.joiner.faults.add({
      match: { method: 'DELETE', path: /docs\/points/, nth: 1 },
      fault: { kind: 'beforeReply', run: () => void setTimeout(() => donor?.put('docs', pointJson(id, 7)), 1_000) },
    });
    await cluster.announce('a', { timings: { ...FAST, inFlightMs: 2_500 } });
    await cluster.operation('a').result();
    expect(mended.hits).toBe(1);
    expect(cluster.joiner.get('docs', id)).toContain('"v":7');
    expect(await cluster.misplaced('docs')).toEqual([]);
  });

  it('is not undone by a page that reaches the joiner long after its attempt was given up', async () => {
    const [donor] = cluster.donors;
    const plan = new PlacementPlan({ shards: [0, 1, 2], joining: [2], leaving: [] });
    const id = donor?.ids('docs').find((each) => plan.ownerOf(Buffer.from(each)) === 2) ?? '';
    // Both donors' first bodies: carried out after 6 s, when the attempts that sent them have ended and others have copied all.
    const late = cluster.joiner.faults.add({
      match: { method: 'GRPC', path: /UpsertStream/, nth: 1, times: 2 },
      fault: { kind: 'slow', ms: 6_000 },
    });
    await cluster.announce('a');
    await waitFor('both late pages under way', () => late.hits === 2);
    cluster.joiner.put('docs', pointJson(id, 4_242));
    donor?.put('docs', pointJson(id, 4_242));
    await cluster.operation('a').result();
    expect(cluster.joiner.get('docs', id)).toContain('"v":4242');
    expect(await cluster.misplaced('docs')).toEqual([]);
  }, 120_000);

  /** An id that nobody has yet, whose donor is the first shard and whose owner will be the joiner. */
  function idOnJoiner(): string {
    const plan = new PlacementPlan({ shards: [0, 1, 2], joining: [2], leaving: [] });
    for (let n = 0; ; n++) {
      const id = `new-${n}`;
      plan.locate(Buffer.from(id));
      if (plan.owner === 2 && plan.donor === 0) return id;
    }
  }
});

describe('a grow whose lock was taken away from it', () => {
  it('does not empty a shard that may be an owner by now', async () => {
    const held = cluster.donors[0]?.faults.add({
      match: { method: 'GRPC', path: /Replicate/ },
      fault: { kind: 'slow', ms: 1_500 },
    });
    await cluster.announce('a');
    await held?.struck;
    // What a person can do with a lock that seems stuck: give it back by hand, and promote the shard.
    const release = {
      type: 'release',
      operationId: 'grow-a',
      end: 'failed',
      code: null,
      pointsMoved: 0,
      message: 'by hand',
    } as const;
    await cluster.cluster.executeUpdate(transitionUpdate, { args: [release] });
    const promote = { type: 'changeByHand', change: { change: 'promote', id: 2 }, key: null } as const;
    await cluster.cluster.executeUpdate(transitionUpdate, { args: [promote] });
    cluster.joiner.put('docs', pointJson('written-to-the-new-owner', 1));
    await expect(cluster.operation('a').result()).rejects.toThrow(WorkflowFailedError);
    expect(cluster.joiner.ids('docs')).toContain('written-to-the-new-owner');
    expect((await cluster.map()).shards).toHaveLength(3);
  });
});

describe('a grow that cannot go on before the flip', () => {
  it.each([
    ['joiner', 'JoinerUnreachable', async () => cluster.joiner.stop()],
    ['donor', 'DonorUnreachable', async () => cluster.donors[1]?.stop()],
  ])('is refused while the %s is down, and changes nothing', async (_who, code, breakIt) => {
    await breakIt();
    expect(await refusalOf(cluster.announce('a'))).toBe(code);
    expect((await cluster.map()).version).toBe(1);
    expect((await cluster.state()).lock).toBeNull();
    if (code === 'JoinerUnreachable') await cluster.joiner.restart();
    else await cluster.donors[1]?.restart();
    await cluster.announce('b');
    await cluster.operation('b').result();
    expect(await cluster.misplaced('docs')).toEqual([]);
  });

  it('is undone when the joiner stays away for longer than its patience', async () => {
    const down = cluster.joiner.faults.add({
      match: { method: 'GRPC', path: /UpsertStream/ },
      fault: { kind: 'status', status: 14 },
    });
    await cluster.announce('a', { timings: { ...FAST, patienceMs: 1_500 } });
    await expect(cluster.operation('a').result()).rejects.toThrow(WorkflowFailedError);
    expect(down.hits).toBeGreaterThan(1);
    await expectUndone(2);
    expect((await cluster.state()).operations[0]).toMatchObject({ end: 'failed' });
  });

  it.each([
    ['401', 16],
    ['403', 7],
  ])('waits while the joiner answers its key with %s, and goes on when the key is known', async (_what, status) => {
    const refused = cluster.joiner.faults.add({
      match: { method: 'GRPC', path: /UpsertStream/ },
      fault: { kind: 'status', status },
    });
    await cluster.announce('a');
    const waiting = await waitFor('a reason that names the joiner', async () => {
      const { waiting: seen } = await cluster.progress('a');
      return seen?.reason.includes(cluster.joiner.grpcUrl) === true ? seen : null;
    });
    expect(waiting.reason).toContain('QUIVER_CLUSTER_SHARD_KEY');
    expect(waiting.reason).not.toContain('shard-key');
    refused.remove();
    await cluster.operation('a').result();
    expect(await cluster.misplaced('docs')).toEqual([]);
  });

  it('is undone when the joiner refuses the key for longer than its patience', async () => {
    cluster.joiner.faults.add({
      match: { method: 'GRPC', path: /UpsertStream/ },
      fault: { kind: 'status', status: 16 },
    });
    await cluster.announce('a', { timings: { ...FAST, patienceMs: 1_500 } });
    await expect(cluster.operation('a').result()).rejects.toThrow(WorkflowFailedError);
    await expectUndone(2);
  });

  it('says what it waits for while a donor is away (INV-9), and goes on when it is back', async () => {
    const down = cluster.donors[0]?.faults.add({
      match: { method: 'GRPC', path: /Replicate/ },
      fault: { kind: 'status', status: 14 },
    });
    await cluster.announce('a');
    const waiting = await waitFor('a reason that names the donor', async () => {
      const { waiting: seen } = await cluster.progress('a');
      return seen?.reason.includes(cluster.donors[0]?.grpcUrl ?? '-') === true ? seen : null;
    });
    expect(waiting.sinceMs).toBeGreaterThan(0);
    expect(waiting.endsWhen).not.toBe('');
    down?.remove();
    await cluster.operation('a').result();
    expect(await cluster.misplaced('docs')).toEqual([]);
  });
});

describe('a cancel', () => {
  it('from the Web UI is undone completely too, and shows as cancelled', async () => {
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    const held = cluster.joiner.faults.add({
      match: { method: 'GRPC', path: /UpsertStream/ },
      fault: { kind: 'before', run: () => released },
    });
    await cluster.announce('a');
    await held.struck;
    await cluster.operation('a').cancel();
    release();
    await expect(cluster.operation('a').result()).rejects.toThrow(WorkflowFailedError);
    expect((await cluster.operation('a').describe()).status.name).toBe('CANCELLED');
    await expectUndone(2);
  });
});
