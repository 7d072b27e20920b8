import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import type { OperationInput } from '../../src/contract/messages';
import { cancelUpdate } from '../../src/contract/messages';
import type { UndoState } from '../../src/contract/operation-state';
import { operationIdOf } from '../../src/contract/ids';
import { FAST, type ClusterFixture } from '../support/cluster-fixture';
import { useCluster } from '../support/use-cluster';

let cluster: ClusterFixture;
useCluster('undoing', { points: 400, shards: 4 }, (started) => {
  cluster = started;
});

/** What its last run was given of the undo that earlier runs had begun. */
async function carriedUndo(operation: WorkflowHandle): Promise<UndoState | null> {
  const { events } = await operation.fetchHistory();
  const [payload] = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
  const { carried } = JSON.parse(Buffer.from(payload?.data ?? []).toString()) as OperationInput<unknown>;
  return carried?.undoing ?? null;
}

/** Holds a drain of shard 1 in its copy, when some points are on the other shards already. */
async function holdInCopy(change: object = {}): Promise<void> {
  const held = cluster.donors[3]!.faults.add({
    match: { method: 'GRPC', path: /UpsertStream/ },
    fault: { kind: 'status', status: 14 },
  });
  await cluster.announceDrain('a', 1, change);
  await held.struck;
}

async function expectUndone(): Promise<void> {
  expect(await cluster.misplaced('docs')).toEqual([]);
  expect(cluster.allIds('docs')).toHaveLength(400);
  expect(await cluster.state()).toMatchObject({ lock: null, map: { leaving: [] } });
}

describe('an undo whose history is bounded tightly', () => {
  it('continues as new between the shards that it cleans, and ends as in one run', async () => {
    await holdInCopy({ historyEventsMax: 12 });
    await cluster.operation('a', 'drain').executeUpdate(cancelUpdate, { args: [{ reason: 'a test' }] });
    await expect(cluster.operation('a', 'drain').result()).rejects.toThrow(WorkflowFailedError);
    expect(await carriedUndo(cluster.operation('a', 'drain'))).toMatchObject({
      isCancelled: true,
      tried: ['taking the change out of the map', 'removing the copies from the other shards'],
      left: [],
    });
    const { phases, status, outcome } = await cluster.progress('a', 'drain');
    expect({ status, message: outcome?.message }).toEqual({ status: 'cancelled', message: 'cancelled: a test' });
    expect(phases.filter(({ phase }) => phase === 'undo')).toMatchObject([{ note: 'everything is as it was' }]);
    expect(phases.at(-2)).toMatchObject({ note: 'ended by a failure or a cancel' });
    await expectUndone();
  });

  it('is found again by a failed operation with the code and the words of its failure', async () => {
    await holdInCopy({ historyEventsMax: 12, timings: { ...FAST, patienceMs: 300 } });
    await expect(cluster.operation('a', 'drain').result()).rejects.toMatchObject({
      cause: { type: 'PatienceExhausted', message: expect.stringMatching(/^failed: copying from shard 1 failed for/) },
    });
    expect(await carriedUndo(cluster.operation('a', 'drain'))).toMatchObject({
      isCancelled: false,
      type: 'PatienceExhausted',
    });
    await expectUndone();
  });

  it('of another operation, in a recovery, continues as new, too', async () => {
    await holdInCopy();
    await cluster.operation('a', 'drain').terminate();
    const dead = operationIdOf('drain', 'a');
    const key = `${dead}.1`;
    const request = { dead, diedAtMs: Date.now() };
    await cluster.begin('recover', { ...cluster.input(key), request, historyEventsMax: 12 });
    await cluster.operation(key, 'recover').result();
    expect(await carriedUndo(cluster.operation(key, 'recover'))).not.toBeNull();
    await expectUndone();
  });
});
