import { WorkflowFailedError } from '@temporalio/client';
import type { createActivities } from '../../src/activities';
import {
  cancelUpdate,
  clusterLimitsUpdate,
  operationStateQuery,
  pauseUpdate,
  resumeUpdate,
} from '../../src/contract/messages';
import type { CompareDonorResult } from '../../src/contract/move';
import type { OperationKind } from '../../src/domain/cluster-state';
import type { Pause } from '../../src/domain/pause';
import { NO_CLUSTER_LIMITS, type ClusterLimits } from '../../src/domain/work-limits';
import { type ClusterFixture, FAST, pointJson, refusalOf } from '../support/cluster-fixture';
import { useCluster } from '../support/use-cluster';
import { waitFor } from '../support/wait-for';

const POINTS = 600;
/** Short attempts: a recovery waits for as long as an attempt of the dead operation may live. */
const TIMINGS = { ...FAST, attemptMs: 1_500, heartbeatMs: 1_000 };
let cluster: ClusterFixture;
type Activities = ReturnType<typeof createActivities>;
let afterCompare: (result: CompareDonorResult) => Promise<void>;

/** Lets a test step in where a donor was compared, before the operation hears of it. */
function wrap(activities: Activities): Activities {
  const compareDonor: Activities['compareDonor'] = async (input) => {
    const result = await activities.compareDonor(input);
    await afterCompare(result);
    return result;
  };
  return { ...activities, compareDonor };
}

useCluster('paused', { points: POINTS, shards: 3, wrap }, (started) => {
  cluster = started;
  afterCompare = () => Promise.resolve();
});

const UPSERT = { method: 'GRPC', path: /UpsertStream/ };

function pause(change: Partial<Pause> = {}, of: { key?: string; kind?: OperationKind } = {}) {
  const { key = 'a', kind = 'grow' } = of;
  const { reason = 'a release', untilMs = null, by = 'ops' } = change;
  return cluster.operation(key, kind).executeUpdate(pauseUpdate, { args: [{ reason, untilMs, by }] });
}

function resume(key = 'a', kind: OperationKind = 'grow') {
  return cluster.operation(key, kind).executeUpdate(resumeUpdate);
}

async function holds(key = 'a', kind: OperationKind = 'grow'): Promise<void> {
  await waitFor('it stands still', async () => (await cluster.progress(key, kind)).pause?.holds === true, 30_000);
}

/** A grow that stands still in its copy, which its joiner takes slowly. */
async function holdInCopy(change: object = {}): Promise<void> {
  const slow = cluster.joiner.faults.add({ match: UPSERT, fault: { kind: 'slow', ms: 1_000 } });
  await cluster.announce('a', { timings: TIMINGS, ...change });
  await slow.struck;
  await pause();
  cluster.joiner.faults.clear();
  await holds();
}

async function pendingActivities(): Promise<number> {
  const { raw } = await cluster.operation('a').describe();
  return raw.pendingActivities?.length ?? 0;
}

async function expectDone(key = 'a', kind: OperationKind = 'grow'): Promise<void> {
  await cluster.operation(key, kind).result();
  const progress = await cluster.progress(key, kind);
  expect(progress).toMatchObject({ status: 'succeeded', waiting: null });
  expect(progress.pause).toBeUndefined();
  expect(await cluster.misplaced('docs')).toEqual([]);
  expect(cluster.allIds('docs')).toHaveLength(POINTS);
}

