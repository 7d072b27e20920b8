import { pino } from 'pino';
import { ClusterClient } from '../../src/client/cluster-client';
import { PlanClient, type OperationPlan, type PlannedCall } from '../../src/client/operations/plan-client';
import { planWorkflowId } from '../../src/contract/ids';
import type { OperationSettings } from '../../src/contract/requests';
import { viewOfPlan } from '../../src/api/views/plan';
import { planViewSchema } from '../../src/wire/operations/plan';
import { DRAIN } from '../../src/workflows/drain';
import { GROW } from '../../src/workflows/grow';
import { type ClusterFixture, FAST, type TemporalForTests } from '../support/cluster-fixture';
import { useCluster } from '../support/use-cluster';
import { waitFor } from '../support/wait-for';

const POINTS = 600;
let cluster: ClusterFixture;
let temporal: TemporalForTests;

useCluster('plan', { points: POINTS, shards: 2 }, (started, on) => {
  cluster = started;
  temporal = on;
});

function planner(): PlanClient {
  const { connection } = temporal;
  const of = { connection, namespace: 'default', cluster: cluster.name, logger: pino({ level: 'silent' }) };
  return new PlanClient({ ...of, client: new ClusterClient({ ...of, recoverWith: null }) });
}

const SETTINGS: OperationSettings = { routerUrls: [], timings: FAST, searchAttributes: false };
const grow = (): PlannedCall => ({
  kind: 'grow',
  request: { shards: [cluster.address(cluster.joiner)], allowNonempty: false },
});
const drain = (shardId = 1): PlannedCall => ({ kind: 'drain', request: { shardId } });
const reading = (kind: 'check' | 'repair'): PlannedCall => ({
  kind,
  request: { collections: null, leftovers: [], prefer: [] },
});

const shards = () => [...cluster.donors, cluster.joiner];
/** All that the cluster and its shards hold, as text, and the writes that shards were sent. */
async function everything(): Promise<string> {
  const rows = shards().map((shard) =>
    shard.collections().map((name) => [name, shard.ids(name).map((id) => shard.get(name, id))]),
  );
  const writes = shards().flatMap((shard) =>
    shard.requests.filter(({ method, path }) => method !== 'GET' && !/\/(fetch|ListCollections)$/.test(path)),
  );
  return JSON.stringify([writes, await cluster.state(), rows]);
}

/** The plan, after which nothing is other than before. */
async function planned(call: PlannedCall, change: Partial<OperationSettings> = {}): Promise<OperationPlan> {
  const before = await everything();
  const plan = await planner().plan(call, { ...SETTINGS, ...change });
  expect((await everything()) === before).toBe(true);
  planViewSchema.parse(viewOfPlan(plan));
  return plan;
}

const held = (index: number): number => cluster.donors[index]!.ids('docs').length;

