import fc from 'fast-check';
import { adoptState, seedState, type ClusterState } from '../../src/domain/cluster-state';
import { DomainError } from '../../src/domain/errors';
import { ANSWERED_REQUESTS_MAX, RECENT_OPERATIONS_MAX } from '../../src/domain/limits';
import { announce, confirmAnnounced, flip, release, reserve, withdraw } from '../../src/domain/lock-transitions';
import { changeByHand, type ManualChange } from '../../src/domain/manual-changes';
import { at, codeOf } from '../support/domain-builders';

const two = (): ClusterState => seedState([at('s0'), at('s1')]);
const reserved = (state = two(), operationId = 'grow-a', name = 's2'): ClusterState =>
  reserve(state, { operationId, request: { kind: 'grow', shards: [at(name)], fromStandby: false }, nowMs: 1 });
const ended = (state: ClusterState, operationId: string): ClusterState =>
  release(state, { operationId, end: 'succeeded', code: null, pointsMoved: 7, message: 'done', nowMs: 9 });

describe('a cluster without a past', () => {
  it('begins at version 1 with ids in the order of its shards', () => {
    expect(two()).toMatchObject({
      nextId: 2,
      lock: null,
      map: { version: 1, shards: [{ id: 0, primary_url: 'http://s0:6333' }, { id: 1 }], joining: [], leaving: [] },
    });
  });
});

describe('a taken-over state', () => {
  it('keeps version and ids, and never hands out an id that a shard has', () => {
    const map = {
      version: 41,
      shards: [
        { id: 3, ...at('s3') },
        { id: 8, ...at('s8') },
      ],
      joining: [],
      leaving: [],
    };
    expect(adoptState({ next_id: 12, map })).toMatchObject({ nextId: 12, map });
    expect(adoptState({ next_id: 2, map }).nextId).toBe(9);
  });
});

describe('a grow', () => {
  it('reserves ids without a word in the map, announces, flips and gives the lock back, one version per change', () => {
    const first = reserved();
    expect(first).toMatchObject({
      nextId: 3,
      map: { version: 1, joining: [] },
      lock: { stage: 'reserved', shards: [{ id: 2 }] },
    });
    const second = announce(first, 'grow-a');
    expect(second).toMatchObject({ map: { version: 2, joining: [2] }, lock: { stage: 'announced' } });
    const third = flip(second, 'grow-a');
    expect(third).toMatchObject({ map: { version: 3, joining: [] }, lock: { stage: 'flipped' } });
    expect(ended(third, 'grow-a')).toMatchObject({
      lock: null,
      operations: [{ operationId: 'grow-a', end: 'succeeded', pointsMoved: 7, endedAtMs: 9 }],
    });
  });

  it('changes nothing when one of its steps is applied again, after a lost answer', () => {
    let state = two();
    const steps: ((before: ClusterState) => ClusterState)[] = [
      (before) => reserved(before),
      (before) => announce(before, 'grow-a'),
      (before) => flip(before, 'grow-a'),
      (before) => ended(before, 'grow-a'),
    ];
    for (const step of steps) {
      state = step(state);
      if (step !== steps[0] || state.lock !== null) expect(step(state)).toBe(state);
    }
  });

  it('leaves the map as it was but for the version when it is withdrawn, and never reuses its id (INV-1, INV-7)', () => {
    const withdrawn = withdraw(announce(reserved(), 'grow-a'), 'grow-a');
    expect(withdrawn).toMatchObject({ nextId: 3, lock: { stage: 'withdrawn' }, map: { version: 3, joining: [] } });
    expect(withdrawn.map.shards).toEqual(two().map.shards);
    expect(withdraw(withdrawn, 'grow-a').map).toEqual(withdrawn.map);
    const again = reserved(ended(withdrawn, 'grow-a'), 'grow-b');
    expect(again.lock?.shards.map((shard) => shard.id)).toEqual([3]);
  });

  it('does not change the map when it is withdrawn before it was announced', () => {
    expect(withdraw(reserved(), 'grow-a').map).toEqual(two().map);
  });

  it('cannot be withdrawn, nor copied again by a workflow that was reset, after the flip', () => {
    const flipped = flip(announce(reserved(), 'grow-a'), 'grow-a');
    expect(codeOf(() => announce(flipped, 'grow-a'))).toBe('PointOfNoReturnPassed');
    expect(codeOf(() => confirmAnnounced(flipped, 'grow-a'))).toBe('PointOfNoReturnPassed');
    const announced = announce(reserved(), 'grow-a');
    expect(confirmAnnounced(announced, 'grow-a')).toBe(announced);
    expect(codeOf(() => withdraw(flipped, 'grow-a'))).toBe('PointOfNoReturnPassed');
  });

  it('cannot flip before it was announced, nor after it was withdrawn', () => {
    expect(codeOf(() => flip(reserved(), 'grow-a'))).toBe('OperationEnded');
    const withdrawn = withdraw(announce(reserved(), 'grow-a'), 'grow-a');
    expect(codeOf(() => flip(withdrawn, 'grow-a'))).toBe('OperationEnded');
    expect(codeOf(() => announce(withdrawn, 'grow-a'))).toBe('OperationEnded');
    expect(codeOf(() => confirmAnnounced(withdrawn, 'grow-a'))).toBe('OperationEnded');
  });

  it('does not get the lock again after it has ended, when a late repeat asks for it', () => {
    const over = ended(withdraw(reserved(), 'grow-a'), 'grow-a');
    expect(codeOf(() => reserved(over))).toBe('OperationEnded');
  });

  it('is refused when its shard has an address that is in the map, or when another shard is still moving', () => {
    expect(codeOf(() => reserved(two(), 'grow-b', 's1'))).toBe('ShardAlreadyInMap');
    const joining = changeByHand(two(), { change: 'join', shard: at('s2') }, null);
    expect(codeOf(() => reserved(joining, 'grow-b', 's3'))).toBe('JoinInProgress');
    const leaving = { ...two(), map: { ...two().map, leaving: [1] } };
    expect(codeOf(() => reserved(leaving, 'grow-b', 's3'))).toBe('LeaveInProgress');
  });
});