describe('a paused grow', () => {
  it('stands still in its copy: its step is cut off, it writes nothing, keeps its lock, and says why', async () => {
    await holdInCopy();
    const { phase, waiting } = await cluster.progress('a');
    expect({ phase, waiting }).toMatchObject({
      phase: 'copy',
      waiting: { reason: 'paused by ops: a release', endsWhen: 'it is resumed' },
    });
    expect(await pendingActivities()).toBe(0);
    const { donors } = await cluster.operation('a').query(operationStateQuery);
    expect(Object.values(donors).filter((donor) => donor?.isCopied === false)).not.toEqual([]);
    expect((await cluster.state()).lock).toMatchObject({ operationId: 'grow-a' });
    const writes = cluster.joiner.requests.length;
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(cluster.joiner.requests).toHaveLength(writes);
    await resume();
    await expectDone();
  });

  it('resumes by itself', async () => {
    const slow = cluster.joiner.faults.add({ match: UPSERT, fault: { kind: 'slow', ms: 300 } });
    await cluster.announce('a');
    await slow.struck;
    const untilMs = Date.now() + 4_000;
    await pause({ untilMs });
    await holds();
    expect((await cluster.progress('a')).waiting?.endsWhen).toMatch(/has passed, or it is resumed$/);
    await expectDone();
    expect(Date.now()).toBeGreaterThanOrEqual(untilMs);
  });

  it('stands still after another worker has taken over, and goes on there', async () => {
    await holdInCopy();
    await cluster.killWorker();
    await cluster.startWorker();
    expect(await cluster.progress('a')).toMatchObject({ status: 'running', pause: { holds: true } });
    await resume();
    await expectDone();
  });

  it('continues as new while it stands still, and still knows why', async () => {
    await holdInCopy({ historyEventsMax: 20 });
    const firstRun = (await cluster.operation('a').describe()).runId;
    await pause({ reason: 'longer' });
    await waitFor('another run', async () => (await cluster.operation('a').describe()).runId !== firstRun);
    await holds();
    expect((await cluster.progress('a')).pause).toMatchObject({ reason: 'longer', by: 'ops' });
    await resume();
    await expectDone();
  });

  it('is undone by a cancel, at once', async () => {
    await holdInCopy();
    await cluster.operation('a').executeUpdate(cancelUpdate, { args: [{ reason: 'a test' }] });
    await expect(cluster.operation('a').result()).rejects.toThrow(WorkflowFailedError);
    const progress = await cluster.progress('a');
    expect(progress).toMatchObject({ status: 'cancelled', waiting: null });
    expect(progress.pause).toBeUndefined();
    expect(cluster.joiner.collections()).toEqual([]);
    expect(await cluster.state()).toMatchObject({ lock: null, map: { joining: [] } });
  });

  it('is undone by its recovery when it is terminated before the flip', async () => {
    await holdInCopy();
    await cluster.operation('a').terminate('by a test');
    expect(await cluster.lookAfterLock()).toMatchObject({ kind: 'recovering' });
    await cluster.operation('grow-a.1', 'recover').result();
    expect(await cluster.state()).toMatchObject({ lock: null, map: { joining: [] } });
    expect(cluster.joiner.collections()).toEqual([]);
  });

  it('that is resumed at once, while its step is cut off, goes on and is not undone', async () => {
    const slow = cluster.joiner.faults.add({ match: UPSERT, fault: { kind: 'slow', ms: 1_000 } });
    await cluster.announce('a');
    await slow.struck;
    await pause();
    await resume();
    cluster.joiner.faults.clear();
    await expectDone();
  });

  it('in its last pass does not flip, and proves itself again before it does', async () => {
    let passes = 0;
    afterCompare = async ({ upserted, deleted, mayHaveWritten }) => {
      if (upserted + deleted > 0 || mayHaveWritten || passes > 0) return;
      passes = (await cluster.operation('a').query(operationStateQuery)).passes + 1;
      await pause();
    };
    await cluster.announce('a');
    await holds();
    expect(await cluster.progress('a')).toMatchObject({ phase: 'reconcile', pointOfNoReturnPassed: false });
    expect((await cluster.map()).joining).toHaveLength(1);
    // A write that reached one side alone while it stood still.
    const [id] = cluster.joiner.ids('docs');
    cluster.joiner.put('docs', pointJson(id ?? '', 9_999));
    const stale = cluster.joiner.get('docs', id ?? '');
    await resume();
    await expectDone();
    expect(cluster.joiner.get('docs', id ?? '')).not.toBe(stale);
    expect((await cluster.operation('a').query(operationStateQuery)).passes).toBeGreaterThan(passes);
  });
});

it('a window that closes in the last pass does not discard what was proven: the grow flips, and then stands still', async () => {
  let passes = 0;
  const limits = { ...NO_CLUSTER_LIMITS, ...closedWindow() };
  const tellWindow = (given: ClusterLimits): Promise<unknown> =>
    cluster.operation('a').executeUpdate(clusterLimitsUpdate, { args: [given] });
  afterCompare = async ({ upserted, deleted, mayHaveWritten }) => {
    if (upserted + deleted > 0 || mayHaveWritten || passes > 0) return;
    passes = (await cluster.operation('a').query(operationStateQuery)).passes + 1;
    await tellWindow(limits);
  };
  await cluster.announce('a');
  await waitFor('the flip', async () => (await cluster.progress('a')).pointOfNoReturnPassed, 30_000);
  await waitFor('it stands still', async () => (await cluster.progress('a')).waiting?.reason.includes('UTC') === true);
  expect((await cluster.operation('a').query(operationStateQuery)).passes).toBe(passes);
  expect((await cluster.misplaced('docs')).length).toBeGreaterThan(0);
  await tellWindow(NO_CLUSTER_LIMITS);
  await expectDone();
});