describe('a plan', () => {
  it('of a grow tells its steps, and what each donor gives to the joiner', async () => {
    const plan = await planned(grow());
    expect(plan.refusal).toBeNull();
    expect(plan.steps).toEqual(GROW.map(({ phase, does }) => ({ phase, does })));
    const share = (rows: number) => Math.round(rows / 3);
    expect(plan.shards).toMatchObject([
      { shardId: 0, role: 'donor', source: 'primary', rows: held(0), rowsToMove: share(held(0)), scans: 2 },
      { shardId: 1, role: 'donor', source: 'primary', rows: held(1), rowsToMove: share(held(1)), scans: 2 },
      { shardId: 2, role: 'receiver', source: null, rows: null, rowsToMove: POINTS / 3, scans: 0 },
    ]);
    expect([plan.rowsToMove, plan.bytesToMove]).toEqual([POINTS / 3, (POINTS / 3) * 16]);
    expect(plan.noticedBy.filter((each) => each.startsWith('clients of shard'))).toHaveLength(2);
    expect(plan.noticedBy.find((each) => each.startsWith('routers'))).toContain('none is listed');
    expect(plan.duration.mostS).toBeGreaterThan(plan.duration.leastS);
  });

  it('of a grow is about what the grow then moves, also when the shards bear their marks', async () => {
    await cluster.begin('check', { ...cluster.input('c'), request: { collections: null, leftovers: [], prefer: [] } });
    await cluster.operation('c', 'check').result();
    const { rowsToMove } = await planned(grow());
    await cluster.announce('a');
    const { pointsMoved } = (await cluster.operation('a').result()) as { pointsMoved: number };
    expect(Math.abs((rowsToMove ?? 0) - pointsMoved)).toBeLessThan(POINTS / 10);
  });

  it('of a drain tells that all rows of the leaver go to the others', async () => {
    const plan = await planned(drain());
    expect(plan.refusal).toBeNull();
    expect(plan.steps).toEqual(DRAIN.map(({ phase, does }) => ({ phase, does })));
    expect(plan.shards).toMatchObject([
      { shardId: 0, role: 'receiver', rowsToMove: held(1), scans: 2 },
      { shardId: 1, role: 'donor', rows: held(1), rowsToMove: held(1), scans: 2 },
    ]);
    expect(plan.rowsToMove).toBe(held(1));
    expect(plan.notChecked.join()).toContain('MisplacedPoints');
  });

  it('of a check moves nothing, and of a repair does not know what will move', async () => {
    const check = await planned(reading('check'));
    expect(check).toMatchObject({ refusal: null, rowsToMove: 0, shards: [{ role: 'read' }, { role: 'read' }] });
    expect(check.steps.map(({ phase }) => phase)).toEqual(['preflight', 'collections', 'compare']);
    const repair = await planned(reading('repair'));
    expect(repair).toMatchObject({ refusal: null, rowsToMove: null, bytesToMove: null });
    expect(repair.steps.map(({ phase }) => phase)).toContain('await-routers');
  });

  it('says what the cluster would refuse, with the steps all the same', async () => {
    expect(await planned(drain(9))).toMatchObject({ refusal: { code: 'UnknownShard' }, shards: [] });
    const known = { shards: [cluster.address(cluster.donors[0]!)], allowNonempty: false };
    const plan = await planned({ kind: 'grow', request: known });
    expect(plan.refusal?.code).toBe('ShardAlreadyInMap');
    expect(plan.steps).toHaveLength(GROW.length);
  });

  it('says what preflight would find, and the sizes all the same', async () => {
    cluster.joiner.create({ name: 'docs', dim: 4, metric: 'l2', index: 'hnsw' });
    cluster.joiner.put('docs', { id: 'x', vector: [1, 2, 3, 4] });
    expect(await planned(grow())).toMatchObject({ refusal: { code: 'JoinerNotEmpty' }, rowsToMove: POINTS / 3 });
    const long: PlannedCall = { kind: 'drain', request: { shardId: 1, acceptStopMs: 0 } };
    expect(await planned(long)).toMatchObject({ refusal: { code: 'ScanTooLong' }, rowsToMove: held(1) });
    await cluster.donors[0]!.stop();
    const plan = await planned(drain());
    expect(plan).toMatchObject({ refusal: { code: 'DonorUnreachable' }, shards: [] });
    expect(plan.notChecked.join()).toContain('how shards would be read');
  });

  it('names the router that does not answer, and refuses as the grow would', async () => {
    const url = 'http://127.0.0.1:9';
    const plan = await planned(grow(), { routerUrls: [url] });
    expect(plan.refusal?.code).toBe('RouterUnreachable');
    expect(plan.noticedBy.find((each) => each.startsWith(`the router ${url}`))).toBeDefined();
  });

  it('while another operation runs says that it would be refused', async () => {
    const slow = cluster.donors[0]!.faults.add({
      match: { method: 'GRPC', path: /Replicate/ },
      fault: { kind: 'slow', ms: 3_000 },
    });
    await cluster.announce('a');
    await slow.struck;
    for (const call of [drain(), reading('check'), reading('repair')]) {
      const { refusal } = await planner().plan(call, SETTINGS);
      expect([refusal?.code, refusal?.detail.includes('grow-a')]).toEqual(['OperationInProgress', true]);
    }
    const cancel = await planner().plan({ kind: 'cancel', operationId: 'grow-a' }, SETTINGS);
    expect(cancel.refusal).toBeNull();
    expect(cancel.steps.map(({ does }) => does)).toEqual([
      'taking the change out of the map',
      'cleaning the joiner',
      'taking the claim off the joiner',
      'give the lock back',
    ]);
    expect((await cluster.progress('a')).cancelRequested).toBe(false);
    slow.remove();
    await cluster.operation('a').result();
    const late = await planned({ kind: 'cancel', operationId: 'grow-a' });
    expect(late).toMatchObject({ refusal: { code: 'OperationEnded' }, steps: [] });
    await expect(planner().plan({ kind: 'cancel', operationId: 'grow-z' }, SETTINGS)).rejects.toThrow('no operation');
  });

  it('puts no id, payload or key into its history, and ends', async () => {
    await planned(grow());
    const query = `WorkflowType = 'plan' AND ExecutionStatus = 'Completed'`;
    const found: string[] = [];
    // Temporal lists a workflow a moment after it has ended.
    await waitFor('the plan in the list of workflows', async () => {
      for await (const { workflowId } of temporal.client.workflow.list({ query })) {
        if (workflowId.startsWith(planWorkflowId(cluster.name, ''))) found.push(workflowId);
      }
      return found.length > 0;
    });
    for (const id of found) {
      const handle = temporal.client.workflow.getHandle(id);
      const history = JSON.stringify(await handle.fetchHistory());
      for (const secret of ['p17', '9007199254740993']) expect(history.includes(`"${secret}"`)).toBe(false);
    }
  });
});
