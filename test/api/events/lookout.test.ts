import { pino } from 'pino';
import type { NewEvent, ToldEvent } from '../../../src/api/events/ring';
import { EventHub } from '../../../src/api/events/hub';
import type { Found, Listener, Source } from '../../../src/api/events/lookout';

/** A source whose looks a test counts, and answers as it likes. */
class FakeSource implements Source {
  looks = 0;
  /** What the next look finds. */
  events: NewEvent[] = [];
  isOver = false;
  trouble: Error | null = null;
  /** While it is set, looks wait for it. */
  gate: Promise<void> | null = null;

  async look(): Promise<Found> {
    this.looks += 1;
    const events = this.events.splice(0);
    await this.gate;
    if (this.trouble !== null) throw this.trouble;
    return { events, gone: [], isOver: this.isOver };
  }

  tell(data: string): void {
    this.events.push({ topic: 'operation', event: 'operation', data, etag: data });
  }
}

class Ear implements Listener {
  readonly heard: string[] = [];
  ends = 0;
  take({ data }: ToldEvent): void {
    this.heard.push(data);
  }
  end(): void {
    this.ends += 1;
  }
}

let source: FakeSource;
const hubOf = (bounds: { seatsMax?: number; lookoutsMax?: number } = {}): EventHub =>
  new EventHub({
    sources: { cluster: () => source, operation: () => source },
    logger: pino({ level: 'silent' }),
    pauseMs: 1_000,
    lingerMs: 60_000,
    ...bounds,
  });
const codeOf = (call: () => unknown): unknown => {
  try {
    call();
    return null;
  } catch (error) {
    return (error as { code: unknown }).code;
  }
};

beforeEach(() => {
  jest.useFakeTimers();
  source = new FakeSource();
});
afterEach(() => jest.useRealTimers());

describe('a lookout', () => {
  it('looks once a second however many listen, tells all of them, and rests when all have left', async () => {
    const hub = hubOf();
    const ears = Array.from({ length: 50 }, () => new Ear());
    const leaves = ears.map((ear) => {
      const seat = hub.joinCluster();
      const stop = seat.lookout.listen(ear);
      return () => {
        stop();
        seat.leave();
      };
    });
    source.tell('1');
    await jest.advanceTimersByTimeAsync(1_000);
    source.tell('2');
    await jest.advanceTimersByTimeAsync(2_000);
    expect(source.looks).toBe(3);
    for (const { heard } of ears) expect(heard).toEqual(['1', '2']);
    for (const leave of leaves) leave();
    await jest.advanceTimersByTimeAsync(10_000);
    expect(source.looks).toBe(3);
  });

  it('looks at once when this process has changed something, and does not look where nobody listens', async () => {
    const hub = hubOf();
    const ear = new Ear();
    const { lookout } = hub.joinCluster();
    hub.nudge();
    await jest.advanceTimersByTimeAsync(0);
    expect(source.looks).toBe(0);
    lookout.listen(ear);
    source.tell('now');
    hub.nudge();
    await jest.advanceTimersByTimeAsync(0);
    expect(ear.heard).toEqual(['now']);
  });

  it('begins a look for those who ask while one is under way, and one for all of them', async () => {
    const { lookout } = hubOf().joinCluster();
    let open = (): void => undefined;
    source.gate = new Promise((resolve) => (open = resolve));
    const first = lookout.look();
    await jest.advanceTimersByTimeAsync(0);
    const later = [lookout.look(), lookout.look()];
    await jest.advanceTimersByTimeAsync(0);
    expect(source.looks).toBe(1);
    source.tell('seen by the later ones');
    open();
    await Promise.all([first, ...later]);
    expect(source.looks).toBe(2);
    expect(lookout.ring.newestOf('operation')?.data).toBe('seen by the later ones');
  });

  it('goes on after a look that failed', async () => {
    const ear = new Ear();
    hubOf().joinCluster().lookout.listen(ear);
    source.trouble = new Error('no answer');
    await jest.advanceTimersByTimeAsync(3_000);
    source.trouble = null;
    source.tell('back');
    await jest.advanceTimersByTimeAsync(1_000);
    expect(ear.heard).toEqual(['back']);
  });

  it('makes one look a second also when listeners go and come while a look is under way', async () => {
    const { lookout } = hubOf().joinCluster();
    let open = (): void => undefined;
    source.gate = new Promise((resolve) => (open = resolve));
    const stop = lookout.listen(new Ear());
    await jest.advanceTimersByTimeAsync(1_000);
    stop();
    lookout.listen(new Ear());
    source.gate = null;
    open();
    await jest.advanceTimersByTimeAsync(0);
    const before = source.looks;
    await jest.advanceTimersByTimeAsync(10_000);
    expect(source.looks - before).toBe(10);
  });

  it('ends its listeners when nothing more comes, after the last event', async () => {
    const ear = new Ear();
    const { lookout } = hubOf().joinCluster();
    lookout.listen(ear);
    source.tell('last');
    source.isOver = true;
    await jest.advanceTimersByTimeAsync(5_000);
    expect([ear.heard, ear.ends, source.looks]).toEqual([['last'], 1, 1]);
  });

  it('gives who comes back what it missed, and who brings an unknown id the present state', async () => {
    const { lookout } = hubOf().joinCluster();
    source.tell('1');
    await lookout.look();
    const id = lookout.ring.lastId;
    source.tell('2');
    source.tell('3');
    await lookout.look();
    const told = (lastId: number | null): string[] => lookout.backlog(lastId).map(({ data }) => data);
    expect([told(id), told(null), told(5)]).toEqual([['2', '3'], ['3'], ['3']]);
  });
});

