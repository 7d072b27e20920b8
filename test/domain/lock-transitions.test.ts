import { NO_AUTOSCALE, seedAutoscale } from '../../src/domain/autoscale-state';
import { DEFAULT_POLICY } from '../../src/domain/autoscale-policy';
import { seedState, type ClusterState } from '../../src/domain/cluster-state';
import {
  announce,
  beginCheck,
  confirmAnnounced,
  confirmHeld,
  endCheck,
  flip,
  recoveryKey,
  release,
  reserve,
  takeOver,
  withdraw,
  type LockRequest,
} from '../../src/domain/lock-transitions';
import { TEXT_CHARS_MAX } from '../../src/domain/limits';
import { changeByHand } from '../../src/domain/manual-changes';
import type { ShardAddress } from '../../src/domain/shard-map';
import { at, codeOf } from '../support/domain-builders';

const three = (): ClusterState => seedState([at('s0'), at('s1'), at('s2')]);
const take = (state: ClusterState, operationId: string, request: LockRequest): ClusterState =>
  reserve(state, { operationId, request, nowMs: 1_000 });
const drain = (state = three(), shardId = 1): ClusterState => take(state, 'drain-a', { kind: 'drain', shardId });
const ended = (
  state: ClusterState,
  operationId: string,
  end: 'succeeded' | 'failed' | 'cancelled' | 'refused',
  code: string | null = null,
) => release(state, { operationId, end, code, pointsMoved: 0, message: `it ${end}`, nowMs: 9_000 });

it('the record of an operation keeps of a very long message what fits a state', () => {
  const message = `not every router adopted map version 2: ${'http://router-17:6333 (holds version 1), '.repeat(10_000)}`;
  const result = { operationId: 'drain-a', end: 'failed', code: null, pointsMoved: 0, message, nowMs: 9_000 } as const;
  const [record] = release(drain(), result).operations;
  expect(record?.message.length).toBeLessThanOrEqual(TEXT_CHARS_MAX);
  expect(record?.message).toMatch(/^not every router adopted .* characters left out/);
});

it('the refusal beside an operation of many shards names a few of them', () => {
  const shards = Array.from({ length: 64 }, (_, n) => at(`j${n}`));
  const locked = take(three(), 'grow-a', { kind: 'grow', shards, fromStandby: false });
  expect(() => drain(locked)).toThrow('operation grow-a (shard 3, 4, 5 and 61 more) is running');
});

describe('the cooldown after a drain', () => {
  const flipped = () => flip(announce(drain(), 'drain-a'), 'drain-a');
  const result = {
    operationId: 'drain-a',
    end: 'succeeded',
    code: null,
    pointsMoved: 0,
    message: '',
    nowMs: 9_000,
  } as const;

  it('begins at its end, and not again when the release is repeated', () => {
    const released = release(flipped(), { ...result, beginsCooldown: true });
    expect(released.autoscale.lastScaleAtMs).toBe(9_000);
    expect(release(released, { ...result, beginsCooldown: true, nowMs: 20_000 })).toBe(released);
  });

  it('does not begin when the operation says nothing of it, as in a history of an earlier release', () => {
    expect(release(flipped(), result).autoscale.lastScaleAtMs).toBeNull();
  });
});

