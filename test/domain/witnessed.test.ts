import { EPOCHS_LEFT_OUT } from '../../src/domain/members';
import fc from 'fast-check';
import { seedState, type ClusterState } from '../../src/domain/cluster-state';
import { catchUp, isBehind, laterWitnessed, witnessedPart, type WitnessedState } from '../../src/domain/witnessed';
import { announce, flip, release, reserve, withdraw } from '../../src/domain/lock-transitions';
import { seedRouters, setRouters } from '../../src/domain/router-list';
import { changeByHand } from '../../src/domain/manual-changes';
import { IDS_LEFT_OUT, newestKnown, restoredState, type KnownState } from '../../src/domain/restored-state';
import type { ShardAddress } from '../../src/domain/shard-map';

const at = (name: string): ShardAddress => ({ primary_url: `http://${name}:6333`, replica_urls: [] });
const two = (): ClusterState => seedState([at('s0'), at('s1')]);
const added = (state: ClusterState, name: string): ClusterState =>
  changeByHand(state, { change: 'add', shard: at(name) }, null);
const removed = (state: ClusterState, id: number): ClusterState => changeByHand(state, { change: 'remove', id }, null);
const growing = (state: ClusterState, name: string): ClusterState => {
  const request = { kind: 'grow', shards: [at(name)], fromStandby: false } as const;
  return announce(reserve(state, { operationId: 'grow-a', request, nowMs: 1 }), 'grow-a');
};

describe('a state beside the witnessed one', () => {
  it('is not behind while it goes forward, whatever changes', () => {
    const states = [two(), added(two(), 's2'), growing(added(two(), 's2'), 's3')];
    states.push(flip(states[2]!, 'grow-a'));
    for (const [index, state] of states.entries()) {
      for (const earlier of states.slice(0, index + 1)) expect(isBehind(state, witnessedPart(earlier))).toBe(false);
      for (const later of states.slice(index + 1)) expect(isBehind(state, witnessedPart(later))).toBe(true);
    }
  });

  it('is behind when the same version means another map, but not when only the order of JSON fields differs', () => {
    const witnessed = witnessedPart(added(two(), 's2'));
    expect(isBehind(removed(two(), 1), witnessed)).toBe(true);
    const shards = witnessed.map.shards.map(({ id, primary_url, replica_urls }) => ({ replica_urls, primary_url, id }));
    expect(isBehind({ ...witnessed, map: { ...witnessed.map, shards } }, witnessed)).toBe(false);
  });

  it.each<[string, (map: WitnessedState['map']) => WitnessedState['map']]>([
    ['address', (map) => ({ ...map, shards: [{ ...map.shards[0]!, primary_url: 'http://x' }, map.shards[1]!] })],
    ['replica', (map) => ({ ...map, shards: [{ ...map.shards[0]!, replica_urls: ['http://x'] }, map.shards[1]!] })],
    ['order of its shards', (map) => ({ ...map, shards: [...map.shards].reverse() })],
    ['joining shard', (map) => ({ ...map, joining: [1] })],
    ['leaving shard', (map) => ({ ...map, leaving: [1] })],
  ])('is behind when under the same version it has another %s', (_what, change) => {
    expect(isBehind({ ...two(), map: change(two().map) }, witnessedPart(two()))).toBe(true);
  });

  it('is behind when it has given out fewer ids, although changes since the rewind have brought its version above', () => {
    const witnessed = witnessedPart(added(two(), 's2'));
    let forked = two();
    for (let n = 0; n < 3; n++)
      forked = changeByHand(forked, { change: 'replaceAddress', id: 0, address: at(`m${n}`) }, null);
    expect(forked.map.version).toBeGreaterThan(witnessed.map.version);
    expect(isBehind(forked, witnessed)).toBe(true);
    expect(catchUp(forked, witnessed).map.version).toBe(forked.map.version + 1);
  });
});

