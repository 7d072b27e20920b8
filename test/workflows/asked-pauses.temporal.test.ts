/** A shard that asks for a pause: the wait is told and bounded, and a cancel does not wait for it (INV-9). */
import { WorkflowFailedError } from '@temporalio/client';
import { cancelUpdate } from '../../src/contract/messages';
import type { Waiting } from '../../src/domain/progress';
import { FAST, type ClusterFixture } from '../support/cluster-fixture';
import { READING, WRITING, type ActiveFault, type FaultMatch } from '../support/shard-faults';
import { useCluster } from '../support/use-cluster';
import { waitFor } from '../support/wait-for';

/** Of gRPC; it becomes Overloaded, as a 429 does. */
const RESOURCE_EXHAUSTED = 8;
let cluster: ClusterFixture;
useCluster('asked-pauses', { points: 300 }, (started) => (cluster = started));

const busy = (match: FaultMatch, retryAfter: string, status = RESOURCE_EXHAUSTED) => ({
  match,
  fault: { kind: 'status', status, retryAfter } as const,
});

async function told(seconds: number): Promise<Waiting> {
  return waitFor('the pause that the shard asked for is told', async () => {
    const { waiting } = await cluster.progress('a');
    return waiting?.reason.includes(`asked for a pause of ${seconds} s`) === true ? waiting : null;
  });
}

function untilMs({ endsWhen }: Waiting): number {
  return Date.parse(/^\S+/.exec(endsWhen)?.[0] ?? '');
}

async function expectCancelledAtOnce(): Promise<void> {
  const beganAtMs = Date.now();
  await cluster.operation('a').executeUpdate(cancelUpdate, { args: [{ reason: 'test' }] });
  await expect(cluster.operation('a').result()).rejects.toThrow(WorkflowFailedError);
  expect(Date.now() - beganAtMs).toBeLessThan(20_000);
  expect((await cluster.state()).lock).toBeNull();
}

describe('an operation whose shard asks for a pause of ten minutes', () => {
  const cases: readonly [string, () => { fault: ActiveFault; url: string }][] = [
    [
      'by a scan of a donor',
      () => ({ fault: cluster.donors[0]!.faults.add(busy(READING, '600')), url: cluster.donors[0]!.grpcUrl }),
    ],
    [
      'by a write to the joiner',
      () => ({ fault: cluster.joiner.faults.add(busy(WRITING, '600')), url: cluster.joiner.grpcUrl }),
    ],
    [
      'by a 429 over REST',
      () => ({
        fault: cluster.joiner.faults.add(busy({ method: 'POST', path: /\/v1\/collections$/, nth: 2 }, '600', 429)),
        url: cluster.joiner.url,
      }),
    ],
  ];

  it.each(cases)('tells which shard, how long and until when, and can be cancelled: %s', async (_title, strike) => {
    const { fault, url } = strike();
    void cluster.announce('a', { timings: { ...FAST, attemptMs: 30_000 } }).catch(() => undefined);
    await fault.struck;
    const beforeMs = Date.now();
    const waiting = await told(600);
    expect(waiting.reason).toContain(url);
    const asked = (await cluster.progress('a')).slowed?.filter(({ by }) => by === 'asked_to_wait') ?? [];
    expect(asked.length).toBeGreaterThan(0);
    for (const { seenMs } of asked) expect(seenMs).toBe(600_000);
    expect(untilMs(waiting)).toBeGreaterThan(beforeMs);
    expect(untilMs(waiting)).toBeLessThanOrEqual(Date.now() + 60_000);
    // One question of each donor's step at most.
    expect(fault.hits).toBeLessThanOrEqual(cluster.donors.length);
    await expectCancelledAtOnce();
  });

  it('goes on when the pause is over, and has not asked before', async () => {
    const fault = cluster.donors[0]!.faults.add(busy({ ...READING, nth: 1 }, '2'));
    await cluster.announce('a', { timings: { ...FAST, attemptMs: 30_000 } });
    await fault.struck;
    const scans = () => cluster.donors[0]!.requests.filter(({ path }) => path.endsWith('/Replicate'));
    await told(2);
    expect(scans()).toHaveLength(1);
    await cluster.operation('a').result();
    const [first, second] = scans();
    expect((second?.startedAtMs ?? 0) - (first?.startedAtMs ?? 0)).toBeGreaterThanOrEqual(2_000);
    expect(await cluster.misplaced('docs')).toEqual([]);
  });
});
