import { createStartByPolicy } from '../../src/activities/cluster/start-by-policy';
import type { ClusterTransition } from '../../src/contract/cluster';
import type { AutoscaleState } from '../../src/domain/autoscale-state';
import { type AutoscalePolicy, DEFAULT_POLICY } from '../../src/domain/autoscale-policy';
import { cancelUpdate, progressQuery, transitionUpdate, type EvaluationResult } from '../../src/contract/messages';
import { evaluationWorkflowId, operationWorkflowId, parseOperationId, taskQueue } from '../../src/contract/ids';
import { startShard, type InProcessShard } from '../support/in-process-shard';
import { waitFor } from '../support/wait-for';
import { ClusterFixture, FAST, startTemporal, type TemporalForTests } from '../support/cluster-fixture';

const POINTS = 600;
const LISTING = { method: 'GET', path: /^\/v1\/collections$/ } as const;
let temporal: TemporalForTests;
let cluster: ClusterFixture;
let number = 0;
let evaluations = 0;
const others: InProcessShard[] = [];

beforeAll(async () => {
  temporal = await startTemporal();
});
afterAll(async () => {
  await temporal.stop();
});
beforeEach(async () => {
  cluster = await ClusterFixture.start(temporal, `auto${++number}`, { points: POINTS });
});
afterEach(async () => {
  await cluster.stop();
  for (const shard of others.splice(0)) await shard.stop();
});

const apply = async (transition: ClusterTransition): Promise<void> => {
  await cluster.cluster.executeUpdate(transitionUpdate, { args: [transition] });
};
/** Above the mark from the first evaluation on. */
const setPolicy = (change: Partial<AutoscalePolicy> = {}): Promise<void> =>
  apply({
    type: 'replacePolicy',
    policy: { ...DEFAULT_POLICY, enabled: true, highWaterPoints: POINTS / 4, ...change },
  });
const addStandby = (shard: InProcessShard): Promise<void> =>
  apply({ type: 'addStandby', address: cluster.address(shard) });
const autoscaleState = async (): Promise<AutoscaleState> => (await cluster.state()).autoscale;
const standbyUrls = async (): Promise<string[]> => (await autoscaleState()).standbys.map((each) => each.primary_url);
const notices = async (): Promise<string[]> => (await autoscaleState()).notices.map((each) => each.code);

function evaluate(dryRun = false): Promise<EvaluationResult> {
  const { name } = cluster;
  return temporal.client.workflow.execute('autoscale', {
    taskQueue: taskQueue(name),
    workflowId: evaluationWorkflowId(name, String(++evaluations)),
    args: [{ cluster: name, settings: { routerUrls: [], timings: FAST, searchAttributes: false }, dryRun }],
  }) as Promise<EvaluationResult>;
}

const operation = (operationId: string | null) => {
  const { kind, key } = parseOperationId(operationId ?? '')!;
  return temporal.client.workflow.getHandle(operationWorkflowId(cluster.name, kind, key));
};

