import { clusterLimitsUpdate, limitUpdate, stepLimitsQuery, transitionUpdate } from '../../src/contract/messages';
import { NO_CLUSTER_LIMITS, type ClusterLimits, type WorkLimits } from '../../src/domain/work-limits';
import type { Slowed } from '../../src/domain/slowed';
import { type ClusterFixture, FAST, refusalOf } from '../support/cluster-fixture';
import { useCluster } from '../support/use-cluster';
import { waitFor } from '../support/wait-for';

const POINTS = 3_000;
let cluster: ClusterFixture;

useCluster('throttled', { points: POINTS }, (started) => {
  cluster = started;
});

function limit(change: Partial<WorkLimits>) {
  return cluster.operation('a').executeUpdate(limitUpdate, { args: [change] });
}

function tellCluster(change: Partial<ClusterLimits>) {
  const limits = { ...NO_CLUSTER_LIMITS, ...change };
  return cluster.operation('a').executeUpdate(clusterLimitsUpdate, { args: [limits] });
}

const copied = (): number => cluster.joiner.ids('docs').length;

/** A grow that was limited before its copy began, and copies some thousand rows. */
async function beginSlowly(): Promise<void> {
  await cluster.announce('a', { timings: { ...FAST, graceMs: 3_000 } });
  await limit({ maxRowsPerS: 40 });
  expect(await cluster.progress('a')).toMatchObject({ phase: 'await-routers', limits: { maxRowsPerS: 40 } });
  await waitFor('some rows', () => copied() > 0, 30_000);
}

/** Rows a second, over some seconds. */
async function rate(): Promise<number> {
  const [before, beganAtMs] = [copied(), Date.now()];
  await new Promise((resolve) => setTimeout(resolve, 4_000));
  return (copied() - before) / ((Date.now() - beganAtMs) / 1_000);
}

/** Until a step has read its limits again, and has written what it had taken before. */
const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 4_000));

describe('a grow that is limited', () => {
  it('copies no faster, and at full speed again as soon as the limit is gone, in the same step', async () => {
    await beginSlowly();
    await settled();
    expect(await rate()).toBeLessThanOrEqual(55);
    const { slowed = [] } = await waitFor('a step that tells what slows it down', async () => {
      const progress = await cluster.progress('a');
      return progress.slowed === undefined ? null : progress;
    });
    expect(slowed.map(({ by }) => by)).toContain('max_rows_per_s');
    for (const { by, shardId, restShare = 0 } of slowed) {
      if (by !== 'max_rows_per_s') continue;
      expect(cluster.donors[shardId ?? -1]).toBeDefined();
      expect(restShare).toBeGreaterThan(0.5);
    }
    await limit({ maxRowsPerS: 10 });
    await settled();
    expect(await rate()).toBeLessThanOrEqual(20);
    expect((await cluster.progress('a')).phase).toBe('copy');
    expect(await cluster.operation('a').query(stepLimitsQuery)).toMatchObject({ maxRowsPerS: 5 });
    const attempts = (await cluster.progress('a')).failedAttempts;
    await limit({ maxRowsPerS: null });
    const liftedAtMs = Date.now();
    await waitFor('the end of the copy', async () => (await cluster.progress('a')).phase !== 'copy', 30_000);
    expect(Date.now() - liftedAtMs).toBeLessThan(10_000);
    await cluster.operation('a').result();
    const progress = await cluster.progress('a');
    expect(progress).toMatchObject({ status: 'succeeded', failedAttempts: attempts });
    expect(progress.limits).toBeUndefined();
    expect(progress.slowed).toBeUndefined();
    expect(await cluster.misplaced('docs')).toEqual([]);
  });

  it('is limited by the cluster where it has no limit of its own', async () => {
    await beginSlowly();
    await tellCluster({ maxRowsPerS: 1_000_000, maxBytesPerS: 5_000 });
    expect((await cluster.progress('a')).limits).toEqual({ maxBytesPerS: 5_000, maxRowsPerS: 40, deleteShare: null });
    await tellCluster({});
    await limit({ maxRowsPerS: null });
    await cluster.operation('a').result();
  });

  it('tells a shard that takes long for a write, and no more once the step has ended', async () => {
    const slow = cluster.joiner.faults.add({
      match: { method: 'GRPC', path: /UpsertStream/ },
      fault: { kind: 'slow', ms: 600 },
    });
    // Small writes, so that there are many of them.
    await cluster.announce('a', { timings: { ...FAST, graceMs: 1_500 } });
    await limit({ maxRowsPerS: 60 });
    const isLatency = ({ by }: Slowed): boolean => by === 'write_latency';
    const { slowed = [] } = await waitFor('what slows it down', async () => {
      const progress = await cluster.progress('a');
      return progress.slowed?.some(isLatency) === true ? progress : null;
    });
    expect(slowed).toContainEqual(expect.objectContaining({ by: 'write_latency', shardId: 2, boundMs: 200 }));
    expect(slowed.find(isLatency)?.seenMs).toBeGreaterThanOrEqual(600);
    slow.remove();
    await limit({ maxRowsPerS: null });
    await cluster.operation('a').result();
    expect((await cluster.progress('a')).slowed).toBeUndefined();
  });

  it('refuses limits that mean nothing', async () => {
    await beginSlowly();
    expect(await refusalOf(limit({ maxRowsPerS: 0 }))).toBe('InvalidRequest');
    expect(await refusalOf(limit({ deleteShare: 2 }))).toBe('InvalidRequest');
    await limit({ maxRowsPerS: null });
    await cluster.operation('a').result();
  });
});

