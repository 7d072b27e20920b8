/** The policy, its Schedule and its evaluations on a real Temporal, asked as the API asks. */
import { pino } from 'pino';
import { AutoscaleClient, type AutoscaleClientOptions } from '../../src/client/autoscale-client';
import { ClientError } from '../../src/client/calls/errors';
import { type AutoscalePolicy, DEFAULT_POLICY } from '../../src/domain/autoscale-policy';
import { clearNotice, recordNotices } from '../../src/domain/notices';
import type { ClusterAnswer, ClusterTransition } from '../../src/contract/cluster';
import { stateQuery, transitionUpdate } from '../../src/contract/messages';
import { autoscaleScheduleId, evaluationWorkflowId } from '../../src/contract/ids';
import { waitFor } from '../support/wait-for';
import { type ClusterFixture, FAST, type TemporalForTests } from '../support/cluster-fixture';
import { useCluster } from '../support/use-cluster';

let temporal: TemporalForTests;
let cluster: ClusterFixture;
useCluster('autoscale-client', { points: 40 }, (started, on) => {
  cluster = started;
  temporal = on;
});
afterEach(async () => {
  await temporal.client.schedule
    .getHandle(autoscaleScheduleId(cluster.name))
    .delete()
    .catch(() => undefined);
});

const ENABLED: AutoscalePolicy = { ...DEFAULT_POLICY, enabled: true, highWaterPoints: 1_000, intervalSecs: 86_400 };
const STANDBY = { primary_url: 'http://standby:6333', replica_urls: [] };

function autoscaleClient(change: Partial<AutoscaleClientOptions> = {}): AutoscaleClient {
  return new AutoscaleClient({
    connection: temporal.connection,
    namespace: 'default',
    cluster: cluster.name,
    stopping: new AbortController().signal,
    client: {
      queryState: () => cluster.cluster.query(stateQuery),
      applyTransition: (transition) => cluster.cluster.executeUpdate(transitionUpdate, { args: [transition] }),
    },
    seed: { policy: ENABLED, standbys: [STANDBY] },
    settings: { routerUrls: [], timings: FAST, searchAttributes: false },
    logger: pino({ level: 'silent' }),
    ...change,
  });
}

const schedule = () => temporal.client.schedule.getHandle(autoscaleScheduleId(cluster.name)).describe();
const start = (change: Partial<AutoscaleClientOptions> = {}): Promise<void> =>
  autoscaleClient(change).start(new AbortController().signal);

describe('the start of an API', () => {
  it('seeds the policy from its settings and makes the Schedule', async () => {
    await start();
    const { autoscale } = await cluster.state();
    expect(autoscale).toMatchObject({ seeded: true, policy: ENABLED, standbys: [STANDBY] });
    expect((await schedule()).state.paused).toBe(false);
  });

  it('leaves an existing policy alone, and brings its own settings to the evaluations', async () => {
    await start();
    const changed = { routerUrls: ['http://r9'], timings: FAST, searchAttributes: false };
    await start({ seed: { policy: DEFAULT_POLICY, standbys: [] }, settings: changed });
    expect((await cluster.state()).autoscale.policy).toEqual(ENABLED);
    expect((await schedule()).action.args).toMatchObject([{ settings: { routerUrls: ['http://r9'] } }]);
  });

  it('seeds the policy as soon as the cluster answers', async () => {
    let fails = 1;
    await start({
      client: {
        queryState: () =>
          fails-- > 0
            ? Promise.reject(new ClientError('TemporalUnreachable', 'there is no worker'))
            : cluster.cluster.query(stateQuery),
        applyTransition: (transition) => cluster.cluster.executeUpdate(transitionUpdate, { args: [transition] }),
      },
    });
    expect((await cluster.state()).autoscale.seeded).toBe(true);
    expect((await schedule()).state.paused).toBe(false);
  });

  it('has the Schedule evaluate the policy from then on', async () => {
    await start({ seed: { policy: { ...ENABLED, intervalSecs: 1 }, standbys: [] } });
    await waitFor('two evaluations', async () => (await cluster.state()).autoscale.evaluations.length >= 2);
    expect((await cluster.state()).autoscale.evaluations[0]?.reason).toBe('below_mark');
  });
});

