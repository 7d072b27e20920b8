import { attentionForKept } from '../../src/domain/attention';
import { seedState, type ClusterState } from '../../src/domain/cluster-state';
import { beginCheck, endCheck, release, reserve, type OperationResult } from '../../src/domain/lock-transitions';
import { DEFAULT_POLICY, type Evaluation } from '../../src/domain/autoscale-policy';
import {
  clearNotice,
  keptNotice,
  noticesAtEnd,
  recordNotices,
  routerNotice,
  noEvaluationNotice,
  skewNotice,
  suspectOfShown,
  unknownRouterNotice,
  type NewNotice,
} from '../../src/domain/notices';
import type { RouterSuspect } from '../../src/domain/router-watch';
import type { ShardMap } from '../../src/domain/shard-map';
import { at, codeOf } from '../support/domain-builders';

const cluster = (): ClusterState => seedState([at('s0'), at('s1')]);
const given = (key: string, change: Partial<NewNotice> = {}): NewNotice => ({
  key,
  code: 'PointsKept',
  message: `about ${key}`,
  operationId: null,
  ...change,
});
const keysOf = (state: ClusterState): string[] => state.notices.map(({ key }) => key);

describe('recordNotices', () => {
  it('puts the newest first, and keeps the start of trouble that is known', () => {
    const first = recordNotices(recordNotices(cluster(), [given('a')], 10), [given('b')], 20);
    const again = recordNotices(first, [given('a', { message: 'still' })], 30);
    expect(again.notices).toMatchObject([
      { key: 'a', message: 'still', sinceMs: 10, lastSeenMs: 30 },
      { key: 'b', sinceMs: 20, lastSeenMs: 20 },
    ]);
  });

  it('keeps the newest 50, and texts of at most 500 characters', () => {
    const many = Array.from({ length: 60 }, (_, n) => given(`k${n}`, { message: 'm'.repeat(2_000) }));
    const state = many.reduce((known, each, n) => recordNotices(known, [each], n), cluster());
    expect(state.notices).toHaveLength(50);
    expect(state.notices[0]?.key).toBe('k59');
    expect(state.notices.every(({ message }) => message.length === 500)).toBe(true);
  });

  it('is plain JSON, and changes nothing when nothing is given', () => {
    const state = recordNotices(cluster(), [given('a', { leftovers: ['http://s9'] })], 10);
    expect(JSON.parse(JSON.stringify(state))).toEqual(state);
    expect(recordNotices(state, [], 20)).toBe(state);
  });
});

describe('a notice about a clock', () => {
  const skew = skewNotice('worker-1', 3_600_000, 'grow-a');

  it('says nothing about where points lie, and no clean check ends it', () => {
    const inOrder = { ...cluster(), isInOrder: true };
    const noticed = recordNotices(inOrder, [skew], 10);
    expect(noticed.isInOrder).toBe(true);
    const checked = noticesAtEnd(
      { ...noticed, isInOrder: false },
      { foundClean: { leftovers: [] } },
      { startedAtMs: 20, nowMs: 30 },
    );
    expect(keysOf(checked)).toEqual(['ClockSkew.worker-1']);
    expect(checked.isInOrder).toBe(true);
  });

  it('names the worker and how far its clock is off', () => {
    expect(skew.message).toContain('clock of worker worker-1');
    expect(skew.message).toContain('3600 s or more ahead');
    expect(skewNotice('w', -4_000, 'grow-a').message).toContain('4 s or more behind');
  });
});

describe('clearNotice', () => {
  it('removes the one with the key', () => {
    const state = recordNotices(cluster(), [given('a'), given('b')], 10);
    expect(keysOf(clearNotice(state, 'a'))).toEqual(['b']);
  });
  it('refuses a key that is not there', () => {
    expect(codeOf(() => clearNotice(cluster(), 'a'))).toBe('UnknownNotice');
  });
});

