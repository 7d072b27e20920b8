import { randomUUID } from 'node:crypto';
import type { ClusterTransition } from '../../src/contract/cluster';
import type { OperationKind } from '../../src/domain/cluster-state';
import { PlacementPlan } from '../../src/domain/placement-plan';
import { cancelUpdate, transitionUpdate } from '../../src/contract/messages';
import type { InProcessShard } from '../support/in-process-shard';
import { useCluster } from '../support/use-cluster';
import { waitFor } from '../support/wait-for';
import { type ClusterFixture, FAST, pointJson, type TemporalForTests } from '../support/cluster-fixture';

const POINTS = 2_000;
/** Short attempts: a recovery waits for as long as an attempt of the dead operation may live. */
const TIMINGS = { ...FAST, attemptMs: 1_500, heartbeatMs: 1_000, patienceMs: 20_000 };
let temporal: TemporalForTests;
let cluster: ClusterFixture;

useCluster('recover', { points: POINTS, shards: 3 }, (started, on) => {
  cluster = started;
  temporal = on;
});

/** Makes the phase last: what it waits for is slow. */
function hold(phase: 'copy' | 'drop', shards: readonly InProcessShard[]): void {
  const slow = (match: { method?: string; path?: RegExp }, ms: number): void => {
    for (const shard of shards) shard.faults.add({ match, fault: { kind: 'slow', ms } });
  };
  if (phase === 'copy') slow({ path: /fetch/ }, 300);
  else slow({ method: 'DELETE' }, 700);
}

async function terminateIn(kind: OperationKind, phase: 'copy'): Promise<void> {
  const shards = [...cluster.donors, cluster.joiner];
  hold(phase, shards);
  const timings = TIMINGS;
  const begun = kind === 'grow' ? cluster.announce('a', { timings }) : cluster.announceDrain('a', 1, { timings });
  // The caller of a start that is terminated before it was announced hears of it in its own way.
  begun.catch(() => undefined);
  await waitFor(`phase ${phase}`, async () => {
    const progress = await cluster.progress('a', kind).catch(() => null);
    return progress?.phase === phase;
  });
  await cluster.operation('a', kind).terminate('by a test');
  for (const shard of shards) shard.faults.clear();
}

/** What any request does: look, and wait for the recovery to end. */
async function recovered(key: string): Promise<void> {
  const look = await cluster.lookAfterLock();
  expect(look).toMatchObject({ kind: 'recovering', recovery: `recover-${key}` });
  await cluster.operation(key, 'recover').result();
  expect(await cluster.state()).toMatchObject({ lock: null });
  expect(await cluster.lookAfterLock()).toEqual({ kind: 'free' });
}

async function expectWhole(): Promise<void> {
  expect(cluster.allIds('docs')).toHaveLength(POINTS);
  expect(await cluster.misplaced('docs')).toEqual([]);
  expect(await cluster.map()).toMatchObject({ joining: [], leaving: [] });
}

describe('a grow that was terminated', () => {
  it('is undone by its recovery, both are recorded, and its shard can join again', async () => {
    await terminateIn('grow', 'copy');
    await recovered('grow-a.1');
    await expectWhole();
    const [recovery, dead] = (await cluster.state()).operations;
    expect(recovery).toMatchObject({ operationId: 'recover-grow-a.1', end: 'succeeded' });
    expect(dead).toMatchObject({ operationId: 'grow-a', end: 'failed' });
    expect((await cluster.announce('b')).shardIds).toEqual([4]);
    await cluster.operation('b').result();
    await expectWhole();
  });
});

describe('a recovery', () => {
  it('that was terminated itself is recovered by the next one', async () => {
    await terminateIn('drain', 'copy');
    cluster.donors[1]!.faults.add({ match: {}, fault: { kind: 'slow', ms: 200 } });
    await cluster.lookAfterLock();
    await waitFor('the first recovery has the lock', async () => (await cluster.state()).lock?.takeovers === 1);
    await cluster.operation('drain-a.1', 'recover').terminate('by a test');
    await recovered('drain-a.2');
    await expectWhole();
    expect((await cluster.map()).shards).toHaveLength(3);
  });

  it('is started once, however many look at the same time', async () => {
    await terminateIn('grow', 'copy');
    const looks = await Promise.all([1, 2, 3, 4].map(() => cluster.lookAfterLock()));
    // A look that comes after the recovery has the lock finds it held; it starts nothing.
    const started = looks.filter((look) => look.kind === 'recovering');
    expect(started).not.toHaveLength(0);
    for (const look of started) expect(look).toMatchObject({ recovery: 'recover-grow-a.1' });
    for (const look of looks) {
      if (look.kind !== 'recovering') expect(look).toEqual({ kind: 'held', operationId: 'recover-grow-a.1' });
    }
    await cluster.operation('grow-a.1', 'recover').result();
    await expectWhole();
    expect((await cluster.state()).operations.filter((each) => each.kind === 'recover')).toHaveLength(1);
  });

  it('does not begin while the holder of the lock lives', async () => {
    hold('copy', cluster.donors);
    await cluster.announce('a');
    expect(await cluster.lookAfterLock()).toEqual({ kind: 'held', operationId: 'grow-a' });
    for (const shard of cluster.donors) shard.faults.clear();
    await cluster.operation('a').result();
    expect(await cluster.lookAfterLock()).toEqual({ kind: 'free' });
  });

  it('undoes with care what it can learn nothing of: copies go where the owner holds the point, and nothing else', async () => {
    // A lock whose operation has no workflow, as after its retention is over.
    const operationId = 'drain-ghost';
    const request = { kind: 'drain', shardId: 1 } as const;
    const apply = (transition: ClusterTransition) =>
      cluster.cluster.executeUpdate(transitionUpdate, { args: [transition] });
    await apply({ type: 'reserve', operationId, request });
    await apply({ type: 'announce', operationId });
    const [first, leaver] = cluster.donors as [InProcessShard, InProcessShard];
    const plan = new PlacementPlan({ shards: [0, 1, 2], joining: [], leaving: [1] });
    const copies = leaver.ids('docs').filter((id) => plan.ownerOf(Buffer.from(id)) === 0);
    for (const id of copies) first.put('docs', leaver.get('docs', id)!);
    await recovered('drain-ghost.1');
    await expectWhole();
    expect(copies.length).toBeGreaterThan(100);
    expect((await cluster.map()).shards).toHaveLength(3);
  });
});

