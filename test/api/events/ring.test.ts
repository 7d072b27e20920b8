import { EventRing, ID_STEP, type NewEvent } from '../../../src/api/events/ring';

const STARTED_AT_MS = Date.UTC(2026, 0, 1);
const ringOf = (options: { remainder?: number; eventsMax?: number; bytesMax?: number } = {}): EventRing =>
  new EventRing({ startedAtMs: STARTED_AT_MS, remainder: 7, ...options });
const eventOf = (topic: string, data = topic): NewEvent => ({ topic, event: 'operation', data, etag: `"${data}"` });

describe('an event ring', () => {
  it('writes an event as server-sent events have it, with ids that rise and are exact as numbers', () => {
    const ring = ringOf();
    expect(ring.lastId).toBeNull();
    const [first, second] = [ring.add(eventOf('a', '{"n":1}')), ring.add(eventOf('a', '{"n":2}'))];
    expect(first.bytes.toString()).toBe(`id: ${first.id}\nevent: operation\ndata: {"n":1}\n\n`);
    expect(second.id).toBeGreaterThan(first.id);
    expect(Number.isSafeInteger(second.id)).toBe(true);
    expect(ring.lastId).toBe(second.id);
  });

  it('tells what came after an id, and nothing after the last one', () => {
    const ring = ringOf();
    const told = ['a', 'b', 'c'].map((topic) => ring.add(eventOf(topic)));
    expect(ring.after(told[0]!.id)).toEqual(told.slice(1));
    expect(ring.after(told[2]!.id)).toEqual([]);
  });

  it('does not know ids of another process, of the time before its start, or that it has not given yet', () => {
    const ring = ringOf();
    const { id } = ring.add(eventOf('a'));
    const other = ringOf({ remainder: 8 });
    for (const unknown of [other.add(eventOf('a')).id, id - ID_STEP, id + ID_STEP, 0, 1]) {
      expect(ring.after(unknown)).toBeNull();
    }
  });

  it('keeps so many events and bytes, at least the newest one, and does not know an id whose successor is gone', () => {
    const few = ringOf({ eventsMax: 2 });
    const told = ['a', 'b', 'c', 'd'].map((topic) => few.add(eventOf(topic)));
    expect(few.after(told[1]!.id)).toEqual(told.slice(2));
    expect(few.after(told[0]!.id)).toBeNull();

    const small = ringOf({ bytesMax: 100 });
    const before = small.add(eventOf('a'));
    const large = small.add(eventOf('b', 'x'.repeat(1_000)));
    expect(small.after(before.id)).toEqual([large]);
    expect(small.after(before.id - ID_STEP)).toBeNull();
  });

  it('knows the newest event of each topic also when it is not kept any more, in the order of ids', () => {
    const ring = ringOf({ eventsMax: 1 });
    const old = ring.add(eventOf('map'));
    ring.add(eventOf('operation', '1'));
    ring.add(eventOf('notices'));
    const operation = ring.add(eventOf('operation', '2'));
    ring.forget('notices');
    expect(ring.present()).toEqual([old, operation]);
    expect(ring.newestOf('notices')).toBeNull();
  });
});
