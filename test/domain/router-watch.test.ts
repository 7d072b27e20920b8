import { hasChanged, isDeadSeed, judgeList, judgeWatch, type WatchedRouterState } from '../../src/domain/router-watch';

const NOW_MS = 100_000;
const URL = 'http://r0:6333';
const DEAD = 'http://127.0.0.1:9';
const question = { sinceMs: 50_000, version: 7, routersFailClosed: false };
const failClosed = { ...question, routersFailClosed: true };

const router = (change: Partial<WatchedRouterState> = {}): WatchedRouterState => ({
  url: URL,
  connectedSinceMs: 10_000,
  version: 7,
  lastAnswerAtMs: NOW_MS - 300,
  problem: null,
  breakCount: 0,
  breaks: [],
  servedSeeds: [],
  ...change,
});
const judge = (change: Partial<WatchedRouterState>, asked = question) =>
  judgeWatch({ atMs: NOW_MS, routers: [router(), router(change)] }, asked);
const broken = { breakCount: 1, breaks: [{ atMs: 60_000, reason: 'other side closed' }], connectedSinceMs: 60_100 };
const seeds = (shardUrls: readonly string[], atMs = 60_000, version = 0) => ({
  servedSeeds: [{ atMs, lastAtMs: atMs, version, shardUrls }],
});

describe('judgeWatch', () => {
  it('is unbroken when every connection has lived since before, and the last answer is fresh and of the version', () => {
    expect(judge({})).toEqual({ unbroken: true });
    expect(judge({ connectedSinceMs: question.sinceMs })).toEqual({ unbroken: true });
  });

  it('is unbroken without routers, where nothing could be watched', () => {
    expect(judgeWatch({ atMs: NOW_MS, routers: [] }, question)).toEqual({ unbroken: true });
  });

  it('forgets a break from before the time that is asked about', () => {
    expect(judge({ breakCount: 1, breaks: [{ atMs: 9_000, reason: 'reset' }] })).toEqual({ unbroken: true });
  });

  it.each([
    ['is younger', broken, 'was not watched all the time'],
    ['is not there', { connectedSinceMs: null, problem: 'refused', version: null }, 'it is not connected'],
  ])('is broken when a connection %s', (_what, change, reason) => {
    const judgement = judge(change);
    expect(judgement).toMatchObject({ unbroken: false, suspects: [{ url: URL, seeds: 'unknown' }] });
    expect(judgement).toHaveProperty('reasons', expect.arrayContaining([expect.stringContaining(reason)]));
  });

  it.each([
    ['is too old', { lastAnswerAtMs: NOW_MS - 2_001 }, 'has not answered for 2.0 s'],
    ['was refused', { problem: '401 wrong key' }, '401 wrong key'],
    ['is of an older version', { version: 6 }, 'holds version 6, expected 7'],
    ['is of a later version', { version: 8 }, 'holds version 8, expected 7'],
  ])('is broken, and suspects nobody, when the last answer %s on a connection that lives', (_what, change, reason) => {
    for (const asked of [question, failClosed]) {
      const judgement = judge(change, asked);
      expect(judgement).toMatchObject({ unbroken: false, suspects: [] });
      expect(judgement).toHaveProperty('reasons.0', expect.stringContaining(reason));
    }
  });

  it('is broken by a map that goes back on a connection that lives, as behind a proxy', () => {
    for (const asked of [question, failClosed]) {
      expect(judge(seeds(['http://s0'], 60_000, 5), asked)).toMatchObject({
        unbroken: false,
        suspects: [{ url: URL, seeds: 'live', fromMs: 60_000, untilMs: NOW_MS - 300, shardUrls: ['http://s0'] }],
      });
    }
  });

  it('takes the version that is expected for no seeds, also where it is 0', () => {
    const atZero = { ...question, version: 0 };
    const all = { atMs: NOW_MS, routers: [router({ version: 0, ...seeds(['http://s0']) })] };
    expect(judgeWatch(all, atZero)).toEqual({ unbroken: true });
  });

  it('forgets seeds that were last shown before the time that is asked about', () => {
    expect(judge(seeds(['http://s0'], 49_000))).toEqual({ unbroken: true });
  });

  describe('where routers fail closed', () => {
    it('forgives a break when the router holds the version again', () => {
      expect(judge(broken, failClosed)).toEqual({ unbroken: true });
    });

    it('forgives seeds that are dead', () => {
      expect(judge({ ...broken, ...seeds([DEAD]) }, failClosed)).toEqual({ unbroken: true });
    });

    it.each([
      ['one live seed beside a dead one', [DEAD, 'http://s0:6333']],
      ['a map that could not be read', []],
    ])('does not forgive %s', (_what, shown) => {
      expect(judge({ ...broken, ...seeds(shown) }, failClosed)).toMatchObject({
        unbroken: false,
        suspects: [{ seeds: 'live', fromMs: 60_000 }],
      });
    });

    it.each([
      ['has no connection', { connectedSinceMs: null }],
      ['has not answered on its new one', { connectedSinceMs: NOW_MS - 100 }],
    ])('does not take the last answer of a dead process for one of a router that %s', (_what, change) => {
      expect(judge({ ...broken, ...change }, failClosed)).toMatchObject({
        unbroken: false,
        suspects: [],
      });
      expect(judge({ ...broken, ...change })).toMatchObject({ unbroken: false, suspects: [{ untilMs: null }] });
    });

    it('does not forgive a router that is not back', () => {
      expect(judge({ connectedSinceMs: null, problem: 'refused' }, failClosed)).toMatchObject({ unbroken: false });
    });
  });

  it('says of a router with a break and dead seeds that they are dead', () => {
    expect(judge({ ...broken, ...seeds([DEAD]) })).toMatchObject({ unbroken: false, suspects: [{ seeds: 'dead' }] });
  });

  it('stays small with a thousand routers that all answer long texts', () => {
    const change = { ...broken, ...seeds([`http://${'s'.repeat(150)}`]), problem: 'x'.repeat(5_000), version: 1 };
    const routers = Array.from({ length: 1_000 }, () => router(change));
    expect(JSON.stringify(judgeWatch({ atMs: NOW_MS, routers }, question)).length).toBeLessThan(16_000);
  });
});