describe('the Schedule', () => {
  it('is put in step with a policy that changed, and tells when the next evaluation is', async () => {
    const api = autoscaleClient();
    await api.start(new AbortController().signal);
    const policy = { ...ENABLED, intervalSecs: 7_200 };
    await cluster.cluster.executeUpdate(transitionUpdate, { args: [{ type: 'replacePolicy', policy }] });
    const { nextEvaluationAtMs, problem } = await api.syncSchedule(policy);
    expect(problem).toBeNull();
    expect(nextEvaluationAtMs).toBeLessThanOrEqual(Date.now() + 7_200_000);
    expect((await schedule()).spec.intervals).toMatchObject([{ every: 7_200_000 }]);
  });

  it('follows the policy of the cluster, and not an older one of this process', async () => {
    const api = autoscaleClient();
    await api.start(new AbortController().signal);
    const policy = { ...ENABLED, intervalSecs: 3_600 };
    await cluster.cluster.executeUpdate(transitionUpdate, { args: [{ type: 'replacePolicy', policy }] });
    await api.syncSchedule({ ...ENABLED, intervalSecs: 60 });
    expect((await schedule()).spec.intervals).toMatchObject([{ every: 3_600_000 }]);
  });

  it('is made again when somebody deleted it', async () => {
    const api = autoscaleClient();
    await api.start(new AbortController().signal);
    await temporal.client.schedule.getHandle(autoscaleScheduleId(cluster.name)).delete();
    expect((await api.syncSchedule(ENABLED)).problem).toBeNull();
    expect((await schedule()).state.paused).toBe(false);
  });

  it('is put back within two intervals when it was deleted or paused from outside, without any request', async () => {
    const policy = { ...ENABLED, intervalSecs: 1 };
    const api = autoscaleClient({ seed: { policy, standbys: [] } });
    const stopping = new AbortController();
    await api.start(stopping.signal);
    const watching = api.watch(stopping.signal);
    const handle = temporal.client.schedule.getHandle(autoscaleScheduleId(cluster.name));
    await handle.delete();
    await waitFor('it is there again', async () => !(await schedule()).state.paused);
    await handle.pause('by a person');
    await waitFor('it runs again', async () => !(await schedule()).state.paused);
    stopping.abort();
    await watching;
  });

  it('is a notice while nothing is evaluated, until something is', async () => {
    const policy = { ...ENABLED, intervalSecs: 1 };
    let state = await cluster.state();
    state = { ...state, autoscale: { ...state.autoscale, seeded: true, policy } };
    const client = {
      queryState: () => Promise.resolve(state),
      applyTransition: (transition: ClusterTransition) => {
        const { notices } = state;
        if (transition.type === 'notice') state = recordNotices(state, transition.notices, Date.now());
        if (transition.type === 'clearNotice') state = clearNotice(state, transition.key);
        expect(state.notices).not.toBe(notices);
        return Promise.resolve({} as ClusterAnswer);
      },
    };
    const stopping = new AbortController();
    const watching = autoscaleClient({ client }).watch(stopping.signal);
    await waitFor('it is noticed', () => state.notices.some(({ code }) => code === 'NoEvaluation'));
    const evaluation = { reason: 'below_mark', message: '', pointsMax: 0, unreadable: [], operationId: null } as const;
    const done = { ...evaluation, atMs: Date.now(), refusal: null };
    state = { ...state, autoscale: { ...state.autoscale, evaluations: [done] } };
    await waitFor('the notice is gone', () => state.notices.length === 0);
    stopping.abort();
    await watching;
  });

  it('is shown as a problem, without a failure, when it cannot be reached', async () => {
    const api = autoscaleClient({ namespace: 'no-such-namespace' });
    const { nextEvaluationAtMs, problem } = await api.syncSchedule(ENABLED);
    expect({ nextEvaluationAtMs, problem }).toEqual({ nextEvaluationAtMs: null, problem: expect.any(String) });
  });
});

describe('an evaluation that is asked for', () => {
  it('answers what it came to', async () => {
    const api = autoscaleClient();
    await api.start(new AbortController().signal);
    expect(await api.evaluate({ dryRun: false })).toMatchObject({ reason: 'below_mark', dryRun: false });
    expect((await cluster.state()).autoscale.evaluations).toHaveLength(1);
  });

  it('names its workflow when it takes too long, because it may still act', async () => {
    await cluster.stopWorker();
    const refused = autoscaleClient({ evaluationAnswerMs: 500 }).evaluate({ dryRun: false });
    await expect(refused).rejects.toMatchObject({
      code: 'EvaluationUnanswered',
      about: expect.stringContaining(evaluationWorkflowId(cluster.name, '')),
    });
    await cluster.startWorker();
  });

  it('says why it failed when the workflow of the cluster is closed', async () => {
    await cluster.cluster.terminate('test');
    await expect(autoscaleClient().evaluate({ dryRun: true })).rejects.toMatchObject({
      code: 'EvaluationFailed',
      message: expect.stringContaining(`expected the running workflow cluster/${cluster.name}`),
    });
  });
});