describe('the end of an operation', () => {
  const result = (operationId: string, change: Partial<OperationResult> = {}): OperationResult & { nowMs: number } => ({
    operationId,
    end: 'succeeded',
    code: null,
    pointsMoved: 0,
    message: 'done',
    nowMs: 100,
    ...change,
  });
  /** Noticed at 10; the check begins at `startedAtMs`. */
  const checking = (startedAtMs: number, notice = given('a')): ClusterState =>
    beginCheck(recordNotices(cluster(), [notice], 10), { operationId: 'check-a', nowMs: startedAtMs });
  const clean = (...leftovers: string[]) => ({ foundClean: { leftovers } });

  it('clears what was noticed before a check that found everything in place', () => {
    for (const code of ['PointsKept', 'RouterServesSeeds'] as const) {
      expect(keysOf(endCheck(checking(50, given('a', { code })), result('check-a', clean())))).toEqual([]);
    }
  });

  it('keeps it when the check found something', () => {
    expect(keysOf(endCheck(checking(50), result('check-a')))).toEqual(['a']);
  });

  it('keeps what was noticed, or was seen again, after the check began', () => {
    expect(keysOf(endCheck(checking(5), result('check-a', clean())))).toEqual(['a']);
    const again = recordNotices(checking(50), [given('a')], 60);
    expect(keysOf(endCheck(again, result('check-a', clean())))).toEqual(['a']);
  });

  it('keeps what is about a shard outside the map, unless the check read that one too', () => {
    const ofLeaver = checking(50, given('a', { leftovers: ['http://s9'] }));
    expect(keysOf(endCheck(ofLeaver, result('check-a', clean())))).toEqual(['a']);
    expect(keysOf(endCheck(ofLeaver, result('check-a', clean('http://s9'))))).toEqual([]);
  });

  it('records what the operation left with the release of its lock, once', () => {
    const held = reserve(cluster(), { operationId: 'repair-a', request: { kind: 'repair' }, nowMs: 50 });
    const notices = [keptNotice('repair-a', 'left', [])];
    const released = release(held, result('repair-a', { notices }));
    expect(released.notices).toMatchObject([{ key: 'PointsKept.repair-a', sinceMs: 100, operationId: 'repair-a' }]);
    const cleared = clearNotice(released, 'PointsKept.repair-a');
    expect(release(cleared, result('repair-a', { notices }))).toBe(cleared);
  });
});

describe('routerNotice', () => {
  const suspect: RouterSuspect = {
    url: 'http://r0:6333',
    seeds: 'live',
    fromMs: 0,
    untilMs: 1_000,
    what: 'showed version 0',
    shardUrls: ['http://s0:6333'],
  };

  it('says which router, when, where to, and what to do', () => {
    expect(routerNotice(suspect, 'grow-a')).toEqual({
      key: 'RouterServesSeeds.http_r0_6333',
      code: 'RouterServesSeeds',
      operationId: 'grow-a',
      message:
        'router http://r0:6333 may have written to http://s0:6333 what other shards own, from 1970-01-01T00:00:00.000Z until 1970-01-01T00:00:01.000Z: it showed version 0. ' +
        'Run POST /cluster/check. Start routers with one dead seed, QUIVER_CLUSTER_SHARDS=[http://127.0.0.1:9]: without a map they then refuse writes.',
    });
  });

  it('says what to do however long the rest is', () => {
    const { message } = routerNotice({ ...suspect, what: 'x'.repeat(5_000) }, null)!;
    expect(message.length).toBeLessThanOrEqual(500);
    expect(message).toMatch(/refuse writes\.$/);
  });

  it('is null when all seeds are dead, and not when they are unknown', () => {
    expect(routerNotice({ ...suspect, seeds: 'dead' }, null)).toBeNull();
    expect(routerNotice({ ...suspect, seeds: 'unknown', shardUrls: [] }, null)?.message).toContain(
      'to the shards of its own QUIVER_CLUSTER_SHARDS',
    );
  });
});