describe('a grow of which nothing is known but its lock', () => {
  it('takes from the joiner what the donors hold, and not what may be the last of it', async () => {
    const operationId = 'grow-ghost';
    const request = { kind: 'grow', shards: [cluster.address(cluster.joiner)], fromStandby: false } as const;
    const apply = (transition: ClusterTransition) =>
      cluster.cluster.executeUpdate(transitionUpdate, { args: [transition] });
    await apply({ type: 'reserve', operationId, request });
    const { lock } = await apply({ type: 'announce', operationId });
    const joiner = lock!.shards[0]!.id;
    const donors = cluster.donors.map((_, id) => id);
    const plan = new PlacementPlan({ shards: [...donors, joiner], joining: [joiner], leaving: [] });
    cluster.joiner.create({ name: 'docs', dim: 4, metric: 'l2', index: 'hnsw' });
    const slice = cluster.donors.flatMap((donor) =>
      donor.ids('docs').filter((id) => plan.ownerOf(Buffer.from(id)) === joiner),
    );
    for (const id of slice) {
      const donor = cluster.donors.find((each) => each.get('docs', id) !== null)!;
      cluster.joiner.put('docs', donor.get('docs', id)!);
    }
    const last = slice.slice(0, 3);
    for (const donor of cluster.donors) donor.delete('docs', ...last);
    await recovered('grow-ghost.1');
    expect(slice.length).toBeGreaterThan(10);
    expect([...cluster.joiner.ids('docs')].sort()).toEqual([...last].sort());
    expect((await cluster.map()).shards).toHaveLength(donors.length);
  });
});

describe('a grow that is reset', () => {
  /** To the workflow task before the first activity of this type was asked for: what follows is done again by a new run. */
  async function resetTo(activityType: string): Promise<void> {
    const handle = cluster.operation('a');
    const { events } = await handle.fetchHistory();
    const at = events!.findIndex(
      (each) => each.activityTaskScheduledEventAttributes?.activityType?.name === activityType,
    );
    const task = events!.slice(0, at).findLast((each) => each.workflowTaskCompletedEventAttributes != null);
    await temporal.connection.workflowService.resetWorkflowExecution({
      namespace: 'default',
      workflowExecution: { workflowId: handle.workflowId },
      workflowTaskFinishEventId: task!.eventId!,
      requestId: randomUUID(),
      reason: 'by a test',
    });
  }

  it('to its copy, when ownership has flipped, overwrites nothing that clients wrote since, and is finished', async () => {
    await growUntil('drop');
    const [moved] = cluster.joiner.ids('docs');
    cluster.joiner.put('docs', pointJson(moved!, 4_711));
    await resetTo('copyDonor');
    await expect(cluster.operation('a').result()).rejects.toThrow();
    for (const shard of cluster.donors) shard.faults.clear();
    await recovered('grow-a.1');
    expect(cluster.joiner.get('docs', moved!)).toContain('"v":4711');
    await expectWhole();
    expect((await cluster.map()).shards).toHaveLength(4);
  });

  it('to its undo, when its shard has joined since by another grow, leaves that shard alone', async () => {
    hold('copy', cluster.donors);
    const timings = TIMINGS;
    await cluster.announce('a', { timings });
    await cluster.inPhase('a', 'copy');
    await cluster.operation('a').executeUpdate(cancelUpdate, { args: [{ reason: 'a test' }] });
    await expect(cluster.operation('a').result()).rejects.toThrow();
    for (const shard of cluster.donors) shard.faults.clear();
    await cluster.announce('b');
    await cluster.operation('b').result();
    const held = [...cluster.joiner.ids('docs')];
    await resetTo('cleanJoiner');
    await expect(cluster.operation('a').result()).rejects.toThrow();
    expect(cluster.joiner.ids('docs')).toEqual(held);
    await expectWhole();
  });

  async function growUntil(phase: 'drop'): Promise<void> {
    hold(phase, cluster.donors);
    const timings = TIMINGS;
    await cluster.announce('a', { timings });
    await cluster.inPhase('a', phase);
  }
});
