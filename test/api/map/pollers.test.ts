import { networkInterfaces } from 'node:os';
import { comparing, MapPollers } from '../../../src/api/map/pollers';

function pollers(pollersMax?: number) {
  const clock = { nowMs: 1_000_000 };
  const seen = new MapPollers({ nowMs: () => clock.nowMs, ...(pollersMax === undefined ? {} : { pollersMax }) });
  return { seen, clock };
}

const MINUTE_MS = 60_000;

describe('MapPollers', () => {
  it('tells who polled last, by address and key, with the version that it said to have', () => {
    const { seen, clock } = pollers();
    seen.note('::ffff:10.0.0.1', 'a', undefined);
    clock.nowMs += 1;
    seen.note('10.0.0.2', 'a', '"7-abc"');
    seen.note('10.0.0.2', 'b', `"${'9'.repeat(500)}-x"`);
    expect(seen.list()).toMatchObject([
      { address: '10.0.0.2', keyId: 'a', lastMs: 1_000_001, version: 7 },
      { address: '10.0.0.2', keyId: 'b', version: null },
      { address: '10.0.0.1', keyId: 'a', lastMs: 1_000_000, version: null },
    ]);
  });

  it('takes for steady who polls several times over a minute, and not who came by', () => {
    const { seen, clock } = pollers();
    const steady = (): string[] => seen.list().flatMap(({ address, isSteady }) => (isSteady ? [address] : []));
    for (let n = 0; n < 20; n++) seen.note('burst', 'a', undefined);
    expect(steady()).toEqual([]);
    for (let n = 0; n <= 30; n++) {
      seen.note('router', 'a', undefined);
      if (n === 0 || n === 30) seen.note('twice', 'a', undefined);
      clock.nowMs += 2_000;
    }
    expect(steady()).toEqual(['router']);
    clock.nowMs += 3 * MINUTE_MS;
    expect(steady()).toEqual([]);
    seen.note('router', 'a', undefined);
    expect(steady()).toEqual([]);
  });

  it('takes for steady who waits a minute for each answer', () => {
    const { seen, clock } = pollers();
    for (let n = 0; n < 6; n++) {
      seen.note('waiting', 'a', '"7-abc"');
      clock.nowMs += MINUTE_MS + 500;
    }
    expect(seen.list().map(({ isSteady }) => isSteady)).toEqual([true]);
  });

  it('forgets who has not polled for an hour, and keeps a bounded number', () => {
    const { seen, clock } = pollers(3);
    for (const address of ['a', 'b', 'c', 'd']) seen.note(address, 'k', undefined);
    expect(seen.list().map(({ address }) => address)).toEqual(['a', 'b', 'c']);
    clock.nowMs += 61 * MINUTE_MS;
    expect(seen.list()).toEqual([]);
    seen.note('e', 'k', undefined);
    expect(seen.list().map(({ address }) => address)).toEqual(['e']);
  });
});

describe('comparing', () => {
  it('is one word for all addresses of this machine', () => {
    const own = Object.values(networkInterfaces()).flatMap((each) => (each ?? []).map(({ address }) => address));
    const words = ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1', ...own].map(comparing());
    expect(new Set(words)).toEqual(new Set(['this machine']));
    expect(comparing()('::ffff:192.0.2.1')).toBe('192.0.2.1');
  });
});
