/** A worker whose clock is off: nothing waits by it, and an operator hears of it. */
import { hostname } from 'node:os';
import { WorkflowFailedError } from '@temporalio/client';
import { SYSTEM_CLOCK, type Clock } from '../../src/activities/frame/attempt';
import { cancelUpdate } from '../../src/contract/messages';
import { FAST, type ClusterFixture } from '../support/cluster-fixture';
import { WRITING } from '../support/shard-faults';
import { useCluster } from '../support/use-cluster';

const HOUR_MS = 3_600_000;
let skewMs = 0;
const clock: Clock = { ...SYSTEM_CLOCK, nowMs: () => SYSTEM_CLOCK.nowMs() + skewMs };
let cluster: ClusterFixture;
useCluster('clock-skew', { points: 300, clock }, (started) => (cluster = started));

/** The longest wait is that for a request whose reply was lost: 20 s. */
const PATIENT = { ...FAST, attemptMs: 30_000 };

async function skewNotices() {
  const { notices } = await cluster.state();
  return notices.filter(({ code }) => code === 'ClockSkew');
}

describe('a worker whose clock is an hour ahead', () => {
  beforeEach(() => {
    skewMs = HOUR_MS;
    cluster.joiner.faults.add({ match: { ...WRITING, nth: 1 }, fault: { kind: 'replyLost' } });
  });

  it('makes no grow wait for an hour after a lost reply, and is noticed once', async () => {
    await cluster.announce('a', { timings: PATIENT });
    await cluster.operation('a').result();
    expect(await cluster.misplaced('docs')).toEqual([]);
    const [notice, ...others] = await skewNotices();
    expect(others).toEqual([]);
    expect(notice).toMatchObject({ operationId: 'grow-a' });
    expect(notice?.message).toContain(hostname());
    expect(notice?.message).toContain('3600 s or more ahead');
  }, 120_000);

  it('holds up no cancel', async () => {
    const held = cluster.joiner.faults.add({
      match: { ...WRITING, nth: 2, times: 1_000 },
      fault: { kind: 'status', status: 14 },
    });
    await cluster.announce('a', { timings: PATIENT });
    await held.struck;
    const beganAtMs = Date.now();
    await cluster.operation('a').executeUpdate(cancelUpdate, { args: [{ reason: 'test' }] });
    await expect(cluster.operation('a').result()).rejects.toThrow(WorkflowFailedError);
    expect(Date.now() - beganAtMs).toBeLessThan(60_000);
    expect((await cluster.state()).lock).toBeNull();
    expect(await skewNotices()).toHaveLength(1);
  }, 120_000);
});

describe('a worker whose clock is right', () => {
  it('is not noticed', async () => {
    skewMs = 0;
    await cluster.announce('a', { timings: PATIENT });
    await cluster.operation('a').result();
    expect(await skewNotices()).toEqual([]);
  });
});
