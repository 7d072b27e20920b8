/** A shard that comes back under another address while an operation waits for it (INV-9): a person can say so. */
import { WorkflowUpdateFailedError } from '@temporalio/client';
import { transitionUpdate } from '../../src/contract/messages';
import type { ClusterFixture } from '../support/cluster-fixture';
import type { InProcessShard } from '../support/in-process-shard';
import { useCluster } from '../support/use-cluster';
import { waitFor } from '../support/wait-for';

const POINTS = 300;
let cluster: ClusterFixture;
useCluster('moved-shard', { points: POINTS }, (started) => (cluster = started));

const DROPPING = { method: 'DELETE', path: /\/points$/ };

async function waitsFor(key: string, reason: RegExp): Promise<void> {
  await waitFor(`${key} waits: ${reason.source}`, async () =>
    reason.test((await cluster.progress(key)).waiting?.reason ?? ''),
  );
}

/** A grow behind its flip, whose first donor takes no deletes. */
async function growThatCannotDrop(): Promise<InProcessShard> {
  const [donor] = cluster.donors as [InProcessShard];
  const refusing = donor.faults.add({ match: DROPPING, fault: { kind: 'status', status: 503 } });
  await cluster.announce('a');
  await refusing.struck;
  return donor;
}

function patch(id: number, shard: InProcessShard): Promise<unknown> {
  const address = cluster.address(shard);
  const change = { change: 'replaceAddress', id, address } as const;
  return cluster.cluster.executeUpdate(transitionUpdate, { args: [{ type: 'changeByHand', change, key: null }] });
}

describe('a shard that has moved for good', () => {
  it('is found by a grow that waits for it behind the flip, once its address was replaced', async () => {
    const donor = await growThatCannotDrop();
    donor.faults.clear();
    await donor.restartElsewhere();
    await waitsFor('a', /shard 0: .* no answer/);
    const { version } = await cluster.map();
    await patch(0, donor);
    await cluster.operation('a').result();
    expect(await cluster.misplaced('docs')).toEqual([]);
    expect(cluster.allIds('docs')).toHaveLength(POINTS);
    const { map, lock } = await cluster.state();
    expect(map.version).toBe(version + 1);
    expect({ lock, primary: map.shards[0]?.primary_url }).toEqual({ lock: null, primary: donor.url });
  });

  it('is found when it is the joiner, also by a recovery', async () => {
    const { joiner } = cluster;
    const donor = await growThatCannotDrop();
    await joiner.restartElsewhere();
    await waitsFor('a', /dropping from shard \d: .* no answer/);
    await patch(2, joiner);
    await cluster.operation('a').terminate('by a test');
    expect((await cluster.state()).lock?.shards).toMatchObject([{ id: 2, primary_url: joiner.url }]);
    donor.faults.clear();
    await cluster.lookAfterLock();
    await cluster.operation('grow-a.1', 'recover').result();
    expect(await cluster.misplaced('docs')).toEqual([]);
    expect(cluster.allIds('docs')).toHaveLength(POINTS);
  });

  it('is refused before the flip: a copy of it may be under way', async () => {
    const [donor] = cluster.donors as [InProcessShard];
    donor.faults.add({ match: { method: 'GRPC', path: /Replicate$/ }, fault: { kind: 'status', status: 14 } });
    await cluster.announce('a');
    await cluster.inPhase('a', 'copy');
    const refused = await patch(0, cluster.joiner).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(WorkflowUpdateFailedError);
    expect((refused as WorkflowUpdateFailedError).cause).toMatchObject({ type: 'OperationInProgress' });
    donor.faults.clear();
    await cluster.operation('a').result();
  });
});
