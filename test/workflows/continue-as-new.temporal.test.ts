import { WorkflowExecutionAlreadyStartedError, WorkflowFailedError } from '@temporalio/client';
import { announcedQuery, cancelUpdate, transitionUpdate } from '../../src/contract/messages';
import type { ClusterAnswer } from '../../src/contract/cluster';
import { useCluster } from '../support/use-cluster';
import { waitFor } from '../support/wait-for';
import { type ClusterFixture } from '../support/cluster-fixture';

const POINTS = 600;
let cluster: ClusterFixture;

useCluster('continued', { points: POINTS }, (started) => {
  cluster = started;
});

/** It may have done so before its caller was answered. */
async function hasContinued(key: string): Promise<boolean> {
  const { events } = await cluster.operation(key).fetchHistory();
  return Boolean(events?.[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId);
}

describe('a grow whose history is bounded tightly', () => {
  it('continues as new in the middle of its phases and does everything exactly as in one run', async () => {
    for (let n = 0; n < 4; n++) cluster.fill(`more-${n}`, 200, 'm');
    const first = await cluster.announce('a', { historyEventsMax: 30 });
    await cluster.operation('a').result();
    expect(await hasContinued('a')).toBe(true);
    for (const name of ['docs', 'more-0', 'more-1', 'more-2', 'more-3']) {
      expect(await cluster.misplaced(name)).toEqual([]);
      expect(cluster.allIds(name)).toHaveLength(name === 'docs' ? POINTS : 200);
    }
    const progress = await cluster.progress('a');
    expect(progress).toMatchObject({ status: 'succeeded', pointsDone: cluster.joiner.ids('docs').length + moved(4) });
    expect(progress.phases.map((phase) => phase.phase)).toEqual([
      'preflight',
      'prepare',
      'announce',
      'await-routers',
      'copy',
      'warm-up',
      'reconcile',
      'promote',
      'await-routers-after',
      'await-index',
      'drop',
      'confirm',
    ]);
    // The update belongs to an earlier run, which can't be asked any more; the last run knows its answer all the same.
    await expect(cluster.announce('a', { historyEventsMax: 30 })).rejects.toThrow(WorkflowExecutionAlreadyStartedError);
    expect(await cluster.operation('a').query(announcedQuery)).toEqual({ answer: first, refusal: null });
  });

  it('can still be cancelled, and undoes what earlier runs did', async () => {
    for (let n = 0; n < 4; n++) cluster.fill(`more-${n}`, 200, 'm');
    const held = cluster.joiner.faults.add({
      match: { method: 'GRPC', path: /UpsertStream/ },
      fault: { kind: 'status', status: 14 },
    });
    await cluster.announce('a', { historyEventsMax: 30 });
    await waitFor('another run than the first', () => hasContinued('a'));
    await held.struck;
    await cluster.operation('a').executeUpdate(cancelUpdate, { args: [{ reason: 'a test' }] });
    await expect(cluster.operation('a').result()).rejects.toThrow(WorkflowFailedError);
    expect(cluster.joiner.collections()).toEqual([]);
    expect(await cluster.state()).toMatchObject({ lock: null, map: { shards: [{ id: 0 }, { id: 1 }], joining: [] } });
  });

  const moved = (collections: number): number =>
    Array.from({ length: collections }, (_, n) => cluster.joiner.ids(`more-${n}`).length).reduce((a, b) => a + b, 0);
});

describe('a cluster that is changed very often', () => {
  it('answers every change exactly once across its runs, with versions that rise by one (INV-1)', async () => {
    const changes = 900;
    const inFlight = 8;
    const firstRun = (await cluster.cluster.describe()).runId;
    const versions: number[] = [];
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < changes) {
        const name = `http://added-${next++}:6333`;
        const answer: ClusterAnswer = await cluster.cluster.executeUpdate(transitionUpdate, {
          args: [
            {
              type: 'changeByHand',
              change: { change: 'add', shard: { primary_url: name, replica_urls: [] } },
              key: null,
            },
          ],
        });
        versions.push(answer.map.version);
      }
    };
    await Promise.all(Array.from({ length: inFlight }, worker));
    expect((await cluster.cluster.describe()).runId).not.toBe(firstRun);
    expect(versions.sort((a, b) => a - b)).toEqual(Array.from({ length: changes }, (_, n) => n + 2));
    const { shards } = await cluster.map();
    expect(new Set(shards.map((shard) => shard.id)).size).toBe(changes + 2);
  }, 120_000);
});