describe('a drain by policy', () => {
  const request = { kind: 'drain', shardId: 1, toStandby: true, seenLastScaleAtMs: null } as const;
  const byPolicy = () => take(three(), 'drain-a', request);
  const over = (state: ClusterState, more: Partial<Parameters<typeof release>[1]>) =>
    release(state, {
      ...{ operationId: 'drain-a', end: 'succeeded', code: null, pointsMoved: 0, message: '', nowMs: 9_000 },
      ...more,
    }).autoscale;

  it('keeps its shard as a standby when that is empty, and not otherwise', () => {
    const flipped = flip(announce(byPolicy(), 'drain-a'), 'drain-a');
    expect(over(flipped, { beginsCooldown: true, isEmptied: true })).toMatchObject({
      lastScaleAtMs: 9_000,
      standbys: [{ ...at('s1'), addedAtMs: 9_000, unusable: null }],
    });
    expect(over(flipped, { beginsCooldown: true, isEmptied: false }).standbys).toEqual([]);
    const byHand = flip(announce(drain(), 'drain-a'), 'drain-a');
    expect(over(byHand, { beginsCooldown: true, isEmptied: true }).standbys).toEqual([]);
  });

  it('begins the cooldown however it ends, so that it does not begin again at the next evaluation', () => {
    for (const end of ['refused', 'failed', 'cancelled'] as const) {
      expect(over(byPolicy(), { end })).toMatchObject({ lastScaleAtMs: 9_000, standbys: [] });
    }
  });

  it('is refused when the cluster has grown or shrunk since it was decided on', () => {
    const state = three();
    const cooled = { ...state, autoscale: { ...state.autoscale, lastScaleAtMs: 5 } };
    expect(codeOf(() => take(cooled, 'drain-a', request))).toBe('OperationInProgress');
  });
});

describe('a drain', () => {
  it('marks its shard as leaving, takes it out with the flip, and costs no id', () => {
    const reserved = drain();
    expect(reserved).toMatchObject({
      nextId: 3,
      map: { version: 1, leaving: [] },
      lock: { kind: 'drain', shards: [{ id: 1 }] },
    });
    const announced = announce(reserved, 'drain-a');
    expect(announced.map).toMatchObject({ version: 2, leaving: [1], joining: [] });
    const flipped = flip(announced, 'drain-a');
    expect(flipped.map).toMatchObject({ version: 3, leaving: [], shards: [{ id: 0 }, { id: 2 }] });
    expect(flipped.lock).toMatchObject({ stage: 'flipped', shards: [{ id: 1, primary_url: 'http://s1:6333' }] });
    expect(ended(flipped, 'drain-a', 'succeeded').lock).toBeNull();
  });

  it('makes its shard an owner again when it is withdrawn, in its old place (INV-7)', () => {
    const withdrawn = withdraw(announce(drain(), 'drain-a'), 'drain-a');
    expect(withdrawn.map).toEqual({ ...three().map, version: 3 });
    expect(withdrawn.lock).toMatchObject({ stage: 'withdrawn', wasAnnounced: true });
    expect(withdraw(drain(), 'drain-a').lock).toMatchObject({ stage: 'withdrawn', wasAnnounced: false });
  });

  it('changes nothing when a step is applied again, after a lost answer', () => {
    let state = drain();
    expect(drain(state)).toBe(state);
    for (const step of [announce, flip] as const) {
      state = step(state, 'drain-a');
      expect(step(state, 'drain-a')).toBe(state);
    }
    expect(codeOf(() => announce(state, 'drain-a'))).toBe('PointOfNoReturnPassed');
    expect(codeOf(() => withdraw(state, 'drain-a'))).toBe('PointOfNoReturnPassed');
  });

  it.each([
    ['of an unknown shard', three(), 7, 'UnknownShard'],
    ['of a joining shard', changeByHand(three(), { change: 'join', shard: at('s3') }, null), 3, 'JoinInProgress'],
    ['beside a joining shard', changeByHand(three(), { change: 'join', shard: at('s3') }, null), 0, 'JoinInProgress'],
    ['of a leaving shard', { ...three(), map: { ...three().map, leaving: [1] } }, 1, 'LeaveInProgress'],
    ['beside a leaving shard', { ...three(), map: { ...three().map, leaving: [1] } }, 0, 'LeaveInProgress'],
    ['of the last owner', seedState([at('s0')]), 0, 'LastShard'],
    ['while an operation runs', drain(), 2, 'OperationInProgress'],
  ])('%s is refused', (_, state, shardId, code) => {
    expect(codeOf(() => take(state, 'drain-b', { kind: 'drain', shardId }))).toBe(code);
  });
});