describe('the lock (INV-2)', () => {
  it('refuses a second operation and names the first', () => {
    expect(() => reserved(reserved(), 'grow-b', 's3')).toThrow(/grow-a/);
    expect(codeOf(() => reserved(reserved(), 'grow-b', 's3'))).toBe('OperationInProgress');
  });

  it.each<ManualChange>([
    { change: 'add', shard: at('s9') },
    { change: 'join', shard: at('s9') },
    { change: 'promote', id: 2 },
    { change: 'remove', id: 0 },
    { change: 'remove', id: 2 },
  ])('refuses the manual change %j', (change) => {
    expect(codeOf(() => changeByHand(announce(reserved(), 'grow-a'), change, null))).toBe('OperationInProgress');
  });

  it('refuses transitions of an operation that does not hold it, and ignores its release', () => {
    const state = reserved();
    expect(codeOf(() => announce(state, 'grow-b'))).toBe('NotLockHolder');
    expect(codeOf(() => flip(state, 'grow-b'))).toBe('NotLockHolder');
    expect(codeOf(() => withdraw(state, 'grow-b'))).toBe('NotLockHolder');
    expect(ended(state, 'grow-b')).toBe(state);
  });
});

describe('a manual change', () => {
  it('adds, joins, promotes and removes', () => {
    let state = changeByHand(two(), { change: 'add', shard: at('s2') }, null);
    expect(state).toMatchObject({ nextId: 3, map: { version: 2, joining: [] } });
    state = changeByHand(state, { change: 'join', shard: at('s3') }, null);
    expect(state).toMatchObject({ nextId: 4, map: { version: 3, joining: [3] } });
    state = changeByHand(state, { change: 'promote', id: 3 }, null);
    state = changeByHand(state, { change: 'remove', id: 0 }, null);
    expect(state.map.shards.map((shard) => shard.id)).toEqual([1, 2, 3]);
    expect(state.map.version).toBe(5);
  });

  it('beside a joining shard is refused when it adds another one', () => {
    const joining = changeByHand(two(), { change: 'join', shard: at('s2') }, null);
    expect(codeOf(() => changeByHand(joining, { change: 'join', shard: at('s3') }, null))).toBe('JoinInProgress');
    expect(codeOf(() => changeByHand(joining, { change: 'add', shard: at('s3') }, null))).toBe('JoinInProgress');
  });

  it('with an Idempotency-Key happens once, and the key is refused for anything else', () => {
    const change: ManualChange = { change: 'add', shard: at('s2') };
    const once = changeByHand(two(), change, 'k1');
    expect(changeByHand(once, change, 'k1')).toBe(once);
    expect(codeOf(() => changeByHand(once, { change: 'remove', id: 0 }, 'k1'))).toBe('IdempotencyKeyReused');
  });
});

