/** A key, and the id, payload and vector of a point, go through everything, and are found nowhere but on the shards. */
import type { WorkflowHandle } from '@temporalio/client';
import { type ClusterFixture, FAST, pointJson } from '../support/cluster-fixture';
import { SHARD_KEY } from '../support/in-process-shard';
import { useCluster } from '../support/use-cluster';
import { waitFor } from '../support/wait-for';

const POINTS = 300;
const ID = 'canary-id-';
const STRAY = `${ID}stray`;
/** Of each point (see pointJson): its id, a number of its payload, and the key of all calls. */
const CANARIES = new RegExp(`${ID}|9007199254740993|${SHARD_KEY}`);

let cluster: ClusterFixture;
useCluster('canary', { points: 0 }, (started) => {
  cluster = started;
  cluster.fill('cages', POINTS, ID);
});

/** Payloads stand in base64, as JSON. */
async function historyOf(handle: WorkflowHandle): Promise<string> {
  const history = JSON.stringify(await handle.fetchHistory());
  return history.replace(/"data":"([^"]*)"/g, (_, data: string) => Buffer.from(data, 'base64').toString());
}

async function errorOf(work: Promise<unknown>): Promise<string> {
  const seen: string[] = [];
  let error: unknown = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(Error);
  while (error instanceof Error) {
    seen.push(error.message, error.stack ?? '');
    error = error.cause;
  }
  return seen.join('\n');
}

describe('a key and a point', () => {
  it('are in no history, log, progress or error of operations that succeed, wait, fail and repair', async () => {
    const found: Record<string, string> = {};
    const note = (where: string, text: string): void => {
      found[where] = text;
    };

    // Refused writes and cut reads, whose errors are told, logged and tried again.
    const upserts = { method: 'GRPC', path: /UpsertStream/ };
    const faults = [
      cluster.joiner.faults.add({ match: { ...upserts, nth: 1 }, fault: { kind: 'status', status: 16 } }),
      cluster.joiner.faults.add({ match: upserts, fault: { kind: 'status', status: 3 } }),
    ];
    cluster.donors[0]!.faults.add({
      match: { method: 'GRPC', path: /Replicate/, nth: 1 },
      fault: { kind: 'cutStream', rows: 10 },
    });
    await cluster.announce('fails', { timings: { ...FAST, patienceMs: 1_000 } });
    note('the error of a grow that fails', await errorOf(cluster.operation('fails').result()));
    note('the progress of a grow that fails', JSON.stringify(await cluster.progress('fails')));
    expect(faults.every((fault) => fault.hits > 0)).toBe(true);
    for (const fault of faults) fault.remove();

    // A wait that is shown.
    const refused = cluster.joiner.faults.add({
      match: { method: 'GRPC', path: /UpsertStream/ },
      fault: { kind: 'status', status: 7 },
    });
    await cluster.announce('waits');
    await waitFor('a wait', async () => {
      const progress = await cluster.progress('waits');
      note('the progress of a grow that waits', JSON.stringify(progress));
      return progress.waiting?.reason.includes(cluster.joiner.grpcUrl);
    });
    refused.remove();
    note('the outcome of a grow', JSON.stringify(await cluster.operation('waits').result()));
    expect(cluster.joiner.ids('cages').length).toBeGreaterThan(0);

    // A point on the wrong shards is reported, and repaired.
    for (const shard of [...cluster.donors, cluster.joiner]) shard.put('cages', pointJson(STRAY, 1));
    const request = { collections: null, leftovers: [], prefer: [] };
    for (const kind of ['check', 'repair'] as const) {
      await cluster.begin(kind, { ...cluster.input(kind), request });
      note(`the outcome of a ${kind}`, JSON.stringify(await cluster.operation(kind, kind).result()));
    }
    expect(await cluster.misplaced('cages')).toEqual([]);

    const operations = [
      cluster.operation('fails'),
      cluster.operation('waits'),
      cluster.operation('check', 'check'),
      cluster.operation('repair', 'repair'),
      cluster.cluster,
    ];
    for (const handle of operations) {
      note(`the history of ${handle.workflowId}`, await historyOf(handle));
      note(`the description of ${handle.workflowId}`, JSON.stringify((await handle.describe()).raw));
    }
    note('the log', cluster.logged.join(''));

    // The places are read as they should be: what may stand there does.
    expect(found['the log']).toContain('QUIVER_CLUSTER_SHARD_KEY');
    expect(found[`the history of ${cluster.operation('waits').workflowId}`]).toContain('cages');
    expect(found['the outcome of a check']).toContain('2 copies beside an equal one');
    for (const [where, text] of Object.entries(found)) {
      expect({ where, canary: CANARIES.exec(text)?.[0] ?? null }).toEqual({ where, canary: null });
    }
  });
});
