import { CancelledFailure } from '@temporalio/activity';
import { LONG_REQUEST_MS } from '../../../src/activities/frame/attempt';
import type { ToldTime } from '../../../src/domain/late-writes';
import { MovingCluster } from '../../support/moving-cluster';

let cluster: MovingCluster;
afterEach(() => cluster.stop());

const pass = () => ({ ...cluster.donorInput(0), settleMs: 500, recut: true, scanReceivers: false });

describe('an attempt', () => {
  it('expects no late writes from an earlier attempt that ended by itself, and knows that it wrote nothing', async () => {
    cluster = await MovingCluster.start();
    cluster.shards[0]!.faults.add({ match: { path: /Replicate/, nth: 1 }, fault: { kind: 'status', status: 14 } });
    const { last } = await cluster.interrupted('compareDonor', pass());
    expect(last).toMatchObject({ ended: { attempt: 1, lateWritesUntilMs: 0, hasUncountedWrites: false } });
    const { result } = await cluster.run('compareDonor', pass(), { info: { attempt: 2, heartbeatDetails: last } });
    expect(result).toMatchObject({ lateWritesUntilMs: 0, mayHaveWritten: false });
  });

  it('bounds a long attempt that said nothing by its heartbeats, not by its life', async () => {
    cluster = await MovingCluster.start();
    const scheduledMs = cluster.clock.nowMs() - 5_000;
    const { result } = await cluster.run('compareDonor', pass(), {
      info: {
        attempt: 2,
        heartbeatDetails: null,
        currentAttemptScheduledTimestampMs: scheduledMs,
        startToCloseTimeoutMs: 48 * 3_600_000,
      },
    });
    expect(result.lateWritesUntilMs).toBe(scheduledMs + LONG_REQUEST_MS);
  });

  it.each([
    ['said nothing about its end', null],
    ['is not the attempt of the last end heartbeat', { attempt: 1, lateWritesUntilMs: 0, hasUncountedWrites: false }],
  ])('expects late writes for the whole life of an earlier attempt that %s', async (_title, ended) => {
    cluster = await MovingCluster.start();
    const scheduledMs = cluster.clock.nowMs() - 5_000;
    const { result } = await cluster.run('compareDonor', pass(), {
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

  it('tells by how much its clock is behind that of the server, which dated the attempt', async () => {
    cluster = await MovingCluster.start();
    cluster.shards[0]!.faults.add({ match: { path: /Replicate/, nth: 1 }, fault: { kind: 'status', status: 14 } });
    const serverMs = cluster.clock.nowMs() + 3_600_000;
    const { failure } = await cluster.interrupted('compareDonor', pass(), {
      currentAttemptScheduledTimestampMs: serverMs,
    });
    const [{ told }] = failure.details as [{ told: ToldTime }];
    expect(told.behindMs).toBeGreaterThan(3_590_000);
    expect(told.behindMs).toBeLessThanOrEqual(3_600_000);
  });

  it("counts late requests of an earlier attempt by their length, and not by that worker's clock", async () => {
    cluster = await MovingCluster.start();
    const hourAheadMs = cluster.clock.nowMs() + 3_600_000;
    const ended = {
      ...{ attempt: 1, hasUncountedWrites: true, lateWritesUntilMs: hourAheadMs + 20_000 },
      ...{ requestsForMs: 20_000, earlierUntilMs: 0 },
    };
    const { result } = await cluster.run('compareDonor', pass(), {
      info: { attempt: 2, heartbeatDetails: { progress: null, ended } },
    });
    expect(result.lateWritesUntilMs).toBeGreaterThan(cluster.clock.nowMs());
    expect(result.lateWritesUntilMs).toBeLessThanOrEqual(cluster.clock.nowMs() + 20_000);
  });

  it('tells a workflow that cancels it until when writes may arrive late', async () => {
    cluster = await MovingCluster.start();
    const scheduledMs = cluster.clock.nowMs() - 5_000;
    const run = cluster.run('compareDonor', pass(), {
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
    cluster.shards[0]!.faults.add({ match: { path: /Replicate/ }, fault: { kind: 'before', run: () => third } });
    await cluster.run('compareDonor', pass(), {
      info: { heartbeatTimeoutMs: 40 },
      onStart: (environment) =>
        environment.on('heartbeat', (details) => {
          if (heartbeats.push(details) === 3) resolveThird();
        }),
    });
    expect(heartbeats.length).toBeGreaterThanOrEqual(3);
  });

  it('is not retried when a shard is at an address that may not be called', async () => {
    cluster = await MovingCluster.start();
    const address = { primary_url: 'http://169.254.169.254:6333', replica_urls: [] };
    const input = pass();
    const shards = input.shards.map((shard) => (shard.id === 0 ? { ...shard, ...address } : shard));
    const failure = await cluster.failure('compareDonor', { ...input, shards });
    expect(failure).toMatchObject({ type: 'AddressNotAllowed', nonRetryable: true });
    expect(failure.message).toContain('COORDINATOR_ALLOWED_HOSTS');
  });

  it('is retried when a shard refuses the key, and the message names the shard and says what to do', async () => {
    cluster = await MovingCluster.start({ shard: { keys: ['another-key'] } });
    const failure = await cluster.failure('compareDonor', pass());
    expect(failure).toMatchObject({ type: 'Unauthorized', nonRetryable: false });
    expect(cluster.shards.some(({ url }) => failure.message.includes(url))).toBe(true);
    expect(failure.message).toContain('QUIVER_CLUSTER_SHARD_KEY');
    expect(failure.message).not.toContain('shard-key');
  });
});
