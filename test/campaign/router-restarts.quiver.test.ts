/**
 * A router that comes back before its coordinator acknowledges writes by its seeds. No coordinator can mend all of that, so
 * the guides start routers with a dead seed, and tell the coordinator. Here is what that is worth.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { ClusterUnderTest, type OperationCall } from '../support/cluster-under-test';
import { expectDrained, expectGrown, expectNothingWrong } from '../support/expectations';
import { describeWithQuiver } from '../support/real-quiver';
import { sample } from '../support/sample';
import { PrivateTemporal } from '../support/temporal';
import { refusedCount } from '../support/register-check';

const TEST_TIMEOUT_MS = 240_000;
/** Long enough for thousands of requests of clients. */
const ALONE_MS = 2_000;
const KINDS = ['grow', 'drain'] as const;
/** While rows are copied, while they are proved, and behind the flip. */
const PHASES = ['copy', 'reconcile', 'drop'];
const LEAVER_ID = 1;

describeWithQuiver('routers with a dead seed, killed and back while the API is away', () => {
  let temporal: PrivateTemporal;
  let cluster: ClusterUnderTest;

  beforeAll(async () => {
    temporal = await PrivateTemporal.start();
  });
  afterAll(() => temporal.dispose());
  beforeEach(async () => {
    const env = { COORDINATOR_ROUTERS_FAIL_CLOSED: 'true' };
    cluster = await ClusterUnderTest.start({ temporal, shardDelayMs: 100, shards: 3, routerSeeds: 'dead', env });
  });
  afterEach(() => cluster.dispose());

  const begin: Record<(typeof KINDS)[number], () => OperationCall> = {
    grow: () => cluster.grow(),
    drain: () => cluster.drain(LEAVER_ID),
  };

  async function restartRouterAlone(): Promise<void> {
    cluster.map.isApiDown = true;
    await cluster.api.kill();
    await cluster.router.restart();
    await delay(ALONE_MS);
    await cluster.api.restart();
    cluster.map.isApiDown = false;
  }

  test.each(sample('router restarts', KINDS))(
    'lose nothing in a %s',
    async (kind) => {
      const { operationId, answered } = begin[kind]();
      await answered;
      for (const phase of PHASES) {
        await cluster.enters(operationId, phase);
        await restartRouterAlone();
      }
      expect(await cluster.ends(operationId)).toMatchObject({ status: 'succeeded', outcome: { points_kept: 0 } });
      const report = await cluster.verify('every');
      expectNothingWrong(report);
      // The price of a dead seed: clients were refused, and knew it.
      expect(refusedCount(report.refusedWrites)).toBeGreaterThan(0);
      if (kind === 'grow') await expectGrown(cluster);
      else await expectDrained(cluster, cluster.donors[LEAVER_ID]!);
    },
    TEST_TIMEOUT_MS,
  );
});