describe('suspectOfShown', () => {
  const map = (version: number, ...names: string[]): ShardMap => ({
    version,
    shards: names.map((name, id) => ({ id, ...at(name) })),
    joining: [],
    leaving: [],
  });
  const of = (shown: { version: number; map: ShardMap | null }, held = map(4, 's0', 's1')) =>
    suspectOfShown({ url: 'http://r0', shown, atMs: 7 }, held);
  const seeds = (...names: string[]) => ({ version: 0, map: map(0, ...names) });

  it('finds a router with other shards than the map has', () => {
    expect(of(seeds('s0'))).toMatchObject({ seeds: 'live', fromMs: 7, shardUrls: ['http://s0:6333'] });
    expect(of(seeds('s1', 's0'))).toMatchObject({ seeds: 'live' });
    expect(of({ version: 0, map: null })).toMatchObject({ seeds: 'live', shardUrls: [] });
  });

  it('finds a router with the shards of the map while one of them joins or leaves', () => {
    expect(of(seeds('s0', 's1'), { ...map(4, 's0', 's1'), joining: [1] })).not.toBeNull();
    expect(of(seeds('s0', 's1'), { ...map(4, 's0', 's1'), leaving: [1] })).not.toBeNull();
  });

  it('tells dead seeds from others', () => {
    const dead: ShardMap = { ...map(0), shards: [{ id: 0, primary_url: 'http://127.0.0.1:9', replica_urls: [] }] };
    expect(of({ version: 0, map: dead })).toMatchObject({ seeds: 'dead' });
  });

  it.each([
    ['has the very shards of the map', seeds('s0', 's1'), map(4, 's0', 's1')],
    ['holds a later version', { version: 1, map: map(1, 's0') }, map(4, 's0', 's1')],
    ['is of a cluster that is at version 0 itself', seeds('s0'), map(0, 's0', 's1')],
  ])('finds nothing wrong with a router that %s', (_what, shown, held) => {
    expect(of(shown, held)).toBeNull();
  });
});

describe('attentionForKept', () => {
  it('is empty when nothing was kept', () => {
    expect(attentionForKept('drain', { points: 0, leavers: ['http://s9'] })).toEqual([]);
  });
  it('names the call that mends it, with the shard that left', () => {
    expect(attentionForKept('drain', { points: 3, leavers: ['http://s9'] })).toMatchObject([
      { points: 3, mendedBy: 'POST /cluster/repair {"leftovers":[{"primary_url":"http://s9"}]}' },
    ]);
    expect(attentionForKept('grow', { points: 3, leavers: [] })).toMatchObject([{ mendedBy: 'POST /cluster/repair' }]);
    expect(attentionForKept('repair', { points: 3, leavers: [] })[0]?.mendedBy).toContain('prefer');
  });
});

describe('noEvaluationNotice', () => {
  const policy = { ...DEFAULT_POLICY, enabled: true, intervalSecs: 30 };
  const at = (atMs: number): Evaluation => ({
    atMs,
    reason: 'below_mark',
    message: '',
    pointsMax: 0,
    unreadable: [],
    operationId: null,
    refusal: null,
  });

  it.each([
    ['none was missed', [at(1_000_000)], 0, 1_090_000, false],
    ['more than three were missed', [at(1_000_000)], 0, 1_090_001, true],
    ['there never was one, and the policy has just been enabled', [], 1_000_000, 1_090_000, false],
    ['there never was one', [], 1_000_000, 1_090_001, true],
    ['nobody watched when the last one was', [at(1_000_000)], 1_050_000, 1_100_000, false],
  ])('where %s: %j', (_what, evaluations, watchedSinceMs, nowMs, isMissing) => {
    const notice = noEvaluationNotice({ policy, evaluations }, { watchedSinceMs, nowMs });
    expect(notice === null).toBe(!isMissing);
    if (notice !== null) expect(notice.message).toMatch(/every 30 s, the last one was (never|at 1970-)/);
  });

  it('is none while the policy is disabled', () => {
    const state = { policy: { ...policy, enabled: false }, evaluations: [] };
    expect(noEvaluationNotice(state, { watchedSinceMs: 0, nowMs: 1e12 })).toBeNull();
  });
});

describe('a notice about unknown routers', () => {
  it('names a few pollers, counts the others, and keeps its advice within 500 characters', () => {
    const pollers = Array.from({ length: 10_000 }, (_, n) => ({ address: `10.0.0.${n}`, keyId: 'k'.repeat(400) }));
    const { message } = unknownRouterNotice(pollers);
    expect(message.length).toBeLessThanOrEqual(500);
    expect(message).toMatch(/^expected every poller of the map.*\(PATCH \/cluster\/routers\), or stop what polls$/);
    expect(unknownRouterNotice(pollers.slice(0, 1)).message).toContain('found 1 that is not: 10.0.0.0 (key k');
  });

  it('says nothing about points: a cluster in order stays so', () => {
    const state = { ...cluster(), isInOrder: true };
    const notice = unknownRouterNotice([{ address: '10.0.0.1', keyId: 'read' }]);
    expect(recordNotices(state, [notice], 1)).toMatchObject({ isInOrder: true, notices: [{ key: 'UnknownRouter' }] });
  });
});