describe('the event hub', () => {
  it('refuses whoever comes when all seats are taken, and takes others when one was left, which counts once', () => {
    const hub = hubOf({ seatsMax: 2 });
    const seats = [hub.joinCluster(), hub.joinOperation('grow-a')];
    expect(codeOf(() => hub.joinCluster())).toBe('TooManySubscribers');
    seats[0]!.leave();
    seats[0]!.leave();
    hub.joinCluster();
    expect(codeOf(() => hub.joinCluster())).toBe('TooManySubscribers');
  });

  it('keeps a lookout for a minute after its last listener, so that an id stays known', async () => {
    const hub = hubOf();
    const leaveAfterOneEvent = async (): Promise<number | null> => {
      const { lookout, leave } = hub.joinCluster();
      source.tell('event');
      await lookout.look();
      leave();
      return lookout.ring.lastId;
    };
    const id = (await leaveAfterOneEvent()) ?? 0;
    await jest.advanceTimersByTimeAsync(59_000);
    const again = hub.joinCluster();
    expect(again.lookout.ring.after(id)).toEqual([]);
    again.leave();
    await jest.advanceTimersByTimeAsync(60_000);
    expect(hub.joinCluster().lookout.ring.after(id)).toBeNull();
  });

  it('gives up a lookout that nobody listens to for a new one, and refuses a new one when all are listened to', async () => {
    const hub = hubOf({ lookoutsMax: 2 });
    const idle = hub.joinOperation('grow-a');
    source.tell('event');
    await idle.lookout.look();
    idle.leave();
    hub.joinOperation('grow-b');
    hub.joinOperation('grow-c');
    expect(codeOf(() => hub.joinOperation('grow-d'))).toBe('TooManySubscribers');
    expect(hub.joinOperation('grow-b').lookout).toBeDefined();
  });

  it('ends all listeners when it is closed, and takes nobody any more', async () => {
    const hub = hubOf();
    const ear = new Ear();
    hub.joinCluster().lookout.listen(ear);
    hub.close();
    await jest.advanceTimersByTimeAsync(10_000);
    expect([ear.ends, source.looks]).toEqual([1, 0]);
    expect(codeOf(() => hub.joinCluster())).toBe('TooManySubscribers');
  });

  it('is over for who was looking when it was closed, and has not listened yet', async () => {
    const hub = hubOf();
    const { lookout } = hub.joinCluster();
    let release = (): void => undefined;
    source.gate = new Promise((resolve) => (release = resolve));
    const looking = lookout.look();
    hub.close();
    release();
    await looking;
    expect(lookout.isOver).toBe(true);
  });
});
