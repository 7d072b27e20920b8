import { readState, seedState, type ClusterState } from '../../src/domain/cluster-state';
import {
  adoptIdentities,
  bringUid,
  pruneMembers,
  recordEpochs,
  removeIdentities,
} from '../../src/domain/identity-transitions';
import { beginCheck, flip, announce, release, reserve } from '../../src/domain/lock-transitions';
import { changeByHand } from '../../src/domain/manual-changes';
import { at, codeOf } from '../support/domain-builders';

const two = (): ClusterState => seedState([at('s0'), at('s1')]);
const grown = (state: ClusterState, operationId = 'grow-a'): ClusterState => {
  const shards = [{ ...at('s2'), grpc_url: 'http://s2:7000' }];
  return reserve(state, { operationId, request: { kind: 'grow', shards, fromStandby: false }, nowMs: 1 });
};
const DONE = { end: 'succeeded', code: null, pointsMoved: 0, message: '', nowMs: 2 } as const;

describe('the epoch', () => {
  it('rises with every operation and every check, but not with a repeat, and the lock carries it', () => {
    const first = grown(two());
    expect([first.epoch, first.lock?.epoch]).toEqual([1, 1]);
    expect(grown(first)).toBe(first);
    const checked = beginCheck(two(), { operationId: 'check-a', nowMs: 1 });
    expect(checked.epoch).toBe(1);
    expect(beginCheck(checked, { operationId: 'check-a', nowMs: 1 })).toBe(checked);
  });

  it('is remembered per member, never lower than before, and forgotten with the member', () => {
    const state = recordEpochs(recordEpochs(two(), { 0: 5, 1: 5 }), { 0: 4, 1: 6, 9: 6 });
    expect(state.members).toEqual({ 0: { epoch: 5 }, 1: { epoch: 6 } });
    const removed = pruneMembers(changeByHand(state, { change: 'remove', id: 1 }, null));
    expect(removed.members).toEqual({ 0: { epoch: 5 } });
  });
});

describe('a gRPC address', () => {
  it('is kept beside the map, from the reservation on, and never in it', () => {
    const reserved = grown(two());
    expect(reserved.members).toEqual({ 2: { epoch: null, grpcUrl: 'http://s2:7000' } });
    const member = flip(announce(reserved, 'grow-a'), 'grow-a');
    expect(JSON.stringify(member.map)).not.toContain('grpc');
    expect(pruneMembers(release(member, { ...DONE, operationId: 'grow-a' })).members).toEqual(reserved.members);
    expect(pruneMembers(release(reserved, { ...DONE, operationId: 'grow-a' })).members).toEqual({});
  });

  it('goes when the machine moves, unless the new one is given', () => {
    const state = changeByHand(two(), { change: 'add', shard: { ...at('s2'), grpc_url: 'http://s2:7000' } }, null);
    const moved = (address: object) =>
      changeByHand(state, { change: 'replaceAddress', id: 2, address }, null).members[2];
    expect(moved(at('s9'))).toEqual({ epoch: null });
    expect(moved({ ...at('s9'), grpc_url: 'http://s9:1' })).toEqual({ epoch: null, grpcUrl: 'http://s9:1' });
    expect(moved({ replica_urls: [] })).toEqual({ epoch: null, grpcUrl: 'http://s2:7000' });
  });
});

describe('identities that were removed', () => {
  it('refuse operations until they are adopted again, and then count as never recorded', () => {
    const removed = removeIdentities(recordEpochs(bringUid(two(), 'uid-1'), { 0: 5, 1: 5 }));
    expect(codeOf(() => grown(removed))).toBe('IdentitiesRemoved');
    expect(codeOf(() => beginCheck(removed, { operationId: 'check-a', nowMs: 1 }))).toBe('IdentitiesRemoved');
    const checking = beginCheck(two(), { operationId: 'check-a', nowMs: 1 });
    const given = removeIdentities(checking);
    expect(codeOf(() => beginCheck(given, { operationId: 'check-a', nowMs: 1 }))).toBe('IdentitiesRemoved');
    const adopted = adoptIdentities(removed);
    expect(adopted).toMatchObject({ identity: { uid: 'uid-1', removed: false }, members: { 0: { epoch: null } } });
    expect(codeOf(() => grown(adopted))).toBe('no error');
  });
});

describe('the uid', () => {
  it('is the first one that is brought', () => {
    expect(bringUid(bringUid(two(), 'uid-1'), 'uid-2').identity.uid).toBe('uid-1');
    expect(bringUid(two(), null).identity.uid).toBeNull();
  });
});

describe('a state of release 0.2', () => {
  it('is read with defaults', () => {
    const { map, nextId, lock, operations, answered } = two();
    expect(readState({ map, nextId, lock, operations, answered })).toEqual(two());
  });
});