describe('an evaluation of the policy', () => {
  it('grows by the first standby when the load rises over the mark, and cools down after that', async () => {
    const second = await startShard();
    others.push(second);
    await setPolicy({ highWaterPoints: POINTS });
    await addStandby(cluster.joiner);
    await addStandby(second);
    expect(await evaluate()).toMatchObject({ reason: 'below_mark', operationId: null, unreadable: [] });

    cluster.fill('more', 2 * POINTS);
    const evaluation = await evaluate();
    expect(evaluation).toMatchObject({ reason: 'grow', operationId: expect.stringMatching(/^grow-auto-/) });
    expect(evaluation.pointsMax).toBeGreaterThan(POINTS);
    await operation(evaluation.operationId).result();
    const state = await cluster.state();
    expect(state.map.shards.map((shard) => shard.primary_url)).toContain(cluster.joiner.url);
    expect(await standbyUrls()).toEqual([second.url]);
    expect(await cluster.misplaced('more')).toEqual([]);

    expect(await evaluate()).toMatchObject({ reason: 'cooling_down', operationId: null });
    expect((await autoscaleState()).evaluations.map((each) => each.reason)).toEqual([
      'cooling_down',
      'grow',
      'below_mark',
    ]);
    expect((await cluster.state()).operations).toHaveLength(1);
  });

  it('says that an operation is running, for as long as the one that it started does', async () => {
    cluster.donors[0]?.faults.add({ match: { method: 'GRPC', path: /Replicate/ }, fault: { kind: 'slow', ms: 300 } });
    await setPolicy({ cooldownSecs: 0 });
    await addStandby(cluster.joiner);
    const { operationId } = await evaluate();
    expect(await evaluate()).toMatchObject({
      reason: 'operation_running',
      message: expect.stringContaining(String(operationId)),
    });
    await operation(operationId).result();
  });

  it('takes one standby when two evaluations run at once', async () => {
    const second = await startShard();
    others.push(second);
    await setPolicy();
    await addStandby(cluster.joiner);
    await addStandby(second);
    const both = await Promise.all([evaluate(), evaluate()]);
    const grown = both.filter((each) => each.operationId !== null);
    expect(grown).toHaveLength(1);
    const other = both.find((each) => each.operationId === null);
    expect(['operation_running', 'cooling_down']).toContain(other?.reason);
    await operation(grown[0]?.operationId ?? null).result();
    expect(await standbyUrls()).toEqual([second.url]);
    expect((await cluster.map()).shards).toHaveLength(3);
  });

  it('says that no standby is left, and has it noticed until one is', async () => {
    await setPolicy();
    expect((await evaluate()).reason).toBe('no_standby');
    expect(await notices()).toEqual(['NoStandbyLeft']);
    await addStandby(cluster.joiner);
    const { operationId } = await evaluate();
    await operation(operationId).result();
    expect(await notices()).toEqual([]);
  });

  it('passes over a standby that is down, marks it, and uses it once it is up', async () => {
    const refusing = cluster.joiner.faults.add({ match: LISTING, fault: { kind: 'refuse' } });
    await setPolicy();
    await addStandby(cluster.joiner);
    const down = await evaluate();
    expect(down).toMatchObject({ reason: 'no_standby', operationId: null });
    expect(down.message).toContain(cluster.joiner.url);
    expect((await autoscaleState()).standbys[0]?.unusable?.reason).toContain('expected the joiner');
    expect((await notices()).sort()).toEqual(['NoStandbyLeft', 'StandbyUnusable']);

    refusing.remove();
    const { operationId } = await evaluate();
    await operation(operationId).result();
    expect(await standbyUrls()).toEqual([]);
    expect(await cluster.misplaced('docs')).toEqual([]);
  });

  it('takes the next standby when the first one holds points', async () => {
    const full = await startShard();
    others.push(full);
    full.create({ name: 'docs', dim: 4, metric: 'l2', index: 'hnsw' });
    full.put('docs', '{"id":"x","vector":[1,1,1,1]}');
    await setPolicy();
    await addStandby(full);
    await addStandby(cluster.joiner);
    const { operationId, message } = await evaluate();
    expect(message).toContain(cluster.joiner.url);
    await operation(operationId).result();
    const { standbys } = await autoscaleState();
    expect(standbys).toMatchObject([{ primary_url: full.url, unusable: { reason: expect.stringContaining('empty') } }]);
  });

  it('takes the mark from a standby that is up again, also while no grow is needed', async () => {
    const refusing = cluster.joiner.faults.add({ match: LISTING, fault: { kind: 'refuse' } });
    await setPolicy();
    await addStandby(cluster.joiner);
    await evaluate();
    refusing.remove();
    await setPolicy({ highWaterPoints: 10 * POINTS });
    expect((await evaluate()).reason).toBe('below_mark');
    expect((await autoscaleState()).standbys[0]?.unusable).toBeNull();
    expect(await notices()).toEqual([]);
  });

  it('never uses a standby that is in the map already, and says so', async () => {
    await setPolicy();
    await addStandby(cluster.joiner);
    await apply({
      type: 'changeByHand',
      change: { change: 'add', shard: cluster.address(cluster.joiner) },
      key: null,
    });
    expect((await evaluate()).reason).toBe('no_standby');
    expect((await autoscaleState()).standbys[0]?.unusable?.reason).toContain('shard 2 of the cluster already');
    expect((await cluster.state()).operations).toEqual([]);
  });

  it('grows by nothing and counts no operation while a donor is down, and says that a grow is refused', async () => {
    await setPolicy();
    await addStandby(cluster.joiner);
    cluster.donors[1]?.faults.add({ match: LISTING, fault: { kind: 'refuse' } });
    const { reason, refusal, unreadable } = await evaluate();
    expect({ reason, refusal, unreadable }).toEqual({ reason: 'grow', refusal: 'DonorUnreachable', unreadable: [1] });
    expect((await notices()).sort()).toEqual(['GrowRefused', 'ShardUnreadable']);
    expect((await cluster.state()).operations).toEqual([]);
    expect((await autoscaleState()).standbys[0]?.unusable).toBeNull();
    expect((await autoscaleState()).lastScaleAtMs).toBeNull();
  });

  it('takes an unreadable shard for unknown, and never for calm (INV-8)', async () => {
    await setPolicy({ highWaterPoints: 10 * POINTS });
    cluster.donors[0]?.faults.add({ match: LISTING, fault: { kind: 'status', status: 503 } });
    expect(await evaluate()).toMatchObject({ reason: 'shard_unreadable', unreadable: [0] });
    expect(await notices()).toEqual(['ShardUnreadable']);
  });

  it('needs as many evaluations in a row above the mark as the policy says', async () => {
    await setPolicy({ sustainEvaluations: 2 });
    await addStandby(cluster.joiner);
    expect((await evaluate()).reason).toBe('not_sustained');
    const { reason, operationId } = await evaluate();
    expect(reason).toBe('grow');
    await operation(operationId).result();
  });

  it('stays at the cap, and has it noticed', async () => {
    await setPolicy({ maxShards: 2 });
    await addStandby(cluster.joiner);
    expect((await evaluate()).reason).toBe('at_cap');
    expect(await notices()).toEqual(['CapReached']);
  });

  it('changes nothing in a dry run, and says what it would do', async () => {
    const down = await startShard();
    others.push(down);
    down.faults.add({ match: LISTING, fault: { kind: 'refuse' } });
    await setPolicy();
    await addStandby(down);
    await addStandby(cluster.joiner);
    const before = await cluster.state();
    const evaluation = await evaluate(true);
    expect(evaluation).toMatchObject({ dryRun: true, reason: 'grow', operationId: null });
    expect(evaluation.message).toContain(`would grow by ${cluster.joiner.url}`);
    expect(await cluster.state()).toEqual(before);
  });

  it('fails, and decides nothing, when the workflow of the cluster is closed', async () => {
    await setPolicy();
    await cluster.cluster.terminate('test');
    await expect(evaluate()).rejects.toMatchObject({ cause: { cause: { type: 'ClusterStateLost' } } });
  });
});

