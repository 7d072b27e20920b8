import { CancelledFailure } from '@temporalio/activity';
import { COLLECTION, MovingCluster } from '../../support/moving-cluster';

let cluster: MovingCluster;
afterEach(() => cluster.stop());

interface Details {
  readonly progress: { readonly cursor: unknown; readonly counts: { readonly pointsCompared: number } } | null;
  readonly ended: {
    readonly attempt: number;
    readonly lateWritesUntilMs: number;
    readonly hasUncountedWrites: boolean;
  } | null;
}

const segment = () => ({ ...cluster.move, cursor: null, settleMs: 500 });

/** A donor that fails in the middle of its walk, after the attempt has come to a safe point. */
async function interruptedPass(): Promise<{ moving: string[]; last: Details }> {
  cluster = await MovingCluster.start({ shard: { limits: { fetchRowsMax: 50 } } });
  const moving = cluster.fill(900);
  for (const id of moving) cluster.joiner.put(COLLECTION, cluster.donorOf(id).get(COLLECTION, id)!);
  const match = { path: /fetch$/ };
  const donor = cluster.shards[0]!;
  cluster.passTime(donor, { ...match, nth: 5 }, 1_500);
  donor.faults.add({ match: { ...match, nth: 8 }, fault: { kind: 'status', status: 500 } });
  const { last } = await cluster.interrupted('reconcileSegment', segment());
  return { moving, last: last as Details };
}

describe('an attempt', () => {
  it('goes on at the heartbeat of the attempt before it, and counts the work of that attempt', async () => {
    const { moving, last } = await interruptedPass();
    expect(last.progress?.counts.pointsCompared).toBeGreaterThan(0);
    // The first one is before the place where it goes on, so this attempt does not look at it again.
    cluster.joiner.delete(COLLECTION, moving[0]!, moving.at(-1)!);
    const info = { attempt: 2, heartbeatDetails: last };
    const { result } = await cluster.run('reconcileSegment', segment(), { info });
    expect(result).toMatchObject({ cursor: null, restarted: false, pointsCompared: moving.length, upserted: 1 });
  });

  it('expects no late writes from an earlier attempt that ended by itself', async () => {
    const { last } = await interruptedPass();
    expect(last.ended).toEqual({ attempt: 1, lateWritesUntilMs: 0, hasUncountedWrites: false });
    const info = { attempt: 2, heartbeatDetails: last };
    expect((await cluster.run('reconcileSegment', segment(), { info })).result.lateWritesUntilMs).toBe(0);
  });

  it.each([
    ['said nothing about its end', null],
    ['is not the attempt of the last end heartbeat', { attempt: 1, lateWritesUntilMs: 0, hasUncountedWrites: false }],
  ])('expects late writes for the whole life of an earlier attempt that %s', async (_title, ended) => {
    cluster = await MovingCluster.start();
    const scheduledMs = cluster.clock.nowMs() - 5_000;
    const { result } = await cluster.run('reconcileSegment', segment(), {
      info: {
        attempt: 3,
        heartbeatDetails: { progress: null, ended },
        currentAttemptScheduledTimestampMs: scheduledMs,
        startToCloseTimeoutMs: 60_000,
      },
    });
    expect(result.lateWritesUntilMs).toBe(scheduledMs + 60_000);
    expect(result.mayHaveWritten).toBe(true);
  });

  it('tells a workflow that cancels it until when writes may arrive late', async () => {
    cluster = await MovingCluster.start();
    const scheduledMs = cluster.clock.nowMs() - 5_000;
    const run = cluster.run('reconcileSegment', segment(), {
      info: { attempt: 2, currentAttemptScheduledTimestampMs: scheduledMs, startToCloseTimeoutMs: 60_000 },
      onStart: (environment) => environment.cancel('CANCELLED'),
    });
    const failure: unknown = await run.catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(CancelledFailure);
    expect(failure).toMatchObject({ details: [{ lateWritesUntilMs: scheduledMs + 60_000 }], message: 'CANCELLED' });
  });

  it('heartbeats while a shard keeps it waiting', async () => {
    cluster = await MovingCluster.start();
    cluster.fill(50);
    const heartbeats: unknown[] = [];
    let resolveThird = (): void => undefined;
    const third = new Promise<void>((resolve) => (resolveThird = resolve));
    cluster.shards[0]!.faults.add({ match: { path: /fetch$/ }, fault: { kind: 'before', run: () => third } });
    await cluster.run('reconcileSegment', segment(), {
      info: { heartbeatTimeoutMs: 40 },
      onStart: (environment) =>
        environment.on('heartbeat', (details) => {
          if (heartbeats.push(details) === 3) resolveThird();
        }),
    });
    expect(heartbeats.length).toBeGreaterThanOrEqual(3);
  });

  it('is not retried after a refusal that only a person can end, and the message says what to do', async () => {
    cluster = await MovingCluster.start({ shard: { keys: ['another-key'] } });
    const failure = await cluster.failure('reconcileSegment', segment());
    expect(failure).toMatchObject({ type: 'Unauthorized', nonRetryable: true });
    expect(failure.message).toContain('QUIVER_CLUSTER_SHARD_KEY');
    expect(failure.message).not.toContain('shard-key');
  });
});