describe('isDeadSeed', () => {
  it.each([DEAD, 'http://127.0.0.1:9/', 'http://localhost:9', 'http://[::1]:9', 'http://none.invalid:6333'])(
    'is true of %s',
    (url) => expect(isDeadSeed(url)).toBe(true),
  );
  it.each([
    'http://127.0.0.1:90',
    'http://s0:9',
    'http://127.0.0.1:6333',
    'http://invalid.example',
    'http://user.invalid@s0:6333',
    'http://s0/x.invalid',
  ])('is false of %s', (url) => expect(isDeadSeed(url)).toBe(false));
});

describe('judgeList', () => {
  const entry = 'dns+http://r:6333';
  const found = (...urls: string[]) => ({ routers: urls.map((url) => ({ url, entry })), unknown: [] });
  const list = (of: ReturnType<typeof found>, asked = question) => ({ watched: [URL], found: of, question: asked });

  it('says nothing where the watch has all routers of the list, or more', () => {
    expect(judgeList({ unbroken: true }, list(found(URL)))).toEqual({ unbroken: true });
    expect(judgeList({ unbroken: true }, list(found()))).toEqual({ unbroken: true });
  });

  it('suspects a router that came into the list, which nobody watched, unless routers fail closed', () => {
    const judged = judgeList({ unbroken: true }, list(found(URL, 'http://r1')));
    expect(judged).toMatchObject({
      unbroken: false,
      suspects: [{ url: 'http://r1', seeds: 'unknown', fromMs: question.sinceMs, untilMs: null }],
    });
    expect(judgeList({ unbroken: true }, list(found(URL, 'http://r1'), failClosed))).toEqual({ unbroken: true });
  });

  it('is broken, and suspects nobody, while a name has no address', () => {
    const unknown = { routers: [], unknown: [{ entry, reason: 'ENOTFOUND' }] };
    const judged = judgeList({ unbroken: true }, { watched: [URL], found: unknown, question: failClosed });
    expect(judged).toEqual({
      unbroken: false,
      reasons: [`the routers of ${entry} are not known: ENOTFOUND`],
      suspects: [],
    });
  });

  it('adds to what the connections tell, and stays bounded', () => {
    const many = Array.from({ length: 100 }, (_, n) => `http://r${n}/${'x'.repeat(400)}`);
    const judged = judgeList(judge(broken), list(found(...many)));
    if (judged.unbroken) throw new Error('expected a broken watch');
    expect(judged.suspects).toHaveLength(8);
    expect(judged.suspects[0]?.url).toBe(URL);
    expect(judged.reasons.at(-1)).toMatch(/^and \d+ more$/);
    expect(Math.max(...judged.reasons.map((reason) => reason.length))).toBeLessThanOrEqual(300);
  });

  it('tells a list with other routers, in whatever order, from the same one', () => {
    expect(hasChanged([URL, 'http://r1'], found('http://r1', URL))).toBe(false);
    expect(hasChanged([URL], found('http://r1'))).toBe(true);
    expect(hasChanged([URL], found())).toBe(true);
  });
});