describe('the standby of a grow that came to nothing', () => {
  /** A grow by the standby, announced and held in its copy. */
  async function growHeld(): Promise<string> {
    await setPolicy();
    await addStandby(cluster.joiner);
    cluster.donors[0]?.faults.add({
      match: { method: 'GRPC', path: /Replicate/ },
      fault: { kind: 'slow', ms: 1_000 },
    });
    const { operationId } = await evaluate();
    await waitFor('the copy', async () => (await operation(operationId).query(progressQuery)).phase === 'copy');
    return operationId ?? '';
  }

  it('is back, and the cooldown goes on, after a cancel', async () => {
    const operationId = await growHeld();
    await operation(operationId).executeUpdate(cancelUpdate, { args: [{ reason: 'test' }] });
    await operation(operationId)
      .result()
      .catch(() => undefined);
    expect(await standbyUrls()).toEqual([cluster.joiner.url]);
    expect((await evaluate()).reason).toBe('cooling_down');
    expect(cluster.joiner.collections()).toEqual([]);
  });

  it('is back after an undo, marked until it is looked at again', async () => {
    await setPolicy();
    await addStandby(cluster.joiner);
    cluster.joiner.faults.add({
      match: { method: 'GRPC', path: /UpsertStream/ },
      fault: { kind: 'status', status: 3 },
    });
    const { operationId } = await evaluate();
    await operation(operationId)
      .result()
      .catch(() => undefined);
    const { standbys } = await autoscaleState();
    expect(standbys).toMatchObject([{ primary_url: cluster.joiner.url, unusable: { reason: expect.any(String) } }]);
    expect((await cluster.map()).shards).toHaveLength(2);
  });

  it('is back after the next evaluation has found the grow terminated', async () => {
    const operationId = await growHeld();
    await operation(operationId).terminate('test');
    cluster.donors[0]?.faults.clear();
    expect(await evaluate()).toMatchObject({
      reason: 'operation_running',
      message: expect.stringContaining(`${operationId} was ended from outside`),
    });
    await waitFor('the recovery', async () => (await cluster.state()).lock === null);
    expect(await standbyUrls()).toEqual([cluster.joiner.url]);
    expect((await cluster.map()).shards).toHaveLength(2);
    expect(cluster.joiner.collections()).toEqual([]);
  });
});

