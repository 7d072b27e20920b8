import { seedState } from '../../src/domain/cluster-state';
import { ROUTER_ENTRIES_MAX, ROUTER_ENTRY_CHARS_MAX } from '../../src/domain/limits';
import { normalizeRouterEntry, readRouterEntry } from '../../src/domain/router-entries';
import type { OperationLock } from '../../src/domain/cluster-state';
import { changeRouters, seedRouters, setRouters } from '../../src/domain/router-list';
import { at, codeOf } from '../support/domain-builders';

const STATE = seedState([at('s0')]);
const A = 'http://a:6333';
const B = 'dns+http://b:6333';

describe('an entry of the list of routers', () => {
  it.each([
    [' http://R0:6333/ ', 'http://r0:6333', { kind: 'url', url: 'http://r0:6333' }],
    ['https://r0', 'https://r0', { kind: 'url', url: 'https://r0' }],
    ['DNS+http://Routers.svc:6333/', 'dns+http://routers.svc:6333', { kind: 'dns', host: 'routers.svc', port: 6333 }],
    ['dns+http://routers', 'dns+http://routers', { kind: 'dns', host: 'routers', port: 80 }],
    ['dnssrv+http://_rest._tcp.r.svc', 'dnssrv+http://_rest._tcp.r.svc', { kind: 'dnssrv', name: '_rest._tcp.r.svc' }],
  ])('%j is %j in normal form', (given, normal, read) => {
    expect(normalizeRouterEntry(given)).toBe(normal);
    expect(normalizeRouterEntry(normal)).toBe(normal);
    expect(readRouterEntry(normal)).toEqual(read);
  });

  it.each([
    ['', 'InvalidShardUrl'],
    ['router', 'InvalidShardUrl'],
    ['http://u:p@r0', 'InvalidShardUrl'],
    ['dns+http://u:p@r0:1', 'InvalidShardUrl'],
    ['dns+https://r0:1', 'InvalidRequest'],
    ['dnssrvnoa+http://r0', 'InvalidRequest'],
    ['dns+http://r0:1/path', 'InvalidRequest'],
    ['dns+http://10.0.0.1:1', 'InvalidRequest'],
    ['dns+http://[::1]:1', 'InvalidRequest'],
    ['dnssrv+http://r0:6333', 'InvalidRequest'],
    [`http://${'r'.repeat(ROUTER_ENTRY_CHARS_MAX)}`, 'InvalidRequest'],
  ])('%j is refused as %s', (given, code) => {
    expect(codeOf(() => normalizeRouterEntry(given))).toBe(code);
  });
});

describe('the list of routers', () => {
  it('is seeded by the setting, and again by a changed one, until somebody changes it by hand', () => {
    const seeded = seedRouters(STATE, [A, A]);
    expect(seeded.routers).toEqual({ entries: [A], isByHand: false });
    const again = seedRouters(seeded, [B]);
    expect(again.routers).toEqual({ entries: [B], isByHand: false });
    // A variable that was lost must not turn routers that write into none.
    expect(seedRouters(again, [])).toBe(again);
    const byHand = setRouters(again, [A]);
    expect(seedRouters(byHand, [B])).toBe(byHand);
    expect(seedRouters(setRouters(STATE, []), [B]).routers?.entries).toEqual([]);
  });

  it('only grows by a setting while an operation holds the lock', () => {
    const locked = { ...seedRouters(STATE, [A]), lock: { operationId: 'grow-a' } as OperationLock };
    expect(seedRouters(locked, [B]).routers).toEqual({ entries: [A, B], isByHand: false });
    expect(seedRouters({ ...locked, lock: null }, [B]).routers).toEqual({ entries: [B], isByHand: false });
  });

  it('is no part of a state that was never given one', () => {
    expect(seedRouters(STATE, [])).toBe(STATE);
    expect('routers' in STATE).toBe(false);
  });

  it('takes entries out and in, and begins with the setting where nobody gave a list', () => {
    const changed = changeRouters(STATE, { add: [B], remove: [A], seed: [A] });
    expect(changed.routers).toEqual({ entries: [B], isByHand: true });
    expect(changeRouters(changed, { add: [B, A], remove: [], seed: [] }).routers?.entries).toEqual([B, A]);
  });

  it('refuses to take out what is not in it: who believes it gone would wait for it', () => {
    expect(codeOf(() => changeRouters(STATE, { add: [], remove: [B], seed: [A] }))).toBe('UnknownRouterEntry');
  });

  it('is bounded, whoever gives it', () => {
    const many = Array.from({ length: ROUTER_ENTRIES_MAX + 1 }, (_, n) => `http://r${n}`);
    const long = [`http://${'r'.repeat(ROUTER_ENTRY_CHARS_MAX)}`];
    for (const entries of [many, long]) {
      expect(codeOf(() => setRouters(STATE, entries))).toBe('InvalidRequest');
      expect(codeOf(() => seedRouters(STATE, entries))).toBe('InvalidRequest');
      expect(codeOf(() => changeRouters(STATE, { add: entries, remove: [], seed: [] }))).toBe('InvalidRequest');
    }
    expect(setRouters(STATE, many.slice(1)).routers?.entries).toHaveLength(ROUTER_ENTRIES_MAX);
  });
});