/** It opens in some hours. */
function closedWindow(): Pick<ClusterLimits, 'activeFrom' | 'activeTo'> {
  const inHours = (hours: number): string => new Date(Date.now() + hours * 3_600_000).toISOString().slice(11, 16);
  return { activeFrom: inHours(2), activeTo: inHours(3) };
}

describe('after the flip', () => {
  /** Waits for routers that can be asked: none are, so the grace stands for them. */
  async function pauseInWindow(): Promise<void> {
    await cluster.announce('a', { timings: { ...TIMINGS, graceMs: 1_500 } });
    await cluster.inPhase('a', 'await-routers-after');
    await pause();
  }

  it('a pause is taken, and holds only when the routers hold the map', async () => {
    await pauseInWindow();
    const early = await cluster.progress('a');
    expect(early).toMatchObject({ phase: 'await-routers-after', pause: { holds: false } });
    await holds();
    const { phases } = await cluster.progress('a');
    expect(phases.at(-1)).toMatchObject({ phase: 'await-routers-after', endedAtMs: expect.any(Number) });
    expect((await cluster.map()).joining).toEqual([]);
    await resume();
    await expectDone();
  });

  it('a pause while donors are read for the drop holds before anything is dropped, and the donors are read again', async () => {
    const reads = (): number =>
      cluster.donors.reduce(
        (sum, donor) => sum + donor.requests.filter(({ path }) => /Replicate/.test(path)).length,
        0,
      );
    let before = 0;
    await cluster.announce('a', { timings: { ...TIMINGS, graceMs: 1_000 } });
    await cluster.inPhase('a', 'await-routers-after');
    cluster.donors[0]!.faults.add({
      match: { method: 'GRPC', path: /Replicate/ },
      fault: {
        kind: 'before',
        run: async () => {
          if (before > 0 || (await cluster.progress('a')).phase !== 'drop') return;
          before = reads();
          await pause();
        },
      },
    });
    await holds();
    expect(await cluster.progress('a')).toMatchObject({ phase: 'drop' });
    expect((await cluster.operation('a').query(operationStateQuery)).droppedByDonor).toEqual({});
    expect((await cluster.misplaced('docs')).length).toBeGreaterThan(0);
    await resume();
    await expectDone();
    expect(reads()).toBeGreaterThan(before);
  });

  it('a recovery goes on with the pause of the grow that it finishes', async () => {
    await pauseInWindow();
    await holds();
    await cluster.operation('a').terminate('by a test');
    expect(await cluster.lookAfterLock()).toMatchObject({ kind: 'recovering' });
    await holds('grow-a.1', 'recover');
    expect((await cluster.progress('grow-a.1', 'recover')).pause).toMatchObject({ reason: 'a release', by: 'ops' });
    await resume('grow-a.1', 'recover');
    await cluster.operation('grow-a.1', 'recover').result();
    expect(await cluster.misplaced('docs')).toEqual([]);
    expect((await cluster.state()).lock).toBeNull();
  });
});

describe('a pause is refused', () => {
  it('of an operation that has ended, as a resume is', async () => {
    await cluster.announce('a');
    await cluster.operation('a').result();
    await expect(pause()).rejects.toThrow();
    await expect(resume()).rejects.toThrow();
  });

  it('of one that is being undone', async () => {
    await holdInCopy();
    const slow = cluster.joiner.faults.add({ match: { method: 'DELETE' }, fault: { kind: 'slow', ms: 1_500 } });
    await cluster.operation('a').executeUpdate(cancelUpdate, { args: [{ reason: 'a test' }] });
    await slow.struck;
    expect(await refusalOf(pause())).toBe('CannotPauseNow');
    await expect(cluster.operation('a').result()).rejects.toThrow();
  });

  it('with an end that has passed', async () => {
    await holdInCopy();
    expect(await refusalOf(pause({ untilMs: Date.now() - 1 }))).toBe('InvalidRequest');
    await resume();
    await expectDone();
  });
});

describe('a paused check', () => {
  it('stands still before it reads, and goes on', async () => {
    const request = { collections: null, leftovers: [], prefer: [] };
    const slow = cluster.donors[0]!.faults.add({ match: { path: /collections/ }, fault: { kind: 'slow', ms: 700 } });
    await cluster.begin('check', { ...cluster.input('c'), request });
    await slow.struck;
    await pause({}, { key: 'c', kind: 'check' });
    await holds('c', 'check');
    expect((await cluster.progress('c', 'check')).phases.map(({ phase }) => phase)).not.toContain('compare');
    await resume('c', 'check');
    await expectDone('c', 'check');
  });
});