describe('the start of a grow by the policy', () => {
  const startGrow = (key: string) =>
    createStartByPolicy({ client: temporal.client }).startGrow({
      input: cluster.input(key, {
        request: { shards: [cluster.address(cluster.joiner)], allowNonempty: false, fromStandby: true },
      }),
    });

  it('finds the same grow when it is repeated, also after that has ended', async () => {
    await addStandby(cluster.joiner);
    const first = await startGrow('auto-1');
    expect(first).toEqual({ operationId: 'grow-auto-1', announced: true, refusal: null });
    expect(await startGrow('auto-1')).toEqual(first);
    await operation('grow-auto-1').result();
    expect(await startGrow('auto-1')).toEqual(first);
    expect((await cluster.state()).operations).toHaveLength(1);
  });

  it('tells the refusal, and the same one when it is repeated, and leaves pool and cooldown as they were', async () => {
    await addStandby(cluster.joiner);
    cluster.joiner.faults.add({ match: LISTING, fault: { kind: 'refuse' } });
    const first = await startGrow('auto-1');
    expect(first).toMatchObject({ announced: false, refusal: { type: 'JoinerUnreachable' } });
    expect(await startGrow('auto-1')).toEqual(first);
    expect(await standbyUrls()).toEqual([cluster.joiner.url]);
    expect((await autoscaleState()).lastScaleAtMs).toBeNull();
  });

  it('is refused for a shard that is no standby (any more)', async () => {
    expect(await startGrow('auto-1')).toMatchObject({ announced: false, refusal: { type: 'UnknownStandby' } });
  });
});

describe('an evaluation that finds every shard low', () => {
  /** All shards together hold POINTS. */
  const LOW: Partial<AutoscalePolicy> = {
    highWaterPoints: 2 * POINTS,
    lowWaterPoints: POINTS + 1,
    cooldownSecs: 0,
    shrinkCooldownSecs: 0,
  };

  it('drains the emptiest shard, keeps it as a standby, and grows by it again when the load rises', async () => {
    await setPolicy(LOW);
    const { donors } = cluster;
    const emptiest = donors[0]!.ids('docs').length < donors[1]!.ids('docs').length ? 0 : 1;
    const evaluation = await evaluate();
    expect(evaluation).toMatchObject({ reason: 'shrink', operationId: expect.stringMatching(/^drain-auto-/) });
    expect(evaluation.message).toContain(`shard ${emptiest} has the fewest`);
    await operation(evaluation.operationId).result();
    expect((await cluster.map()).shards.map(({ id }) => id)).toEqual([1 - emptiest]);
    expect(await standbyUrls()).toEqual([donors[emptiest]!.url]);
    expect(donors[emptiest]!.collections()).toEqual([]);

    expect(await evaluate()).toMatchObject({ reason: 'at_floor', operationId: null });
    await setPolicy({ ...LOW, highWaterPoints: POINTS / 2, lowWaterPoints: 1 });
    const grown = await evaluate();
    expect(grown).toMatchObject({ reason: 'grow' });
    await operation(grown.operationId).result();
    expect(await cluster.misplaced('docs')).toEqual([]);
    expect(await standbyUrls()).toEqual([]);
  });

  it('changes nothing in a dry run, and begins one drain when two run at once', async () => {
    await setPolicy(LOW);
    expect(await evaluate(true)).toMatchObject({ reason: 'shrink', operationId: null, dryRun: true });
    expect((await cluster.state()).operations).toEqual([]);
    const both = await Promise.all([evaluate(), evaluate()]);
    const drains = both.filter((each) => each.operationId !== null);
    expect(drains).toHaveLength(1);
    await operation(drains[0]!.operationId).result();
    expect((await cluster.map()).shards).toHaveLength(1);
  });

  it('does not shrink for as long as the cooldown of shrinking lasts, which the grow began', async () => {
    await addStandby(cluster.joiner);
    await setPolicy({ cooldownSecs: 0 });
    const { operationId } = await evaluate();
    await operation(operationId).result();
    await setPolicy({ ...LOW, shrinkCooldownSecs: 3_600 });
    expect(await evaluate()).toMatchObject({
      reason: 'cooling_down',
      message: expect.stringContaining('every shard holds fewer than'),
    });
  });

  it('keeps no standby of a shard that is drained by a person, nor of a drain that was undone', async () => {
    await cluster.announceDrain('by-hand', 0);
    await cluster.operation('by-hand', 'drain').result();
    expect(await standbyUrls()).toEqual([]);
  });
});