describe('outside of the window of the cluster', () => {
  const time = (ms: number): string => new Date(ms).toISOString().slice(11, 16);
  const HOUR_MS = 60 * 60 * 1_000;

  it('a grow that begins is announced and waits, as the cluster itself has told it', async () => {
    const nowMs = Date.now();
    const hours = { activeFrom: time(nowMs + 2 * HOUR_MS), activeTo: time(nowMs + 3 * HOUR_MS) };
    const replace = (limits: Partial<ClusterLimits>) =>
      cluster.cluster.executeUpdate(transitionUpdate, {
        args: [{ type: 'replaceLimits', limits: { ...NO_CLUSTER_LIMITS, ...limits } }],
      });
    await replace({ ...hours, maxRowsPerS: 30 });
    expect((await cluster.announce('a')).map.joining).toHaveLength(1);
    await waitFor('the wait', async () => (await cluster.progress('a')).waiting?.reason.includes('UTC') === true);
    expect(await cluster.progress('a')).toMatchObject({ phase: 'announce', limits: { maxRowsPerS: 30 } });
    expect(copied()).toBe(0);
    await replace({});
    await tellCluster({});
    await cluster.operation('a').result();
    expect(await cluster.misplaced('docs')).toEqual([]);
  });

  it('a grow stands still behind the step that runs, says until when, and goes on when the window is changed', async () => {
    await beginSlowly();
    const nowMs = Date.now();
    await tellCluster({ activeFrom: time(nowMs + 2 * HOUR_MS), activeTo: time(nowMs + 3 * HOUR_MS) });
    await limit({ maxRowsPerS: null });
    const { waiting, phase, pause } = await waitFor('the wait', async () => {
      const progress = await cluster.progress('a');
      return progress.waiting?.reason.startsWith('operations work from') === true ? progress : null;
    });
    expect(pause).toBeUndefined();
    expect(['copy', 'warm-up']).toContain(phase);
    expect(waiting?.endsWhen).toMatch(/has passed, or PUT \/cluster\/limits changes the window$/);
    await tellCluster({});
    await cluster.operation('a').result();
    expect(await cluster.misplaced('docs')).toEqual([]);
  });
});