describe('a grow by several shards', () => {
  it('lets them join in one version and makes them owners in one version', () => {
    const request = { kind: 'grow', shards: [at('s3'), at('s4')], fromStandby: false } as const;
    const announced = announce(take(three(), 'grow-a', request), 'grow-a');
    expect(announced).toMatchObject({ nextId: 5, map: { version: 2, joining: [3, 4] } });
    expect(flip(announced, 'grow-a').map).toMatchObject({ version: 3, joining: [] });
    expect(withdraw(announced, 'grow-a').map).toEqual({ ...three().map, version: 3 });
  });

  it('is refused when one of them is named twice, or in the map', () => {
    const by =
      (...names: string[]) =>
      () =>
        take(three(), 'grow-a', { kind: 'grow', shards: names.map((name) => at(name)), fromStandby: false });
    expect(codeOf(by('s3', 's3'))).toBe('InvalidRequest');
    expect(codeOf(by('s3', 's1'))).toBe('ShardAlreadyInMap');
  });
});

describe('a grow from a standby', () => {
  const withStandbys = (): ClusterState => ({
    ...three(),
    autoscale: {
      ...seedAutoscale(NO_AUTOSCALE, {
        policy: { ...DEFAULT_POLICY, enabled: true },
        standbys: [at('b0'), at('b1')],
        nowMs: 5,
      }),
      lastScaleAtMs: 77,
    },
  });
  const grow = (state = withStandbys(), name = 'b0', operationId = 'grow-a'): ClusterState =>
    take(state, operationId, { kind: 'grow', shards: [at(name)], fromStandby: true });
  const urls = (state: ClusterState) => state.autoscale.standbys.map((each) => each.primary_url);

  it('takes the standby, the cooldown and the lock in one transition, so that of two evaluations one gets it', () => {
    const taken = grow();
    expect(urls(taken)).toEqual(['http://b1:6333']);
    expect(taken.autoscale.lastScaleAtMs).toBe(1_000);
    expect(codeOf(() => grow(taken, 'b0', 'grow-b'))).toBe('OperationInProgress');
    expect(codeOf(() => grow(ended(taken, 'grow-a', 'cancelled'), 'b9', 'grow-b'))).toBe('UnknownStandby');
  });

  it('is refused when another grow by policy began since it was decided on, also when that one has ended', () => {
    const request = { kind: 'grow', shards: [at('b1')], fromStandby: true, seenLastScaleAtMs: 77 } as const;
    expect(take(withStandbys(), 'grow-b', request).lock?.operationId).toBe('grow-b');
    const since = ended(flip(announce(grow(), 'grow-a'), 'grow-a'), 'grow-a', 'succeeded');
    expect(codeOf(() => take(since, 'grow-b', request))).toBe('OperationInProgress');
  });

  it('keeps it when ownership has flipped, however the operation ends', () => {
    const flipped = flip(announce(grow(), 'grow-a'), 'grow-a');
    expect(urls(ended(flipped, 'grow-a', 'succeeded'))).toEqual(['http://b1:6333']);
    const recovered = takeOver(flipped, { operationId: 'recover-x', from: 'grow-a', nowMs: 3 });
    expect(urls(ended(recovered, 'recover-x', 'succeeded'))).toEqual(['http://b1:6333']);
  });

  it.each([
    ['refused for its own fault', 'refused', 'JoinerUnreachable', 'it refused', 77],
    ['refused for another fault', 'refused', 'DonorUnreachable', null, 77],
    ['undone after a failure', 'failed', 'PatienceExhausted', 'it failed', 1_000],
    ['cancelled', 'cancelled', 'OperationCancelled', null, 1_000],
  ] as const)('gives it back in its place when it was %s', (_, end, code, problem, lastScaleAtMs) => {
    const after = ended(withdraw(grow(), 'grow-a'), 'grow-a', end, code);
    expect(urls(after)).toEqual(['http://b0:6333', 'http://b1:6333']);
    expect(after.autoscale.standbys[0]?.unusable?.reason ?? null).toBe(problem);
    expect(after.autoscale.lastScaleAtMs).toBe(lastScaleAtMs);
  });

  it('gives it back, unmarked, when a recovery undoes what was ended from outside', () => {
    const recovered = takeOver(announce(grow(), 'grow-a'), { operationId: 'recover-x', from: 'grow-a', nowMs: 3 });
    const after = ended(withdraw(recovered, 'recover-x'), 'recover-x', 'succeeded');
    expect(urls(after)).toEqual(['http://b0:6333', 'http://b1:6333']);
    expect(after.autoscale.standbys[0]?.unusable).toBeNull();
  });
});

