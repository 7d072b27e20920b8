import { WorkflowFailedError, WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { PlacementPlan } from '../../src/domain/placement-plan';
import type { OperationOutcome, OperationProgress } from '../../src/domain/progress';
import { announcedQuery, cancelUpdate, transitionUpdate, type RepairInput } from '../../src/contract/messages';
import type { RepairRequest } from '../../src/contract/requests';
import { startShard, type InProcessShard } from '../support/in-process-shard';
import { useCluster } from '../support/use-cluster';
import { json, StubShard } from '../support/stub-shard';
import { waitFor } from '../support/wait-for';
import { type ClusterFixture, FAST, pointJson } from '../support/cluster-fixture';

const POINTS = 900;
const SCHEMA = { name: 'docs', dim: 4, metric: 'l2', index: 'hnsw' };
const FETCHING = { method: 'GRPC', path: /Replicate/ };
const DELETING = { method: 'DELETE', path: /points/ };

/** On a busy machine an attempt that is cut off is tried again, and what it has moved is then found as copies beside equal ones. */
const PATIENT = { ...FAST, attemptMs: 30_000, heartbeatMs: 10_000 };

let cluster: ClusterFixture;
let leftovers: InProcessShard[] = [];

useCluster('repair', { points: POINTS }, (started) => {
  cluster = started;
});
afterEach(async () => {
  await Promise.all(leftovers.map((shard) => shard.stop()));
  leftovers = [];
});

type Kind = 'check' | 'repair';

function input(key: string, request: Partial<RepairRequest> = {}, change: Partial<RepairInput> = {}): RepairInput {
  const whole = { collections: null, leftovers: [], prefer: [], ...request };
  return { ...cluster.input(key), request: whole, timings: PATIENT, ...change };
}

/** Runs it to its end. */
async function run(
  kind: Kind,
  key: string,
  request: Partial<RepairRequest> = {},
  change: Partial<RepairInput> = {},
): Promise<{ outcome: OperationOutcome; progress: OperationProgress }> {
  await cluster.begin(kind, input(key, request, change));
  const outcome = (await cluster.operation(key, kind).result()) as OperationOutcome;
  return { outcome, progress: await cluster.progress(key, kind) };
}

/** The joiner becomes an owner at once, without a move: POST /cluster/shards. Returns how many points lie on the wrong shard then. */
async function addWithoutMove(): Promise<number> {
  cluster.joiner.create(SCHEMA);
  await changeByHand(cluster.joiner);
  return (await cluster.misplaced('docs')).length;
}

async function changeByHand(shard: InProcessShard): Promise<void> {
  const change = { change: 'add', shard: cluster.address(shard) } as const;
  await cluster.cluster.executeUpdate(transitionUpdate, { args: [{ type: 'changeByHand', change, key: null }] });
}

async function addLeftover(...points: string[]): Promise<InProcessShard> {
  const shard = await startShard();
  leftovers.push(shard);
  shard.create(SCHEMA);
  shard.put('docs', ...points);
  return shard;
}

/** An id of its own that shard `ownerId` of the seeded two owns. */
function idOwnedBy(ownerId: number, prefix: string): string {
  const plan = new PlacementPlan({ shards: [0, 1], joining: [], leaving: [] });
  for (let n = 0; ; n++) if (plan.ownerOf(Buffer.from(`${prefix}${n}`)) === ownerId) return `${prefix}${n}`;
}

const failure = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
  } catch (error) {
    const { cause } = error as { cause?: unknown };
    const isKnown = error instanceof WorkflowUpdateFailedError || error instanceof WorkflowFailedError;
    if (isKnown && cause instanceof ApplicationFailure) return cause.type ?? '';
    throw error;
  }
  return 'did not fail';
};

