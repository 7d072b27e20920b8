import fc from 'fast-check';
import {
  ADOPTED,
  describeIdentity,
  identityPath,
  identityRefusal,
  isInternalCollection,
  joinerRefusal,
  judgeIdentity,
  parseIdentity,
  type ShardIdentity,
} from '../../src/domain/shard-identity';

const OURS: ShardIdentity = { clusterUid: 'uid-1', cluster: 'prod', shardId: 3, operationId: 'grow-a' };
const member = (change: Partial<ShardIdentity> = {}, epoch: number | null = 7) => ({
  identity: { ...OURS, ...change },
  epoch,
});

describe('identityPath and parseIdentity', () => {
  it('write what the protocol shows', () => {
    expect(identityPath(OURS)).toBe('cluster=prod;uid=uid-1;shard=3;operation=grow-a');
  });

  it('give back every identity, whatever its names hold', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1 });
    const identities = fc.record({ clusterUid: text, cluster: text, shardId: fc.maxSafeNat(), operationId: text });
    fc.assert(fc.property(identities, (identity) => expect(parseIdentity(identityPath(identity))).toEqual(identity)));
  });

  it('lets no name add a field', () => {
    const sly = { ...OURS, cluster: 'prod;uid=other;shard=0' };
    expect(parseIdentity(identityPath(sly))).toEqual(sly);
  });

  it.each([
    '',
    'x',
    'cluster=a;uid=b;shard=1',
    'cluster=a;uid=;shard=1;operation=c',
    'cluster=a;uid=b;shard=-1;operation=c',
    'cluster=a;uid=b;shard=9007199254740993;operation=c',
    'cluster=a;uid=b;shard=1;operation=%E0%A4%A',
    'cluster=a;uid=b;uid=c;shard=1;operation=c',
    'cluster=a=b;uid=b;shard=1;operation=c',
  ])('reads no identity from %p', (path) => {
    expect(parseIdentity(path)).toBeNull();
  });

  it('ignores a field of a later release', () => {
    expect(parseIdentity(`${identityPath(OURS)};zone=b`)).toEqual(OURS);
  });
});

describe('judgeIdentity', () => {
  const expected = (epoch: number | null) => ({ clusterUid: 'uid-1', shardId: 3, epoch });

  it.each([
    ['the same shard with the recorded epoch', 7, member(), 'same'],
    ['a later epoch, whose record was lost', 6, member(), 'same'],
    ['a claim without an epoch, before one was recorded', null, member({}, null), 'same'],
    ['none, and none was ever recorded', null, null, 'absent'],
    ['none, although one was recorded', 7, null, 'ShardLostData'],
    ['an older epoch', 8, member(), 'ShardLostData'],
    ['no epoch, although one was recorded', 1, member({}, null), 'ShardLostData'],
    ['another shard of this cluster', 7, member({ shardId: 4 }), 'WrongShard'],
    ['the same shard id of another cluster', 7, member({ clusterUid: 'uid-2' }), 'ShardOfAnotherCluster'],
    ['another cluster, when nothing was recorded', null, member({ clusterUid: 'uid-2' }), 'ShardOfAnotherCluster'],
  ] as const)('sees %s', (_name, epoch, seen, judged) => {
    expect(judgeIdentity(expected(epoch), seen)).toBe(judged);
  });

  it('says what was expected, what was seen and what to do', () => {
    const where = 'shard 3 (http://s3:6333)';
    const { message } = identityRefusal('ShardLostData', { where, expected: expected(8), seen: member() });
    expect(message).toContain('expected shard 3 (http://s3:6333) to be shard 3 of this cluster (uid-1) with epoch 8');
    expect(message).toContain('it shows shard 3 of cluster prod (uid-1), epoch 7');
    expect(message).toContain('Give it its own volume back');
  });
});

describe('joinerRefusal', () => {
  it('lets an operation find its own claim again', () => {
    expect(joinerRefusal(OURS, member({}, null), 'the joiner')).toBeNull();
    expect(joinerRefusal(OURS, member(), 'the joiner')).toBeNull();
  });

  it.each([
    ['a claim of another cluster', member({ clusterUid: 'uid-2', cluster: 'test' }, null), 'ShardClaimed'],
    ['a member of another cluster', member({ clusterUid: 'uid-2', cluster: 'test' }), 'ShardOfAnotherCluster'],
    ['a claim of another operation', member({ operationId: 'grow-b' }, null), 'ShardClaimed'],
    ['a former member', member({ operationId: ADOPTED, shardId: 1 }), 'ShardClaimed'],
  ])('refuses %s, and names cluster and shard', (_name, seen, code) => {
    const refusal = joinerRefusal(OURS, seen, 'the joiner http://j:6333');
    expect(refusal).toMatchObject({ code });
    expect(refusal?.message).toContain(`it shows ${describeIdentity(seen)}`);
  });
});

describe('isInternalCollection', () => {
  it.each([
    ['coordinator.identity', true],
    ['coordinator-probe-0123456789abcdef', true],
    ['coordinator-probe-', false],
    ['coordinator.identity2', false],
    ['docs', false],
  ])('says of %p: %p', (name, internal) => {
    expect(isInternalCollection(name)).toBe(internal);
  });
});