describe('catchUp', () => {
  it('puts back a list of routers that was made by hand', () => {
    const witnessed = witnessedPart(setRouters(added(two(), 's2'), ['http://r0']));
    expect(catchUp(seedRouters(two(), ['http://r9']), witnessed).routers).toEqual(witnessed.routers);
    const seeded = seedRouters(two(), ['http://r9']);
    expect(catchUp(seeded, witnessedPart(added(two(), 's2'))).routers).toEqual(seeded.routers);
  });

  it('puts back map, ids and lock as they were witnessed, one version above, and keeps the rest', () => {
    const before = { ...two(), autoscale: { ...two().autoscale, streak: 3 } };
    const witnessed = witnessedPart(growing(before, 's2'));
    const caught = catchUp(before, witnessed);
    expect(caught.map).toEqual({ ...witnessed.map, version: witnessed.map.version + 1 });
    expect(caught).toMatchObject({ nextId: 3, lock: witnessed.lock, autoscale: { streak: 3 } });
    expect(isBehind(caught, witnessed)).toBe(false);
  });

  describe('of a standby', () => {
    const standby = { ...at('s2'), addedAtMs: 0, unusable: null };
    const pooled: ClusterState = { ...two(), autoscale: { ...two().autoscale, standbys: [standby] } };
    const request = { kind: 'grow', shards: [at('s2')], fromStandby: true } as const;
    const taken = announce(reserve(pooled, { operationId: 'grow-a', request, nowMs: 1 }), 'grow-a');
    const undone = release(withdraw(taken, 'grow-a'), {
      operationId: 'grow-a',
      end: 'cancelled',
      code: null,
      pointsMoved: 0,
      message: '',
      nowMs: 2,
    });

    it('gives it back when the grow that had taken it is no longer in the witnessed state', () => {
      const caught = catchUp(taken, witnessedPart(undone));
      expect(caught.lock).toBeNull();
      expect(caught.autoscale.standbys).toEqual([standby]);
    });

    it('does not give it back when it is in the witnessed map', () => {
      expect(catchUp(taken, witnessedPart(flip(taken, 'grow-a'))).autoscale.standbys).toEqual([]);
    });

    it('takes it out of the pool again when the witnessed lock has it', () => {
      const caught = catchUp(pooled, witnessedPart(taken));
      expect(caught.lock?.standby?.standby).toEqual(standby);
      expect(caught.autoscale.standbys).toEqual([]);
    });

    it('gives it back when a state without the grow is restored', () => {
      const { map, nextId } = witnessedPart(undone);
      const restored = restoredState({ request: { map, nextId, lock: null }, known: [], versionSeen: 0, ended: taken });
      expect(restored.autoscale.standbys).toEqual([standby]);
    });
  });

  it('takes the lock from an operation that got it on the rewound state', () => {
    const usurped = growing(two(), 's2');
    const witnessed = witnessedPart(added(added(two(), 's3'), 's4'));
    expect(catchUp(usurped, witnessed).lock).toBeNull();
  });

  it('changes nothing in a state that is not behind, so that a repeat is harmless', () => {
    const state = added(two(), 's2');
    expect(catchUp(state, witnessedPart(two()))).toBe(state);
    const caught = catchUp(two(), witnessedPart(state));
    expect(catchUp(caught, witnessedPart(state))).toBe(caught);
  });
});

describe('laterWitnessed', () => {
  const versions = fc.array(fc.record({ version: fc.nat(5), nextId: fc.nat(5) }), { minLength: 1, maxLength: 12 });

  it('never lowers version or next id, in whatever order states arrive', () => {
    fc.assert(
      fc.property(versions, (offers) => {
        let kept: WitnessedState | null = null;
        for (const { version, nextId } of offers) {
          const before: WitnessedState | null = kept;
          kept = laterWitnessed(kept, { map: { ...two().map, version }, nextId, lock: null });
          if (before === null) continue;
          expect(kept.map.version).toBeGreaterThanOrEqual(before.map.version);
          expect(kept.nextId).toBeGreaterThanOrEqual(before.nextId);
        }
      }),
    );
  });

  it('keeps a list of routers that was made by hand, also where a worker of before offers none', () => {
    const listed = witnessedPart(setRouters(two(), ['http://r0']));
    const later = laterWitnessed(listed, witnessedPart(added(two(), 's2')));
    expect(later).toMatchObject({ map: { version: 2 }, routers: { entries: ['http://r0'], isByHand: true } });
    expect(laterWitnessed(later, listed)).toBe(later);
    const changed = witnessedPart(setRouters(added(two(), 's2'), ['http://r1']));
    expect(laterWitnessed(later, changed)).toBe(changed);
    expect(witnessedPart(seedRouters(two(), ['http://r0'])).routers).toBeUndefined();
  });

  it('keeps the first of two maps under one version', () => {
    const first = witnessedPart(added(two(), 's2'));
    expect(laterWitnessed(first, witnessedPart(added(two(), 's3')))).toBe(first);
  });
});

