import type { OperationRecord } from '../../src/domain/cluster-state';
import { HOOK_WAIT_MS, newsOf, normalizeHookUrl, replaceHooks, type SeenByHooks } from '../../src/domain/hooks';
import { recordOf } from '../support/an-operation';

const NOW_MS = Date.UTC(2026, 0, 3);
const seenOf = (change: Partial<SeenByHooks> = {}): SeenByHooks => ({
  operations: [],
  notices: [],
  waits: {},
  ...change,
});
const toldOf = (seen: SeenByHooks, nowMs = NOW_MS) => newsOf(null, seen, nowMs).told;
const started = (operationId: string, startedAtMs: number, change: Partial<OperationRecord> = {}) =>
  recordOf({ operationId, startedAtMs, ...change });
const eventsOf = (told: ReturnType<typeof toldOf>, seen: SeenByHooks, nowMs = NOW_MS) =>
  newsOf(told, seen, nowMs).news.map(({ event, operation, notice }) => [event, operation?.id ?? notice?.key]);
const ENDED = { end: 'succeeded', endedAtMs: 9 } as const;

describe('what is news to hooks', () => {
  it('is nothing of what was there before the first look', () => {
    const seen = seenOf({ operations: [started('grow-a', 5)] });
    expect(newsOf(null, seen, NOW_MS).news).toEqual([]);
    expect(newsOf(toldOf(seen), seen, NOW_MS).news).toEqual([]);
  });

  it('is the start and the end of each operation, once, also when both came between two looks', () => {
    const before = toldOf(seenOf({ operations: [started('grow-a', 5)] }));
    const seen = seenOf({
      operations: [started('check-c', 7), started('grow-b', 6, ENDED), started('grow-a', 5, ENDED)],
    });
    expect(eventsOf(before, seen)).toEqual([
      ['operation.ended', 'grow-a'],
      ['operation.started', 'grow-b'],
      ['operation.ended', 'grow-b'],
      ['operation.started', 'check-c'],
    ]);
    const after = newsOf(before, seen, NOW_MS);
    expect(newsOf(after.told, seen, NOW_MS).news).toEqual([]);
    expect(new Set(after.news.map(({ id }) => id)).size).toBe(4);
    expect(newsOf(before, seen, NOW_MS + 1).news).toEqual(after.news);
  });

  it('is an operation that began in the same millisecond as one that was told', () => {
    const before = toldOf(seenOf({ operations: [started('check-a', 5)] }));
    const seen = seenOf({ operations: [started('check-b', 5), started('check-a', 5)] });
    expect(eventsOf(before, seen)).toEqual([['operation.started', 'check-b']]);
  });

  it('is a wait that has lasted for half a minute, once, and the next one again', () => {
    const operations = [started('grow-a', 5)];
    const waitingSince = (sinceMs: number) =>
      seenOf({ operations, waits: { 'grow-a': { reason: 'no answer', sinceMs } } });
    const before = toldOf(seenOf({ operations }));
    const first = waitingSince(NOW_MS);
    expect(eventsOf(before, first, NOW_MS + HOOK_WAIT_MS - 1)).toEqual([]);
    const { news, told } = newsOf(before, first, NOW_MS + HOOK_WAIT_MS);
    expect(news).toMatchObject([{ event: 'operation.waiting', operation: { id: 'grow-a', message: 'no answer' } }]);
    expect(eventsOf(told, first, NOW_MS + 2 * HOOK_WAIT_MS)).toEqual([]);
    expect(eventsOf(told, waitingSince(NOW_MS + 1), NOW_MS + 2 * HOOK_WAIT_MS)).toHaveLength(1);
  });

  it('is a notice when it begins, and again when it comes back, not while it lasts', () => {
    const notice = { key: 'ClockSkew.w', code: 'ClockSkew', message: 'set it', operationId: null } as const;
    const at = (sinceMs: number, lastSeenMs = sinceMs) => seenOf({ notices: [{ ...notice, sinceMs, lastSeenMs }] });
    const { told, news } = newsOf(toldOf(seenOf()), at(1), NOW_MS);
    expect(news).toMatchObject([
      { event: 'notice', notice: { key: 'ClockSkew.w', code: 'ClockSkew', message: 'set it' } },
    ]);
    expect(eventsOf(told, at(1, 2))).toEqual([]);
    expect(eventsOf(told, at(3))).toEqual([['notice', 'ClockSkew.w']]);
  });
});

describe('the hooks', () => {
  const url = 'http://a/';
  const HOOK = { url, events: ['notice'], sealed: 'sealed', problem: { reason: 'r', sinceMs: 1 } } as const;

  it('keep the secret of a URL that is given without one, and lose it for null', () => {
    const sealedOf = (sealed?: string | null): string | null =>
      replaceHooks([HOOK], [{ url, events: ['notice'], ...(sealed === undefined ? {} : { sealed }) }])[0]!.sealed;
    expect([sealedOf(), sealedOf('other'), sealedOf(null)]).toEqual(['sealed', 'other', null]);
    expect(replaceHooks([HOOK], [{ url: 'http://b/', events: ['notice'] }])).toMatchObject([{ sealed: null }]);
  });

  it('are 16 at most, each URL once', () => {
    const many = Array.from({ length: 17 }, (_, n) => ({ url: `http://h${n}/`, events: ['notice'] as const }));
    expect(() => replaceHooks([], many)).toThrow(/16 hooks at most, got 17/);
    expect(replaceHooks([], many.slice(1))).toHaveLength(16);
    expect(() => replaceHooks([], [many[0]!, many[0]!])).toThrow(/each URL once/);
  });

  it.each(['ftp://a/', 'http://u:p@a/', 'http://a/?token=x', 'http://a/#x', 'a', `http://a/${'x'.repeat(1_000)}`])(
    'have no URL like %s',
    (text) => {
      expect(() => normalizeHookUrl(text)).toThrow(/must be like http/);
    },
  );

  it('keep the path of a URL as it is', () => {
    expect(normalizeHookUrl('HTTPS://A:443/b/')).toBe('https://a/b/');
  });
});
