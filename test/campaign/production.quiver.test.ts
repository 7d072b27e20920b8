/**
 * The topology of docker-compose.yml without an engine: PostgreSQL, Temporal's own server on it by the steps of deploy/temporal, two APIs
 * and two workers. Here PostgreSQL is lost under a running operation, and a worker with it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Client, type Connection } from '@temporalio/client';
import { operationWorkflowId, parseOperationId } from '../../src/contract/ids';
import { CLUSTER_ATTRIBUTE, PHASE_ATTRIBUTE } from '../../src/contract/search-attributes';
import { ClusterUnderTest, type MapWatch } from '../support/cluster-under-test';
import { composeService } from '../support/compose';
import type { CoordinatorProcess } from '../support/coordinator-process';
import { expectGrown, expectNothingRefused, expectNothingWrong } from '../support/expectations';
import { postgresPrograms } from '../support/production/postgres';
import { canHaveTemporalServer, ProductionTemporal } from '../support/production/temporal-server';
import { quiverBinary } from '../support/real-quiver';
import { connectTo } from '../support/temporal';
import { waitFor } from '../support/wait-for';

const CLUSTER = 'production';
/** With a build of Temporal's server by Go. */
const SETUP_TIMEOUT_MS = 4_200_000;
const GROW_TIMEOUT_MS = 480_000;
/** Longer than a heartbeat may be away, so that Temporal has given up the attempt when it is back. */
const OUTAGE_MS = 15_000;
const DAY_S = 86_400;
/** `PENDING_ACTIVITY_STATE_STARTED` of Temporal's API. */
const STARTED = 2;

interface Answer {
  readonly status: number;
  readonly isStale: boolean;
  readonly body: unknown;
}

const missing = [
  ...(quiverBinary() === null ? ['Quiver'] : []),
  ...(postgresPrograms() === null ? ['PostgreSQL'] : []),
  ...(canHaveTemporalServer() ? [] : ["Temporal's server and a Go that builds it"]),
];
const describeWhereAllIs = missing.length === 0 ? describe : describe.skip;
const where = missing.length === 0 ? '' : `, which this machine is without: ${missing.join(', ')}`;

describeWhereAllIs(`a cluster on the parts of docker-compose.yml${where}`, () => {
  let temporal: ProductionTemporal;
  let connection: Connection;
  let cluster: ClusterUnderTest;
  let apis: readonly CoordinatorProcess[];
  let workers: readonly CoordinatorProcess[];
  /** Of each API, as its routers read it. */
  let maps: readonly MapWatch[];
  const ends: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    temporal = await ProductionTemporal.start();
    ends.push(() => temporal.dispose());
    connection = await connectTo(temporal.address);
    ends.push(() => connection.close());
    // The proof of who deleted goes with a killed worker: fewer clients, as in the suites of kills.
    const slow = { shardDelayMs: 150, requestsPerSecond: 50 };
    cluster = await ClusterUnderTest.start({ temporal, ...slow, env: { COORDINATOR_CLUSTER: CLUSTER } });
    ends.push(() => cluster.dispose());
    const [api, worker] = await Promise.all([cluster.startAnother('api'), cluster.startAnother('worker')]);
    apis = [cluster.api, api];
    maps = [cluster.map, cluster.watchMap(api)];
    workers = [cluster.worker, worker];
  }, SETUP_TIMEOUT_MS);

  afterAll(async () => {
    for (const end of ends.reverse()) await end();
  });

  it(
    'loses, revives and misplaces nothing in a grow in whose copy PostgreSQL crashes and then a worker dies',
    async () => {
      const { operationId, answered } = cluster.grow();
      await answered;
      expect(await cluster.enters(operationId, 'copy')).toMatchObject({ status: 'running', phase: 'copy' });
      await temporal.postgres.stopImmediately();
      await delay(OUTAGE_MS);
      const asKnown = { status: 200, isStale: true, body: { version: 2 } };
      expect(await answersOfBothApis('/cluster/map')).toMatchObject([asKnown, asKnown]);
      await temporal.postgres.start();
      expect(await temporal.postgres.readLog()).toContain('automatic recovery in progress');
      expect(temporal.isRunning).toBe(true);

      await (await workerAt(operationId)).kill();

      // Each wait has its own time: what the dead worker may still write is waited for, and so is its heartbeat.
      await cluster.enters(operationId, 'drop');
      expect(await cluster.ends(operationId)).toMatchObject({ status: 'succeeded', outcome: { points_kept: 0 } });
      const report = await cluster.verify();
      expectNothingWrong(report);
      // Clients talk to shards through a router: nothing of what died is on their way.
      expectNothingRefused(report);
      await expectGrown(cluster);
      // INV-1
      for (const { versions, faults } of maps)
        expect({ versions, faults }).toEqual({ versions: [1, 2, 3], faults: [] });
      for (const path of ['/cluster/map', '/cluster/operations', `/cluster/operations/${operationId}`]) {
        await expectSameOfBothApis(path);
      }
    },
    GROW_TIMEOUT_MS,
  );

  it('finds operations by their search attributes, and keeps what has ended for as long as Compose says', async () => {
    const { workflowService } = connection;
    const { namespace } = temporal;
    const query = `WorkflowType = "grow" AND ${CLUSTER_ATTRIBUTE.name} = "${CLUSTER}" AND ${PHASE_ATTRIBUTE.name} IS NOT NULL`;
    const count = async (): Promise<number> =>
      Number((await workflowService.countWorkflowExecutions({ namespace, query })).count);
    await waitFor('the grow is found', async () => (await count()) === 1);
    const { config } = await workflowService.describeNamespace({ namespace });
    const retention = composeService('temporal-namespace').environment?.['RETENTION'] ?? '';
    expect(`${Number(config?.workflowExecutionRetentionTtl?.seconds) / DAY_S}d`).toBe(retention);
  });

  it('is left as it is when the steps for schema and namespace run again', async () => {
    // Of the two databases.
    expect((await temporal.setUpSchemas()).match(/found zero updates/g)).toHaveLength(2);
    expect(await temporal.createNamespace()).toContain('is there');
    expect(await (await cluster.call('GET', '/cluster/map')).json()).toMatchObject({ version: 3 });
  });

  /** The one that holds a step of the operation right now. */
  async function workerAt(operationId: string): Promise<CoordinatorProcess> {
    const parsed = parseOperationId(operationId);
    if (parsed === null) throw new Error(`${operationId} is no operation`);
    const client = new Client({ connection, namespace: temporal.namespace });
    const handle = client.workflow.getHandle(operationWorkflowId(CLUSTER, parsed.kind, parsed.key));
    return waitFor('a worker is at a step of the operation', async () => {
      const { pendingActivities } = (await handle.describe()).raw;
      const held = pendingActivities?.find(({ state }) => Number(state) === STARTED);
      return workers.find(({ pid }) => held?.lastWorkerIdentity?.startsWith(`${pid}@`) === true);
    });
  }

  function answersOfBothApis(path: string): Promise<Answer[]> {
    const answers = apis.map(async (api) => {
      const reply = await cluster.call('GET', path, {}, api);
      return {
        status: reply.status,
        isStale: reply.headers.has('coordinator-map-stale'),
        body: await reply.json(),
      };
    });
    return Promise.all(answers);
  }

  async function expectSameOfBothApis(path: string): Promise<void> {
    const [first, second] = await answersOfBothApis(path);
    expect(first).toMatchObject({ status: 200, isStale: false });
    expect(second).toEqual(first);
  }
});