describe('a recovery', () => {
  it('gets the lock as it stands, once, and ends the record of the ended operation', () => {
    const announced = announce(drain(), 'drain-a');
    const lock = announced.lock!;
    const by = `recover-${recoveryKey(lock)}`;
    const taken = takeOver(announced, { operationId: by, from: 'drain-a', nowMs: 5 });
    expect(taken.lock).toMatchObject({
      operationId: by,
      origin: 'drain-a',
      takeovers: 1,
      stage: 'announced',
      wasAnnounced: true,
    });
    expect(taken.operations).toMatchObject([
      { operationId: by, kind: 'recover', end: null, shardIds: [1] },
      { operationId: 'drain-a', end: 'failed', endedAtMs: 5 },
    ]);
    expect(takeOver(taken, { operationId: by, from: 'drain-a', nowMs: 6 })).toBe(taken);
    expect(codeOf(() => takeOver(taken, { operationId: 'recover-other', from: 'drain-a', nowMs: 6 }))).toBe(
      'NotLockHolder',
    );
  });

  it('leaves the ended operation no way to change the map if it comes back', () => {
    const taken = takeOver(announce(drain(), 'drain-a'), { operationId: 'recover-x', from: 'drain-a', nowMs: 5 });
    for (const step of [announce, confirmHeld, confirmAnnounced, flip, withdraw]) {
      expect(codeOf(() => step(taken, 'drain-a'))).toBe('NotLockHolder');
    }
    expect(ended(taken, 'drain-a', 'succeeded')).toBe(taken);
    expect(codeOf(() => drain(ended(taken, 'recover-x', 'succeeded')))).toBe('OperationEnded');
  });

  it('of a recovery has an id of its own', () => {
    const first = takeOver(announce(drain(), 'drain-a'), {
      operationId: 'recover-drain-a.1',
      from: 'drain-a',
      nowMs: 5,
    });
    expect(recoveryKey(first.lock!)).toBe('drain-a.2');
  });
});

describe('a repair and a check', () => {
  it('hold the lock without a word in the map, or no lock at all', () => {
    const repairing = take(three(), 'repair-a', { kind: 'repair' });
    expect(repairing).toMatchObject({ map: three().map, nextId: 3, lock: { kind: 'repair', shards: [] } });
    expect(codeOf(() => announce(repairing, 'repair-a'))).toBe('InvalidRequest');
    expect(codeOf(() => drain(repairing))).toBe('OperationInProgress');
    const checking = beginCheck(three(), { operationId: 'check-a', nowMs: 1 });
    expect(checking).toMatchObject({ lock: null, operations: [{ operationId: 'check-a', kind: 'check', end: null }] });
    expect(beginCheck(checking, { operationId: 'check-a', nowMs: 2 })).toBe(checking);
    const result = { operationId: 'check-a', end: 'succeeded', code: null, pointsMoved: 0, message: 'clean' } as const;
    const over = endCheck(checking, { ...result, nowMs: 3 });
    expect(over.operations).toMatchObject([{ end: 'succeeded', message: 'clean', endedAtMs: 3 }]);
    expect(endCheck(over, { ...result, end: 'failed', nowMs: 4 })).toEqual(over);
  });

  it('are refused while a change is half-way', () => {
    expect(codeOf(() => beginCheck(drain(), { operationId: 'check-a', nowMs: 1 }))).toBe('OperationInProgress');
    const joining = changeByHand(three(), { change: 'join', shard: at('s3') }, null);
    expect(codeOf(() => beginCheck(joining, { operationId: 'check-a', nowMs: 1 }))).toBe('JoinInProgress');
    expect(codeOf(() => take(joining, 'repair-a', { kind: 'repair' }))).toBe('JoinInProgress');
  });
});

