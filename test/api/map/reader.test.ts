import { MapReader, type MapReading } from '../../../src/api/map/reader';
import { ApiError } from '../../../src/api/http/problem';
import { ClientError } from '../../../src/client/calls/errors';
import type { ShardMap } from '../../../src/domain/shard-map';

const mapOf = (version: number): ShardMap => ({
  version,
  shards: [{ id: 0, primary_url: 'http://s0', replica_urls: [] }],
  joining: [],
  leaving: [],
});

interface Query {
  answer(map: ShardMap): void;
  fail(error: Error): void;
}

/** A map reader whose queries a test answers by hand, one by one. */
function underTest({ maxAgeMs = 0 } = {}) {
  const queries: Query[] = [];
  let nowMs = 1_000_000;
  const reader = new MapReader({
    queryMap: () =>
      new Promise((resolve, reject) => {
        queries.push({ answer: resolve, fail: reject });
      }),
    nowMs: () => nowMs,
    maxAgeMs,
    gatherMs: 2,
    slowQueryMs: 250,
  });
  return { reader, queries, advanceMs: (ms: number) => (nowMs += ms) };
}

const versionOf = (reading: MapReading): number => {
  if (reading.kind === 'unknown') throw reading.reason;
  return reading.served.map.version;
};

const outOfReach = new ClientError('TemporalUnreachable', 'Temporal did not answer');

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

describe('MapReader', () => {
  it('answers all readers of one burst from one query', async () => {
    const { reader, queries } = underTest();
    const readings = [reader.readMap(), reader.readMap(), reader.readMap()];
    await jest.advanceTimersByTimeAsync(2);
    expect(queries).toHaveLength(1);
    queries[0]!.answer(mapOf(1));
    expect((await Promise.all(readings)).map(versionOf)).toEqual([1, 1, 1]);
  });

  it('never answers a reader from a query that began before the reader asked', async () => {
    const { reader, queries } = underTest();
    const early = reader.readMap();
    await jest.advanceTimersByTimeAsync(2);
    const late = reader.readMap();
    let lateReading: MapReading | null = null;
    void late.then((reading) => (lateReading = reading));

    queries[0]!.answer(mapOf(1));
    expect(versionOf(await early)).toBe(1);
    await jest.advanceTimersByTimeAsync(2);
    expect(lateReading).toBeNull();
    expect(queries).toHaveLength(2);
    queries[1]!.answer(mapOf(2));
    expect(versionOf(await late)).toBe(2);
  });

  it('begins a query for waiting readers beside one that hangs', async () => {
    const { reader, queries } = underTest();
    void reader.readMap();
    await jest.advanceTimersByTimeAsync(2);
    const behind = reader.readMap();
    await jest.advanceTimersByTimeAsync(249);
    expect(queries).toHaveLength(1);
    await jest.advanceTimersByTimeAsync(1);
    expect(queries).toHaveLength(2);
    queries[1]!.answer(mapOf(7));
    expect(versionOf(await behind)).toBe(7);
  });

  it('answers the last known map as stale, with its age and the reason, when a query fails', async () => {
    const { reader, queries, advanceMs } = underTest();
    const first = reader.readMap();
    await jest.advanceTimersByTimeAsync(2);
    queries[0]!.answer(mapOf(3));
    await first;
    advanceMs(5_000);
    const second = reader.readMap();
    await jest.advanceTimersByTimeAsync(2);
    queries[1]!.fail(outOfReach);
    expect(await second).toMatchObject({
      kind: 'stale',
      ageMs: 5_000,
      reason: { code: 'TemporalUnreachable', message: outOfReach.message },
    });
    expect(versionOf(await second)).toBe(3);
  });

  it('keeps the map of the query that began last as the last known one when queries end out of order', async () => {
    const { reader, queries } = underTest();
    void reader.readMap();
    await jest.advanceTimersByTimeAsync(2);
    void reader.readMap();
    await jest.advanceTimersByTimeAsync(250);
    queries[1]!.answer(mapOf(2));
    await jest.advanceTimersByTimeAsync(0);
    queries[0]!.answer(mapOf(1));
    await jest.advanceTimersByTimeAsync(0);
    const later = reader.readMap();
    await jest.advanceTimersByTimeAsync(2);
    queries[2]!.fail(outOfReach);
    expect(versionOf(await later)).toBe(2);
  });

  it('has no answer when no map was ever known, and says why', async () => {
    const { reader, queries } = underTest();
    const reading = reader.readMap();
    await jest.advanceTimersByTimeAsync(2);
    queries[0]!.fail(new Error('anything'));
    const answer = await reading;
    expect(answer.kind).toBe('unknown');
    expect(answer).toMatchObject({ reason: expect.any(ApiError) as unknown });
  });

  it('reads again after a failure', async () => {
    const { reader, queries } = underTest();
    const failed = reader.readMap();
    await jest.advanceTimersByTimeAsync(2);
    queries[0]!.fail(outOfReach);
    await failed;
    const next = reader.readMap();
    await jest.advanceTimersByTimeAsync(2);
    queries[1]!.answer(mapOf(1));
    expect((await next).kind).toBe('fresh');
  });

  it('makes body and ETag once for a map that did not change, and another ETag for another map of the same version', async () => {
    const { reader, queries } = underTest();
    const served = async (map: ShardMap) => {
      const reading = reader.readMap();
      await jest.advanceTimersByTimeAsync(2);
      queries.at(-1)!.answer(map);
      const answer = await reading;
      if (answer.kind === 'unknown') throw answer.reason;
      return answer.served;
    };
    const first = await served(mapOf(1));
    expect(await served(mapOf(1))).toBe(first);
    const other = await served({ ...mapOf(1), joining: [0] });
    expect(other.etag).not.toBe(first.etag);
    expect(first.etag).toMatch(/^"1-[0-9a-f]{8}"$/);
  });
});

