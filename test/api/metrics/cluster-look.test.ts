import { ClusterLook, type ClusterLookOptions } from '../../../src/api/metrics/cluster-look';
import { newOperationState } from '../../../src/contract/operation-state';
import type { ClusterState, OperationRecord } from '../../../src/domain/cluster-state';
import type { OperationProgress } from '../../../src/domain/progress';
import { STATE } from '../../support/api-server';

const START_MS = 1_000_000;

const record = (operationId: string, change: Partial<OperationRecord> = {}): OperationRecord => ({
  operationId,
  kind: 'grow',
  shardIds: [2],
  startedAtMs: START_MS,
  endedAtMs: null,
  end: null,
  pointsMoved: 0,
  message: '',
  ...change,
});

const progressOf = (operationId: string, stopMs: number): OperationProgress => ({
  ...newOperationState('grow', operationId, START_MS).progress,
  sources: [
    { shardId: 0, source: 'primary', url: 'u', reason: '', scans: 1, rowsRead: 1, rowsPerSecond: 1, stopsMs: [stopMs] },
  ],
});

/** A look whose cluster, clock and shards a test sets. */
function looking(change: Partial<ClusterLookOptions> = {}) {
  const held = {
    nowMs: START_MS,
    state: STATE as ClusterState | null,
    points: 5 as number | null,
    map: null as { version: number; ageMs: number } | null,
    stopMs: 100,
  };
  const asked: string[] = [];
  const look = new ClusterLook({
    client: {
      queryState: () => {
        asked.push('state');
        return held.state === null ? Promise.reject(new Error('away')) : Promise.resolve(held.state);
      },
      queryProgress: (operationId) => {
        asked.push(operationId);
        return Promise.resolve(progressOf(operationId, held.stopMs));
      },
    },
    mapReader: {
      readMap: () => {
        asked.push('map');
        return Promise.resolve({ kind: 'unknown', reason: new Error('away') as never });
      },
      lastRead: () => held.map,
    },
    pointsOf: ({ id }) => {
      asked.push(`points of ${id}`);
      return Promise.resolve(held.points);
    },
    routers: { seen: [] },
    witness: { rememberedAgeMs: null },
    nowMs: () => held.nowMs,
    ...change,
  });
  const asksInOrder = (): string[] => asked.splice(0);
  return { look, held, asksInOrder };
}

describe('ClusterLook', () => {
  it('asks once for all scrapes of some seconds, and shards more rarely', async () => {
    const { look, held, asksInOrder } = looking();
    await Promise.all([look.facts(), look.facts()]);
    await look.facts();
    expect(asksInOrder().sort()).toEqual(['map', 'points of 0', 'points of 1', 'state']);
    held.nowMs += 5_000;
    await look.facts();
    expect(asksInOrder().sort()).toEqual(['map', 'state']);
    held.nowMs += 25_000;
    await look.facts();
    expect(asksInOrder().sort()).toEqual(['map', 'points of 0', 'points of 1', 'state']);
  });

  it('does not read the map that polls have just read', async () => {
    const { look, held, asksInOrder } = looking();
    held.map = { version: 7, ageMs: 4_000 };
    const facts = await look.facts();
    expect(asksInOrder()).not.toContain('map');
    expect([facts.map, facts.isMapFresh]).toEqual([{ version: 7, ageMs: 4_000 }, true]);
  });

  it('forgets a state that it could not read again for a minute', async () => {
    const { look, held } = looking();
    expect((await look.facts()).state).toBe(STATE);
    held.state = null;
    held.nowMs += 59_000;
    expect(await look.facts()).toMatchObject({ state: STATE, isAnswered: false, stateAgeMs: 59_000 });
    held.nowMs += 2_000;
    expect(await look.facts()).toMatchObject({ state: null, running: [], isAnswered: false });
  });

  it('is patient only so long with a shard, and goes on without it', async () => {
    let answer: (points: number) => void = () => undefined;
    const pointsOf: ClusterLookOptions['pointsOf'] = ({ id }) =>
      id === 0 ? Promise.resolve(4) : new Promise((resolve) => (answer = resolve));
    const { look, held, asksInOrder } = looking({ pointsOf, patienceMs: 20 });
    expect((await look.facts()).points.size).toBe(0);
    // The look gives the shards up a moment after the scrape does.
    await new Promise((resolve) => setTimeout(resolve, 40));
    held.nowMs += 5_000;
    await look.facts();
    expect(asksInOrder().filter((each) => each === 'state')).toHaveLength(2);
    answer(6);
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect([...(await look.facts()).points]).toEqual([
      [0, 4],
      [1, 6],
    ]);
  });

  it('leaves out a shard whose question fails', async () => {
    const { look } = looking({
      pointsOf: ({ id }) => (id === 0 ? Promise.reject(new Error('unforeseen')) : Promise.resolve(2)),
    });
    expect([...(await look.facts()).points]).toEqual([[1, 2]]);
  });

  it('asks the operations that run, four at most, and one that has ended once more', async () => {
    const { look, held, asksInOrder } = looking();
    const running = [1, 2, 3, 4, 5].map((n) => record(`check-${n}`, { kind: 'check' }));
    held.state = { ...STATE, operations: [...running, record('grow-old', { end: 'failed', endedAtMs: START_MS - 1 })] };
    const { running: shown } = await look.facts();
    expect(asksInOrder().filter((each) => /-/.test(each))).toEqual(['check-1', 'check-2', 'check-3', 'check-4']);
    expect(shown.map(({ progress }) => progress?.operationId ?? null)).toEqual([
      'check-1',
      'check-2',
      'check-3',
      'check-4',
      null,
    ]);

    held.state = {
      ...STATE,
      operations: [record('check-1', { kind: 'check', end: 'succeeded', endedAtMs: held.nowMs })],
    };
    held.stopMs = 900;
    held.nowMs += 5_000;
    const after = await look.facts();
    expect(asksInOrder()).toContain('check-1');
    expect([after.running, after.sources[0]?.stopsMs]).toEqual([[], [900]]);
    held.nowMs += 5_000;
    await look.facts();
    expect(asksInOrder()).not.toContain('check-1');
  });

  it('counts what ends after its own start, once', async () => {
    const { look, held } = looking();
    const before = record('grow-a', { end: 'failed', endedAtMs: START_MS - 1, pointsMoved: 5 });
    const within = record('grow-b', { end: 'failed', endedAtMs: START_MS + 1, pointsMoved: 7 });
    held.state = { ...STATE, operations: [within, before] };
    await look.facts();
    held.nowMs += 5_000;
    const again = record('recover-c', { kind: 'recover', end: 'succeeded', endedAtMs: START_MS + 2 });
    held.state = { ...STATE, operations: [{ ...again, endedAtMs: START_MS + 3 }, again, within] };
    const { ended } = await look.facts();
    expect([ended.count('grow', 'failed'), ended.pointsMoved('grow')]).toEqual([1, 7]);
    expect([ended.count('recover', 'succeeded'), ended.count('drain', 'succeeded')]).toEqual([2, 0]);
  });

  it('takes an error that nobody foresaw for no answer', async () => {
    const { look } = looking({
      mapReader: { readMap: () => Promise.reject(new Error('unforeseen')), lastRead: () => null },
    });
    expect(await look.facts()).toMatchObject({ isAnswered: false, map: null });
  });
});