describe('the state', () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('reserve' as const), op: fc.nat(3), shard: fc.nat(9) }),
    fc.record({
      do: fc.constantFrom('announce' as const, 'flip' as const, 'withdraw' as const, 'release' as const),
      op: fc.nat(3),
    }),
    fc.record({ do: fc.constantFrom('add' as const, 'join' as const), shard: fc.nat(9) }),
    fc.record({ do: fc.constantFrom('promote' as const, 'remove' as const), id: fc.nat(12) }),
  );
  type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
  const apply = (state: ClusterState, each: Step): ClusterState => {
    switch (each.do) {
      case 'reserve':
        return reserved(state, `grow-${each.op}`, `n${each.shard}`);
      case 'announce':
        return announce(state, `grow-${each.op}`);
      case 'flip':
        return flip(state, `grow-${each.op}`);
      case 'withdraw':
        return withdraw(state, `grow-${each.op}`);
      case 'release':
        return ended(state, `grow-${each.op}`);
      case 'add':
      case 'join':
        return changeByHand(state, { change: each.do, shard: at(`n${each.shard}`) }, null);
      case 'promote':
      case 'remove':
        return changeByHand(state, { change: each.do, id: each.id }, null);
    }
  };

  it('keeps INV-1 and INV-2 under any sequence of requests', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let state = two();
        const idsEver = new Map(state.map.shards.map((shard) => [shard.id, shard.primary_url]));
        for (const each of steps) {
          const before = state;
          try {
            state = apply(state, each);
          } catch (error) {
            if (!(error instanceof DomainError)) throw error;
            continue;
          }
          const sameMap =
            JSON.stringify(before.map.shards) === JSON.stringify(state.map.shards) &&
            JSON.stringify(before.map.joining) === JSON.stringify(state.map.joining);
          expect(state.map.version - before.map.version).toBe(sameMap ? 0 : 1);
          expect(state.nextId).toBeGreaterThanOrEqual(before.nextId);
          for (const shard of state.map.shards) {
            expect(shard.id).toBeLessThan(state.nextId);
            expect(idsEver.get(shard.id) ?? shard.primary_url).toBe(shard.primary_url);
            idsEver.set(shard.id, shard.primary_url);
          }
          expect(state.map.shards.length).toBeGreaterThan(0);
          expect(new Set(state.map.shards.map((shard) => shard.primary_url)).size).toBe(state.map.shards.length);
          if (before.lock !== null && state.lock !== null) expect(state.lock.operationId).toBe(before.lock.operationId);
        }
      }),
    );
  });

  it('goes through JSON unchanged, as continue-as-new sends it', () => {
    const state = changeByHand(
      ended(flip(announce(reserved(), 'grow-a'), 'grow-a'), 'grow-a'),
      { change: 'remove', id: 0 },
      'k',
    );
    expect(JSON.parse(JSON.stringify(state))).toEqual(state);
  });

  it('of a very long request remembers a digest, and knows its repeat by that', () => {
    const replica_urls = Array.from({ length: 32 }, (_, n) => `http://replica-${n}.example:6333`);
    const change = { change: 'add', shard: { ...at('long'), replica_urls } } as const;
    const once = changeByHand(seedState([at('s0')]), change, 'k1');
    expect(once.answered[0]?.request.length).toBeLessThan(50);
    expect(changeByHand(once, change, 'k1')).toBe(once);
    const other = { ...change, shard: { ...change.shard, replica_urls: replica_urls.toReversed() } };
    expect(codeOf(() => changeByHand(once, other, 'k1'))).toBe('IdempotencyKeyReused');
    // As a release of before remembered it.
    const before = { ...once, answered: [{ key: 'k1', request: JSON.stringify(change) }] };
    expect(changeByHand(before, change, 'k1')).toBe(before);
  });

  it('remembers a bounded number of operations and keys, the newest first', () => {
    let state = two();
    for (let n = 0; n < RECENT_OPERATIONS_MAX + 5; n++) state = ended(reserved(state, `grow-${n}`), `grow-${n}`);
    expect(state.operations).toHaveLength(RECENT_OPERATIONS_MAX);
    expect(state.operations[0]?.operationId).toBe(`grow-${RECENT_OPERATIONS_MAX + 4}`);
    for (let n = 0; n < ANSWERED_REQUESTS_MAX + 5; n++) {
      state = changeByHand(state, { change: 'add', shard: at(`a${n}`) }, `key-${n}`);
    }
    expect(state.answered).toHaveLength(ANSWERED_REQUESTS_MAX);
  });
});