describe('a poll', () => {
  const MAX_AGE_MS = 300;
  const answered = (reading: MapReading | Promise<MapReading>): number => versionOf(reading as MapReading);

  async function knowingVersion1() {
    const test = underTest({ maxAgeMs: MAX_AGE_MS });
    const first = test.reader.readRecentMap();
    await jest.advanceTimersByTimeAsync(2);
    // The map is as old as the beginning of its query, however long the answer took.
    test.advanceMs(20);
    test.queries[0]!.answer(mapOf(1));
    expect(versionOf(await first)).toBe(1);
    return test;
  }

  it('is answered from a query that is younger than the highest age, and waits for another one after that', async () => {
    const { reader, queries, advanceMs } = await knowingVersion1();
    advanceMs(MAX_AGE_MS - 21);
    expect(answered(reader.readRecentMap())).toBe(1);
    advanceMs(1);
    const late = reader.readRecentMap();
    await jest.advanceTimersByTimeAsync(2);
    queries.at(-1)!.answer(mapOf(2));
    expect(versionOf(await late)).toBe(2);
  });

  it('begins the next query ahead of that, once, and no poll waits for it', async () => {
    const { reader, queries, advanceMs } = await knowingVersion1();
    advanceMs(29);
    expect(answered(reader.readRecentMap())).toBe(1);
    await jest.advanceTimersByTimeAsync(2);
    expect(queries).toHaveLength(1);
    advanceMs(1);
    expect([reader.readRecentMap(), reader.readRecentMap()].map(answered)).toEqual([1, 1]);
    await jest.advanceTimersByTimeAsync(2);
    // A busy Temporal takes its time.
    advanceMs(200);
    expect(answered(reader.readRecentMap())).toBe(1);
    expect(queries).toHaveLength(2);
    queries[1]!.answer(mapOf(2));
    await jest.advanceTimersByTimeAsync(0);
    expect(answered(reader.readRecentMap())).toBe(2);
  });

  it('is read anew while a change is under way, and after it', async () => {
    const { reader, queries, advanceMs } = await knowingVersion1();
    const changed = reader.changeBegins();
    const during = reader.readRecentMap();
    await jest.advanceTimersByTimeAsync(2);
    queries[1]!.answer(mapOf(1));
    await during;
    changed();
    advanceMs(1);
    const after = reader.readRecentMap();
    await jest.advanceTimersByTimeAsync(2);
    queries[2]!.answer(mapOf(2));
    expect(versionOf(await after)).toBe(2);
    advanceMs(1);
    expect(answered(reader.readRecentMap())).toBe(2);
  });

  it('is told that the map is stale when the next query fails', async () => {
    const { reader, queries, advanceMs } = await knowingVersion1();
    advanceMs(MAX_AGE_MS);
    const late = reader.readRecentMap();
    await jest.advanceTimersByTimeAsync(2);
    queries[1]!.fail(outOfReach);
    expect(await late).toMatchObject({ kind: 'stale', ageMs: MAX_AGE_MS });
  });

  it('is as fresh as its request without a highest age', async () => {
    const { reader, queries } = underTest();
    const first = reader.readRecentMap();
    await jest.advanceTimersByTimeAsync(2);
    queries[0]!.answer(mapOf(1));
    await first;
    expect(reader.readRecentMap()).toBeInstanceOf(Promise);
  });

  it('tells the map that was read last and when that began, and keeps both when the next query fails', async () => {
    const { reader, queries, advanceMs } = underTest();
    expect(reader.lastRead()).toBeNull();
    const first = reader.readMap();
    await jest.advanceTimersByTimeAsync(2);
    advanceMs(30);
    queries[0]!.answer(mapOf(7));
    await first;
    expect(reader.lastRead()).toEqual({ version: 7, ageMs: 30 });
    advanceMs(70);
    const second = reader.readMap();
    await jest.advanceTimersByTimeAsync(2);
    queries[1]!.fail(outOfReach);
    await second;
    expect(reader.lastRead()).toEqual({ version: 7, ageMs: 100 });
  });
});
