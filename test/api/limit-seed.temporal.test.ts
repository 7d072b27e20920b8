/** What becomes of the limits of a cluster when an API starts again, with the same settings or with others. */
import pino from 'pino';
import { seedClusterLimits } from '../../src/api/limit-seed';
import { ClusterClient } from '../../src/client/cluster-client';
import { NO_CLUSTER_LIMITS, type ClusterLimits } from '../../src/domain/work-limits';
import { FAST, type ClusterFixture, type TemporalForTests } from '../support/cluster-fixture';
import { useCluster } from '../support/use-cluster';

let cluster: ClusterFixture;
let temporal: TemporalForTests;
useCluster('limit-seed', { points: 2_000 }, (started, on) => {
  cluster = started;
  temporal = on;
});

const limitsOf = (change: Partial<ClusterLimits>): ClusterLimits => ({ ...NO_CLUSTER_LIMITS, ...change });

/** An API that starts with these settings. Returns what it logs. */
async function startApi(change: Partial<ClusterLimits>) {
  const logged: string[] = [];
  const client = new ClusterClient({
    connection: temporal.connection,
    namespace: 'default',
    cluster: cluster.name,
    stopping: new AbortController().signal,
    recoverWith: null,
    logger: pino({ level: 'silent' }),
  });
  const logger = pino({ level: 'warn' }, { write: (line: string) => void logged.push(line) });
  await seedClusterLimits({ seed: limitsOf(change), client, logger }, new AbortController().signal);
  return { client, logged };
}

it('settings seed the limits, changed ones do so again, and those that are gone are told and lift nothing', async () => {
  expect((await startApi({})).logged).toEqual([]);
  expect((await cluster.state()).limits).toBeUndefined();
  await startApi({ maxRowsPerS: 10 });
  expect((await cluster.state()).limits).toEqual(limitsOf({ maxRowsPerS: 10 }));
  const window = { activeFrom: '22:00', activeTo: '05:30' };
  expect((await startApi({ deleteShare: 0.5, ...window })).logged).toEqual([]);
  expect((await cluster.state()).limits).toEqual(limitsOf({ deleteShare: 0.5, ...window }));
  expect((await startApi({})).logged.join()).toContain('no COORDINATOR_LIMITS_* is set any more');
  expect((await cluster.state()).limits).toEqual(limitsOf({ deleteShare: 0.5, ...window }));
});

it('limits that were set by hand survive a restart of the API, and settings that differ are told', async () => {
  const { client } = await startApi({ maxRowsPerS: 10 });
  await client.applyTransition({ type: 'replaceLimits', limits: limitsOf({ maxRowsPerS: 99 }) });
  expect((await startApi({ maxRowsPerS: 99 })).logged).toEqual([]);
  expect((await startApi({ maxRowsPerS: 10 })).logged.join()).toContain('were set by hand and count');
  // An API without settings expects nothing.
  expect((await startApi({})).logged).toEqual([]);
  expect((await cluster.state()).limits).toEqual(limitsOf({ maxRowsPerS: 99 }));
});

it('a grow that begins keeps to seeded limits, which a start during it may only tighten', async () => {
  await startApi({ maxRowsPerS: 40 });
  await cluster.announce('a', { timings: { ...FAST, graceMs: 2_000 } });
  expect((await cluster.progress('a')).limits).toMatchObject({ maxRowsPerS: 40 });
  const { logged } = await startApi({ maxRowsPerS: 5_000, deleteShare: 0.5 });
  expect(logged.join()).toContain('only tighten limits while an operation runs');
  const limits = limitsOf({ maxRowsPerS: 40, deleteShare: 0.5 });
  expect((await cluster.state()).limits).toEqual(limits);
  const { client } = await startApi({ maxRowsPerS: 40, deleteShare: 0.5 });
  await client.applyTransition({ type: 'replaceLimits', limits: NO_CLUSTER_LIMITS });
  await client.adjustOperation('grow-a', { kind: 'clusterLimits', limits: NO_CLUSTER_LIMITS });
  await cluster.operation('a').result();
  expect(await cluster.misplaced('docs')).toEqual([]);
});

it('are given as soon as the cluster answers, and never once the API stops', async () => {
  await cluster.stopWorker();
  const starting = startApi({ maxRowsPerS: 10 });
  await new Promise((resolve) => setTimeout(resolve, 500));
  await cluster.startWorker();
  await starting;
  expect((await cluster.state()).limits).toEqual(limitsOf({ maxRowsPerS: 10 }));
  const calls: string[] = [];
  const client = {
    queryState: () => Promise.reject(new Error('away')),
    applyTransition: () => Promise.reject(new Error(calls.push('asked').toString())),
  };
  await seedClusterLimits(
    { seed: limitsOf({ maxRowsPerS: 1 }), client, logger: pino({ level: 'silent' }) },
    AbortSignal.abort(),
  );
  expect(calls).toEqual([]);
});