describe('a shard that was added without a move', () => {
  it('is reported by a check, filled by a repair, and found in order by the next check', async () => {
    const before = new Map(
      cluster.donors.flatMap((donor) => donor.ids('docs').map((id) => [id, donor.get('docs', id)])),
    );
    const misplaced = await addWithoutMove();
    const first = await run('check', 'a');
    expect(first.progress).toMatchObject({ status: 'succeeded', pointsDone: POINTS, pointsExpected: POINTS });
    expect(first.progress.findings).toMatchObject({
      found: { totals: { collections: 1, points: POINTS, onlyHere: misplaced, conflicting: 0 } },
      mended: { moved: 0, removed: 0 },
      left: null,
    });
    expect(first.progress.findings?.found.samples.length).toBe(Math.min(misplaced, 100));
    expect(first.progress.phases.map(({ phase }) => phase)).toEqual(['preflight', 'collections', 'compare']);
    expect(await cluster.misplaced('docs')).toHaveLength(misplaced);

    const { outcome, progress } = await run('repair', 'b');
    expect(await cluster.misplaced('docs')).toEqual([]);
    expect(cluster.allIds('docs')).toHaveLength(POINTS);
    for (const id of cluster.joiner.ids('docs')) expect(cluster.joiner.get('docs', id)).toBe(before.get(id));
    expect(outcome).toMatchObject({ pointsMoved: misplaced, pointsKept: 0 });
    expect(outcome.message).toContain('nothing is left');
    expect(progress.findings).toMatchObject({
      found: { totals: { points: POINTS, onlyHere: misplaced } },
      mended: { collectionsCreated: 0, moved: misplaced, removed: misplaced },
      left: { totals: { onlyHere: 0 }, collections: [] },
    });
    expect((await cluster.state()).lock).toBeNull();

    const last = await run('check', 'c');
    expect(last.outcome.message).toContain('everything is where it belongs');
    const { operations } = await cluster.state();
    expect(operations.map(({ kind, end }) => `${kind} ${end}`)).toEqual([
      'check succeeded',
      'repair succeeded',
      'check succeeded',
    ]);
  });

  it('gets the collections that it lacks, alike, from the repair that fills it', async () => {
    await changeByHand(cluster.joiner);
    const misplaced = (await cluster.misplaced('docs')).length;
    const check = await run('check', 'a');
    expect(check.progress.findings?.found.collections[0]).toMatchObject({ missingOn: ['2'], notCompared: null });
    const { progress } = await run('repair', 'b');
    expect(progress.findings).toMatchObject({
      found: { totals: { collectionsMissing: 1 } },
      mended: { collectionsCreated: 1, moved: misplaced },
      left: { totals: { collectionsMissing: 0 } },
    });
    expect(await cluster.misplaced('docs')).toEqual([]);
  });

  it('is filled only with the collections that were asked for', async () => {
    cluster.fill('more', 100, 'm');
    cluster.joiner.create({ ...SCHEMA, name: 'more' });
    await addWithoutMove();
    await run('repair', 'a', { collections: ['more'] });
    expect(await cluster.misplaced('more')).toEqual([]);
    expect(await cluster.misplaced('docs')).not.toEqual([]);
  });

  it('is filled while the worker is restarted in the middle', async () => {
    const misplaced = await addWithoutMove();
    const slow = cluster.joiner.faults.add({
      match: { method: 'GRPC', path: /UpsertStream/, nth: 5, times: 30 },
      fault: { kind: 'slow', ms: 100 },
    });
    await cluster.begin('repair', input('a', {}, { timings: FAST }));
    await slow.struck;
    await cluster.stopWorker();
    await cluster.startWorker();
    const outcome = (await cluster.operation('a', 'repair').result()) as OperationOutcome;
    expect(await cluster.misplaced('docs')).toEqual([]);
    expect(cluster.allIds('docs')).toHaveLength(POINTS);
    expect(outcome.pointsMoved).toBeLessThanOrEqual(misplaced);
  }, 60_000);

  it('is filled by a repair whose history is too long for one run, with the findings of all runs', async () => {
    for (let n = 0; n < 4; n++) {
      cluster.fill(`more-${n}`, 200, 'm');
      cluster.joiner.create({ ...SCHEMA, name: `more-${n}` });
    }
    const misplaced = await addWithoutMove();
    const first = await cluster.begin('repair', input('a', {}, { historyEventsMax: 30 }));
    const { runId } = await cluster.operation('a', 'repair').describe();
    await cluster.operation('a', 'repair').result();
    expect((await cluster.operation('a', 'repair').describe()).runId).not.toBe(runId);
    const { findings } = await cluster.progress('a', 'repair');
    expect(findings?.found.totals).toMatchObject({ collections: 5, points: POINTS + 800 });
    expect(findings?.found.collections.find(({ collection }) => collection === 'docs')?.byHolder['2']).toBeUndefined();
    expect(findings?.mended.moved).toBe(findings?.found.totals.onlyHere);
    expect(findings?.mended.moved).toBeGreaterThan(misplaced);
    for (const name of ['docs', 'more-0', 'more-3']) expect(await cluster.misplaced(name)).toEqual([]);
    expect(await cluster.operation('a', 'repair').query(announcedQuery)).toEqual({ answer: first, refusal: null });
  });
});