describe('a replaced address', () => {
  const replace = (state: ClusterState, id: number, address: Partial<ShardAddress>) =>
    changeByHand(state, { change: 'replaceAddress', id, address }, null);

  it('is one version more, and what is left out stays', () => {
    const moved = replace(three(), 1, { primary_url: 'http://new:6333' });
    expect(moved.map).toMatchObject({
      version: 2,
      shards: [{ id: 0 }, { id: 1, primary_url: 'http://new:6333' }, { id: 2 }],
    });
    const led = replace(moved, 1, { replica_urls: ['http://r:6333'] });
    expect(led.map.shards[1]).toEqual({ id: 1, primary_url: 'http://new:6333', replica_urls: ['http://r:6333'] });
  });

  it('may name the addresses that the shard has already, in another order', () => {
    const replicated = replace(three(), 1, { replica_urls: ['http://r:6333'] });
    const swapped = replace(replicated, 1, { primary_url: 'http://r:6333', replica_urls: ['http://s1:6333'] });
    expect(swapped.map.shards[1]).toMatchObject({ primary_url: 'http://r:6333' });
  });

  describe('under a lock', () => {
    const elsewhere = { primary_url: 'http://new:6333' };
    const grow = (): ClusterState => take(three(), 'grow-a', { kind: 'grow', shards: [at('s3')], fromStandby: false });

    it('is taken behind the flip: in the map, and in the lock that a recovery would take over', () => {
      const grown = flip(announce(grow(), 'grow-a'), 'grow-a');
      const donor = replace(grown, 1, elsewhere);
      expect(donor.map).toMatchObject({ version: grown.map.version + 1, shards: [{}, elsewhere, {}, {}] });
      expect(donor.lock).toEqual(grown.lock);
      const joiner = replace(grown, 3, { ...elsewhere, grpc_url: 'http://new:9' });
      expect(joiner.lock?.shards).toEqual([{ id: 3, ...elsewhere, replica_urls: [], grpc_url: 'http://new:9' }]);
    });

    it('is taken of a leaver that has left the map, without a new version', () => {
      const left = flip(announce(drain(), 'drain-a'), 'drain-a');
      const moved = replace(left, 1, elsewhere);
      expect(moved.map).toEqual(left.map);
      expect(moved.lock?.shards).toEqual([{ id: 1, ...elsewhere, replica_urls: [] }]);
      expect(codeOf(() => replace(left, 1, { primary_url: 'http://s2:6333' }))).toBe('ShardAlreadyInMap');
      expect(codeOf(() => replace(left, 9, elsewhere))).toBe('UnknownShard');
    });

    it('is taken in an undo, and refused before the flip', () => {
      const undone = withdraw(announce(grow(), 'grow-a'), 'grow-a');
      expect(replace(undone, 0, elsewhere).map.shards[0]).toMatchObject(elsewhere);
      expect(codeOf(() => replace(announce(grow(), 'grow-a'), 0, elsewhere))).toBe('OperationInProgress');
    });
  });

  it("is refused when it is another shard's, names one twice, or while an operation runs", () => {
    expect(codeOf(() => replace(three(), 1, { primary_url: 'http://s2:6333' }))).toBe('ShardAlreadyInMap');
    expect(codeOf(() => replace(three(), 1, { replica_urls: ['http://s1:6333'] }))).toBe('InvalidRequest');
    expect(codeOf(() => replace(three(), 9, { primary_url: 'http://x:6333' }))).toBe('UnknownShard');
    expect(codeOf(() => replace(drain(), 1, { primary_url: 'http://x:6333' }))).toBe('OperationInProgress');
  });
});
