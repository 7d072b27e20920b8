import { pino } from 'pino';
import { ClusterClient } from '../../src/client/cluster-client';
import { DiagnosisClient, type Diagnosis } from '../../src/client/diagnosis-client';
import { viewOfDiagnosis } from '../../src/api/views/diagnosis';
import { SYSTEM_CLOCK, type Clock } from '../../src/activities/frame/attempt';
import { diagnosisSchema } from '../../src/wire/diagnosis';
import { type ClusterFixture, type TemporalForTests } from '../support/cluster-fixture';
import { SHARD_KEY } from '../support/in-process-shard';
import { useCluster } from '../support/use-cluster';
import { waitFor } from '../support/wait-for';

let cluster: ClusterFixture;
let temporal: TemporalForTests;
let skewMs = 0;
const clock: Clock = { ...SYSTEM_CLOCK, nowMs: () => SYSTEM_CLOCK.nowMs() + skewMs };

useCluster('doctor', { points: 40, clock }, (started, on) => {
  cluster = started;
  temporal = on;
  skewMs = 0;
});

function client(options: { namespace?: string; answerMs?: number } = {}): DiagnosisClient {
  const { connection } = temporal;
  const of = { connection, namespace: 'default', cluster: cluster.name, logger: pino({ level: 'silent' }) };
  return new DiagnosisClient({ ...of, ...options, client: new ClusterClient({ ...of, recoverWith: null }) });
}

/** As REST shows it. */
function told(diagnosis: Diagnosis) {
  const view = diagnosisSchema.parse(viewOfDiagnosis(diagnosis, 30_000));
  expect(JSON.stringify(view)).not.toContain(SHARD_KEY);
  return view;
}

describe('a diagnosis', () => {
  it('tells Temporal, the workers, the machine of one of them, and the shards', async () => {
    const examined = () => client().examine();
    await waitFor('a poller of each kind', async () => {
      const takes = (await examined()).temporal.pollers?.flatMap((each) => each.takes) ?? [];
      return takes.includes('workflows') && takes.includes('activities');
    });
    const view = told(await examined());
    expect(view.temporal).toMatchObject({ namespace: 'default', problem: null, pollers_left_out: 0 });
    expect(view.temporal.version).toMatch(/^\d+\.\d+\.\d+/);
    expect(view.temporal.retention_s).toBeGreaterThanOrEqual(3_600);
    expect(Object.keys(view.temporal.search_attributes)).toEqual(['CoordinatorCluster', 'CoordinatorPhase']);
    expect(view.temporal.pollers?.[0]?.last_seen).not.toBeNull();
    expect([view.api.clock_skew_ms, view.worker?.clock_skew_ms]).toEqual([0, 0]);
    expect(view.worker?.spool.free_bytes).toBeGreaterThan(0);
    expect(view.shards.map(({ id, problem, key }) => ({ id, problem, role: key.role }))).toEqual([
      { id: 0, problem: null, role: 'admin' },
      { id: 1, problem: null, role: 'admin' },
    ]);
    const rows = view.shards.reduce((sum, each) => sum + (each.rows ?? 0), 0);
    expect(rows).toBe(40);
  });

  it('tells a worker whose clock is off', async () => {
    skewMs = 60_000;
    const { worker } = told(await client().examine());
    expect(worker?.clock_skew_ms).toBeGreaterThan(50_000);
    skewMs = -60_000;
    const { worker: behind } = told(await client().examine());
    expect(behind?.clock_skew_ms).toBeLessThan(-50_000);
  });

  it('still tells Temporal where no worker answers', async () => {
    await cluster.stopWorker();
    const view = told(await client().examine());
    expect(view.temporal.version).not.toBeNull();
    expect(view).toMatchObject({ worker: null, api: { clock_skew_ms: null }, shards: [] });
    expect(view.worker_problem).toContain('did not answer');
    await cluster.startWorker();
  });

  it('tells what it is not told, and fails for nothing', async () => {
    const view = told(await client({ namespace: 'a-namespace-that-nobody-has' }).examine());
    expect(view.temporal).toMatchObject({ retention_s: null, pollers: null });
    expect(view.temporal.problem).not.toBeNull();
  });

  it('ends when its time is over', async () => {
    cluster.donors[0]!.faults.add({ match: { path: /healthz/ }, fault: { kind: 'slow', ms: 1_000 } });
    const view = told(await client({ answerMs: 200 }).examine());
    expect(view.worker_problem).toContain('within 200 ms');
    expect(view.took_ms).toBeLessThan(3_000);
  });
});
