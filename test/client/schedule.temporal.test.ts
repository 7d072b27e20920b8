import { type Connection, ScheduleClient, type ScheduleDescription } from '@temporalio/client';
import { type AutoscalePolicy, DEFAULT_POLICY } from '../../src/domain/autoscale-policy';
import { DEFAULT_TIMINGS } from '../../src/domain/limits';
import { ensureAutoscaleSchedule, type EnsuredSchedule } from '../../src/client/schedule';
import type { OperationSettings } from '../../src/contract/requests';
import { autoscaleScheduleId, taskQueue } from '../../src/contract/ids';
import { connectTo, sharedTemporal } from '../support/temporal';

let connection: Connection;
let schedules: ScheduleClient;
let cluster = '';
let number = 0;

beforeAll(async () => {
  const { address, namespace } = await sharedTemporal();
  connection = await connectTo(address);
  schedules = new ScheduleClient({ connection, namespace });
});
afterAll(async () => {
  await connection.close();
});
beforeEach(() => {
  cluster = `schedule-${Date.now()}-${++number}`;
});
afterEach(async () => {
  await handle().delete();
});

const SETTINGS: OperationSettings = { routerUrls: ['http://r0'], timings: DEFAULT_TIMINGS, searchAttributes: false };
const handle = () => schedules.getHandle(autoscaleScheduleId(cluster));
const described = (): Promise<ScheduleDescription> => handle().describe();
/** Far apart: no evaluation is started during the test. */
const ensure = (
  change: Partial<AutoscalePolicy> = {},
  { settings = SETTINGS, keepSettings = false } = {},
): Promise<EnsuredSchedule> =>
  ensureAutoscaleSchedule({
    schedules,
    cluster,
    policy: { ...DEFAULT_POLICY, enabled: true, intervalSecs: 86_400, ...change },
    settings,
    keepSettings,
  });

describe('the Schedule of the autoscale policy', () => {
  it('is put back when somebody gave it an end, and then left alone', async () => {
    await ensure();
    await handle().update(({ spec, state, ...rest }) => ({
      ...rest,
      spec: { ...spec, endAt: new Date(Date.now() + 1_000) },
      state: { ...state, remainingActions: 1 },
    }));
    expect((await ensure()).did).toBe('updated');
    const { spec, state } = await described();
    expect([spec.endAt, state.remainingActions]).toEqual([undefined, undefined]);
    expect((await ensure()).did).toBe('nothing');
  });

  it('starts the evaluation of this cluster at the interval, skips overlaps, and makes up for one minute at most', async () => {
    const { did, nextEvaluationAtMs } = await ensure();
    const { spec, policies, action, state } = await described();
    expect(did).toBe('created');
    expect(nextEvaluationAtMs).toBeGreaterThan(Date.now());
    expect(spec.intervals).toMatchObject([{ every: 86_400_000 }]);
    expect(policies).toMatchObject({ overlap: 'SKIP', catchupWindow: 60_000, pauseOnFailure: false });
    expect(state).toMatchObject({ paused: false });
    expect(action).toMatchObject({
      workflowType: 'autoscale',
      workflowId: `autoscale/${cluster}`,
      taskQueue: taskQueue(cluster),
      args: [{ cluster, settings: SETTINGS, dryRun: false }],
    });
  });

  it('is created once and left alone while it is in step', async () => {
    expect((await ensure()).did).toBe('created');
    const before = await described();
    expect((await ensure()).did).toBe('nothing');
    expect((await described()).info.lastUpdatedAt).toEqual(before.info.lastUpdatedAt);
  });

  it('is created once when two processes start at the same time', async () => {
    const both = await Promise.all([ensure(), ensure()]);
    expect(both.filter(({ did }) => did === 'created')).toHaveLength(1);
  });

  it('follows the interval of the policy', async () => {
    await ensure();
    expect((await ensure({ intervalSecs: 7_200 })).did).toBe('updated');
    expect((await described()).spec.intervals).toMatchObject([{ every: 7_200_000 }]);
    expect((await ensure({ intervalSecs: 7_200 })).did).toBe('nothing');
  });

  it('is paused while the policy is disabled, says why, and is resumed with it', async () => {
    expect((await ensure({ enabled: false })).nextEvaluationAtMs).toBeNull();
    expect((await described()).state).toMatchObject({ paused: true, note: expect.stringContaining('disabled') });
    expect((await ensure()).did).toBe('updated');
    expect((await described()).state.paused).toBe(false);
  });

  it('is resumed when somebody paused it by hand', async () => {
    await ensure();
    await handle().pause('by hand');
    expect((await ensure()).did).toBe('updated');
    expect((await described()).state.paused).toBe(false);
  });

  it('brings the settings of an API that starts, and keeps them for one that only looks', async () => {
    await ensure();
    const other = { ...SETTINGS, routerUrls: ['http://r9'] };
    expect((await ensure({}, { settings: other, keepSettings: true })).did).toBe('nothing');
    expect((await described()).action.args).toMatchObject([{ settings: SETTINGS }]);
    expect((await ensure({}, { settings: other })).did).toBe('updated');
    expect((await described()).action.args).toMatchObject([{ settings: other }]);
  });
});
