/** What an operator must notice, from the operation that left it to the check that finds it mended. */
import { PlacementPlan } from '../../src/domain/placement-plan';
import { seedState, type ClusterState } from '../../src/domain/cluster-state';
import type { ClusterNotice, NewNotice } from '../../src/domain/notices';
import type { OperationOutcome } from '../../src/domain/progress';
import { CLUSTER_WORKFLOW, clusterWorkflowId, taskQueue } from '../../src/contract/ids';
import { stateQuery, transitionUpdate } from '../../src/contract/messages';
import type { ClusterTransition } from '../../src/contract/cluster';
import type { RepairRequest } from '../../src/contract/requests';
import { startShard, type InProcessShard } from '../support/in-process-shard';
import { FAST, pointJson, type ClusterFixture, type TemporalForTests } from '../support/cluster-fixture';
import { useCluster } from '../support/use-cluster';

const TIMINGS = { ...FAST, attemptMs: 30_000, heartbeatMs: 10_000 };

let cluster: ClusterFixture;
let temporal: TemporalForTests;
let leftover: InProcessShard;
useCluster('notices', { points: 60 }, (started, of) => {
  cluster = started;
  temporal = of;
});
beforeEach(async () => {
  leftover = await startShard();
  leftover.create({ name: 'docs', dim: 4, metric: 'l2', index: 'hnsw' });
});
afterEach(() => leftover.stop());

const notices = async (): Promise<readonly ClusterNotice[]> => (await cluster.cluster.query(stateQuery)).notices;
const apply = (transition: ClusterTransition) =>
  cluster.cluster.executeUpdate(transitionUpdate, { args: [transition] });

async function run(kind: 'check' | 'repair', key: string, change: Partial<RepairRequest> = {}) {
  const request = { collections: null, leftovers: [], prefer: [], ...change };
  await cluster.begin(kind, { ...cluster.input(key), request, timings: TIMINGS });
  return (await cluster.operation(key, kind).result()) as OperationOutcome;
}

/** A point that the owner, shard 0, lacks, while two others hold it with different values. */
function conflict(): string {
  const plan = new PlacementPlan({ shards: [0, 1], joining: [], leaving: [] });
  for (let n = 0; ; n++) {
    const id = `conflict${n}`;
    if (plan.ownerOf(Buffer.from(id)) !== 0) continue;
    cluster.donors[1]?.put('docs', pointJson(id, 1));
    leftover.put('docs', pointJson(id, 2));
    return id;
  }
}

describe('notices', () => {
  it('tell of points that a repair kept, until a repair has mended them', async () => {
    conflict();
    const named = { leftovers: [cluster.address(leftover)] };
    const outcome = await run('repair', 'a', named);
    expect(outcome.pointsKept).toBe(2);
    const { outcome: shown } = await cluster.progress('a', 'repair');
    expect(shown?.attention).toMatchObject([{ points: 2, mendedBy: expect.stringContaining('prefer') as string }]);
    // Also to those who look at the workflow's result.
    expect(outcome).toEqual(shown);
    expect(await notices()).toMatchObject([
      { key: 'PointsKept.repair-a', operationId: 'repair-a', leftovers: [leftover.url] },
    ]);

    await run('repair', 'b', { ...named, prefer: [leftover.url] });
    expect(await notices()).toEqual([]);
  });

  it('tell of a router that served its seeds, until a whole check finds everything in place', async () => {
    const notice: NewNotice = { key: 'r0', code: 'RouterServesSeeds', message: 'it did', operationId: null };
    await apply({ type: 'notice', notices: [notice] });
    await run('check', 'part', { collections: ['docs'] });
    expect(await notices()).toMatchObject([{ key: 'r0' }]);

    const id = conflict();
    await run('check', 'unclean');
    expect(await notices()).toMatchObject([{ key: 'r0' }]);

    cluster.donors[1]?.delete('docs', id);
    await run('check', 'clean');
    expect(await notices()).toEqual([]);
  });

  it('go when an operator clears them, and a key that is not there is refused', async () => {
    const notice: NewNotice = { key: 'r0', code: 'RouterServesSeeds', message: 'it did', operationId: null };
    await apply({ type: 'notice', notices: [notice] });
    await apply({ type: 'clearNotice', key: 'r0' });
    expect(await notices()).toEqual([]);
    await expect(apply({ type: 'clearNotice', key: 'r0' })).rejects.toMatchObject({ cause: { type: 'UnknownNotice' } });
  });

  it('are none in a state of an earlier version, which knew of none', async () => {
    const { notices: _unknown, ...earlier }: ClusterState = seedState([cluster.address(leftover)]);
    const name = `${cluster.name}-earlier`;
    const handle = await temporal.client.workflow.start(CLUSTER_WORKFLOW, {
      workflowId: clusterWorkflowId(name),
      taskQueue: taskQueue(cluster.name),
      args: [{ cluster: name, state: earlier }],
    });
    expect((await handle.query(stateQuery)).notices).toEqual([]);
    await handle.terminate();
  });
});