describe('a repair', () => {
  it('reports values that contradict each other, and does what prefer says about them', async () => {
    const id = idOwnedBy(0, 'conflict');
    cluster.donors[1]?.put('docs', pointJson(id, 1));
    const leftover = await addLeftover(pointJson(id, 2));
    const named = { leftovers: [cluster.address(leftover)] };
    const first = await run('repair', 'a', named);
    expect(first.progress.findings?.left).toMatchObject({
      totals: { conflicting: 2 },
      collections: [{ collection: 'docs' }],
    });
    expect(first.progress.findings?.left?.samples.map(({ holder }) => holder).sort()).toEqual(['1', leftover.url]);
    expect(first.outcome).toMatchObject({ pointsMoved: 0, pointsKept: 2 });
    expect(cluster.donors[0]?.get('docs', id)).toBeNull();
    const second = await run('repair', 'b', { ...named, prefer: [leftover.url] });
    expect(second.outcome).toMatchObject({
      pointsMoved: 1,
      pointsKept: 0,
      droppedByDonor: { '1': 1, [leftover.url]: 1 },
    });
    expect(cluster.donors[0]?.get('docs', id)).toContain('"v":2');
    expect(cluster.donors[1]?.get('docs', id)).toBeNull();
    expect(leftover.ids('docs')).toEqual([]);
  });

  it('takes from a leftover what its owner lacks, and removes what the owner holds in its own value', async () => {
    const [lost, stale] = [idOwnedBy(0, 'lost'), idOwnedBy(1, 'stale')];
    cluster.donors[1]?.put('docs', pointJson(stale, 5));
    const leftover = await addLeftover(pointJson(lost, 1), pointJson(stale, 4));
    await run('repair', 'a', { leftovers: [cluster.address(leftover)] });
    expect(cluster.donors[0]?.get('docs', lost)).toContain('"v":1');
    expect(cluster.donors[1]?.get('docs', stale)).toContain('"v":5');
    expect(leftover.ids('docs')).toEqual([]);
    expect(leftover.collections()).toEqual(['docs']);
  });

  it('mends what comes to a wrong shard while it runs, in another pass', async () => {
    await addWithoutMove();
    const late = cluster.donors[0]?.faults.add({
      match: { ...DELETING, nth: 1 },
      fault: { kind: 'beforeReply', run: () => cluster.donors[0]?.put('docs', pointJson(idOwnedBy(1, 'late'), 1)) },
    });
    await run('repair', 'a');
    expect(late?.hits).toBe(1);
    expect(await cluster.misplaced('docs')).toEqual([]);
  });

  it('waits until every router writes to the owners of this map, and fails when one does not get there', async () => {
    const router = await new StubShard((response) => json(response, { version: 1 })).start();
    const change = { routerUrls: [router.url], timings: { ...PATIENT, routerPatienceMs: 300 } };
    await run('repair', 'a', {}, change);
    const misplaced = await addWithoutMove();
    await cluster.begin('repair', input('b', {}, change));
    expect(await failure(cluster.operation('b', 'repair').result())).toBe('RoutersLagging');
    await router.stop();
    expect((await cluster.state()).lock).toBeNull();
    expect(await cluster.misplaced('docs')).toHaveLength(misplaced);
  });

  it('stops where it is when it is cancelled, loses nothing, and gives the lock back', async () => {
    const misplaced = await addWithoutMove();
    const slow = cluster.joiner.faults.add({
      match: { method: 'GRPC', path: /UpsertStream/, nth: 3, times: 500 },
      fault: { kind: 'slow', ms: 800 },
    });
    await cluster.begin('repair', input('a'));
    await slow.struck;
    await cluster.operation('a', 'repair').executeUpdate(cancelUpdate, { args: [{ reason: 'a test' }] });
    await expect(cluster.operation('a', 'repair').result()).rejects.toThrow(WorkflowFailedError);
    const { lock, operations } = await cluster.state();
    expect(lock).toBeNull();
    expect(operations[0]).toMatchObject({
      kind: 'repair',
      end: 'cancelled',
      message: expect.stringContaining('a test') as unknown,
    });
    expect(new Set(cluster.allIds('docs')).size).toBe(POINTS);
    expect(cluster.joiner.ids('docs').length).toBeLessThan(misplaced);
    slow.remove();
    await run('repair', 'b');
    expect(await cluster.misplaced('docs')).toEqual([]);
    expect(cluster.allIds('docs')).toHaveLength(POINTS);
  });

  it('that is terminated in the middle leaves nothing lost and a lock that is given back, and another one finishes', async () => {
    await addWithoutMove();
    const slow = cluster.joiner.faults.add({
      match: { method: 'GRPC', path: /UpsertStream/, nth: 3, times: 50 },
      fault: { kind: 'slow', ms: 200 },
    });
    await cluster.begin('repair', input('a', {}, { timings: FAST }));
    await slow.struck;
    await cluster.operation('a', 'repair').terminate('by a test');
    slow.remove();
    expect(await cluster.lookAfterLock()).toMatchObject({ kind: 'recovering', operationId: 'repair-a' });
    await cluster.operation('repair-a.1', 'recover').result();
    expect(await cluster.lookAfterLock()).toEqual({ kind: 'free' });
    expect(new Set(cluster.allIds('docs')).size).toBe(POINTS);
    await run('repair', 'b');
    expect(await cluster.misplaced('docs')).toEqual([]);
    expect(cluster.allIds('docs')).toHaveLength(POINTS);
  });

  it('shows why it waits while a shard cannot be read, and goes on when it can', async () => {
    await addWithoutMove();
    const down = cluster.donors[1]?.faults.add({ match: FETCHING, fault: { kind: 'refuse' } });
    await cluster.begin('repair', input('a'));
    const waiting = await waitFor('a reason', async () => (await cluster.progress('a', 'repair')).waiting);
    expect(waiting.reason).toContain(cluster.donors[1]?.grpcUrl);
    down?.remove();
    await cluster.operation('a', 'repair').result();
    expect(await cluster.misplaced('docs')).toEqual([]);
  });

  it('holds the lock: a second one is refused while it runs, and it is refused itself while another one does', async () => {
    cluster.donors[0]?.faults.add({ match: FETCHING, fault: { kind: 'slow', ms: 300 } });
    await cluster.begin('repair', input('a'));
    expect(await failure(cluster.begin('repair', input('b')))).toBe('OperationInProgress');
    expect(await failure(cluster.begin('check', input('c')))).toBe('OperationInProgress');
    await cluster.operation('a', 'repair').result();
    expect((await cluster.state()).operations).toHaveLength(1);
  });

  it('is refused when a leftover is in the map, and when prefer names nobody', async () => {
    const inMap = { leftovers: [cluster.address(cluster.donors[0] as InProcessShard)] };
    expect(await failure(cluster.begin('repair', input('a', inMap)))).toBe('ShardAlreadyInMap');
    expect(await failure(cluster.begin('repair', input('b', { prefer: ['7'] })))).toBe('InvalidRequest');
    await cluster
      .operation('b', 'repair')
      .result()
      .catch(() => undefined);
    const { lock, operations } = await cluster.state();
    expect(lock).toBeNull();
    expect(operations.map(({ end }) => end)).toEqual(['refused', 'refused']);
  });

  it('puts no id, payload or key into its history', async () => {
    const id = idOwnedBy(0, 'conflict');
    cluster.donors[1]?.put('docs', pointJson(id, 1));
    const leftover = await addLeftover(pointJson(id, 2));
    await addWithoutMove();
    await run('repair', 'a', { leftovers: [cluster.address(leftover)] });
    const history = JSON.stringify(await cluster.operation('a', 'repair').fetchHistory());
    const decoded = history.replace(/"data":"([^"]*)"/g, (_, data: string) => Buffer.from(data, 'base64').toString());
    expect(decoded).toContain('docs');
    expect(decoded).not.toMatch(/conflict\d|p17\b|9007199254740993|shard-key/);
  });
});

describe('a check', () => {
  it('fails with MapChanged when the map is changed while it reads', async () => {
    const slow = cluster.donors[0]?.faults.add({ match: FETCHING, fault: { kind: 'slow', ms: 500 } });
    await cluster.begin('check', input('a'));
    await slow?.struck;
    await changeByHand(cluster.joiner);
    expect(await failure(cluster.operation('a', 'check').result())).toBe('MapChanged');
    expect((await cluster.state()).operations[0]).toMatchObject({ kind: 'check', end: 'failed' });
  });

  it('takes no lock, so a change by hand is possible, and ends when it is cancelled', async () => {
    const held = cluster.donors[0]?.faults.add({ match: FETCHING, fault: { kind: 'hang' } });
    await cluster.begin('check', input('a'));
    await held?.struck;
    expect((await cluster.state()).lock).toBeNull();
    await cluster.operation('a', 'check').executeUpdate(cancelUpdate, { args: [{ reason: 'a test' }] });
    await expect(cluster.operation('a', 'check').result()).rejects.toThrow(WorkflowFailedError);
    expect((await cluster.state()).operations[0]).toMatchObject({ kind: 'check', end: 'cancelled' });
  });
});