describe('a restored state', () => {
  const own = (state: ClusterState, source: KnownState['source'] = 'cluster workflow'): KnownState => ({
    source,
    where: 'w',
    ...witnessedPart(state),
  });
  const ofRouter = (state: ClusterState): KnownState => ({ ...own(state, 'router'), nextId: null, lock: null });

  it('is taken from the latest version, and from the source that knows more when two are equally late', () => {
    const [older, later] = [own(two()), ofRouter(added(two(), 's2'))];
    expect(newestKnown([older, later])).toBe(later);
    const witnessed = own(added(two(), 's2'), 'published workflow');
    expect(newestKnown([later, witnessed, older])).toBe(witnessed);
    expect(newestKnown([])).toBeNull();
  });

  it('is taken from the witness when the ended workflow had been rewound and gone its own way', () => {
    const witnessed = own(added(two(), 's2'), 'published workflow');
    const sameVersion = own(added(two(), 's3'));
    const laterVersion = own(removed(removed(added(two(), 's3'), 0), 1));
    expect(newestKnown([sameVersion, witnessed])).toBe(witnessed);
    expect(newestKnown([{ ...laterVersion, nextId: 2 }, witnessed])).toBe(witnessed);
    expect(newestKnown([own(added(two(), 's2')), witnessed])?.source).toBe('cluster workflow');
  });

  it('keeps map, ids, lock, records and policy of the ended workflow, one version above', () => {
    const ended = growing(two(), 's2');
    const restored = restoredState({ request: own(ended), known: [own(ended)], versionSeen: 0, ended });
    const epoch = ended.epoch + EPOCHS_LEFT_OUT;
    expect(restored).toEqual({ ...ended, epoch, map: { ...ended.map, version: ended.map.version + 1 } });
  });

  it('knows whose its shards are from whoever remembers it, whichever map is restored', () => {
    const identity = { uid: 'uid-1', removed: false };
    const record: KnownState = { ...own(two()), source: 'published workflow', identity, epoch: 7 };
    const router = ofRouter(two());
    const restored = restoredState({ request: router, known: [router, record], versionSeen: 0, ended: null });
    expect(restored).toMatchObject({ identity, epoch: 7 + EPOCHS_LEFT_OUT });
  });

  it('has the list of routers that was made by hand, whichever map is restored', () => {
    const record = own(setRouters(two(), ['http://r0']), 'published workflow');
    const router = ofRouter(two());
    const restored = restoredState({ request: router, known: [router, record], versionSeen: 0, ended: null });
    expect(restored.routers).toEqual({ entries: ['http://r0'], isByHand: true });
    // The ended workflow knew later than what was recorded of it.
    const ended = setRouters(two(), []);
    const known = [own(ended), record];
    expect(restoredState({ request: own(ended), known, versionSeen: 0, ended }).routers?.entries).toEqual([]);
    expect(restoredState({ request: router, known: [router], versionSeen: 0, ended: null }).routers).toBeUndefined();
  });

  it('is above every known version, also of maps that were not taken', () => {
    const state = two();
    const later = ofRouter({ ...state, map: { ...state.map, version: 6 } });
    const given = own(state);
    expect(restoredState({ request: given, known: [later], versionSeen: 2, ended: null }).map.version).toBe(7);
    expect(restoredState({ request: given, known: [later], versionSeen: 9, ended: null }).map.version).toBe(10);
    expect(
      restoredState({ request: own(added(state, 's2')), known: [], versionSeen: 0, ended: null }).map.version,
    ).toBe(3);
  });

  it('never gives out an id again that is known to be taken (INV-1)', () => {
    const many = added(added(two(), 's2'), 's3');
    const request = own(two());
    expect(restoredState({ request, known: [own(many)], versionSeen: 0, ended: null }).nextId).toBe(4);
    expect(restoredState({ request, known: [ofRouter(many)], versionSeen: 0, ended: null }).nextId).toBe(4);
    expect(restoredState({ request, known: [], versionSeen: 0, ended: removed(many, 3) }).nextId).toBe(4);
  });

  it('leaves ids out when its map is a router’s, because a map does not show removed ids', () => {
    const map = ofRouter(added(two(), 's2'));
    expect(restoredState({ request: map, known: [map], versionSeen: 0, ended: null }).nextId).toBe(3 + IDS_LEFT_OUT);
    const older = own({ ...two(), nextId: 40 });
    expect(restoredState({ request: map, known: [map, older], versionSeen: 0, ended: null }).nextId).toBe(
      40 + IDS_LEFT_OUT,
    );
  });
});
