import { CallTimer } from '../../../src/shards/http/call-timer';

const noDeadline = { deadlineMs: Number.MAX_SAFE_INTEGER };

describe('CallTimer', () => {
  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  it('ends a call that waits too long for its shard, and says which limit that was', () => {
    const timer = new CallTimer(noDeadline, 20, Date.now);
    jest.advanceTimersByTime(19);
    expect(timer.signal.aborted).toBe(false);
    jest.advanceTimersByTime(1);
    expect(timer.signal.aborted).toBe(true);
    expect(timer.exceeded).toBe('within 20 ms');
  });

  it('leaves no clock behind when it is stopped, not even when its call ends late', () => {
    const timer = new CallTimer(noDeadline, 20, Date.now);
    timer.stop();
    timer.waitForCaller();
    timer.waitForShard();
    expect(jest.getTimerCount()).toBe(0);
  });

  it('leaves no clock behind when its caller cancels', () => {
    const caller = new AbortController();
    const timer = new CallTimer({ ...noDeadline, signal: caller.signal }, 20, Date.now);
    timer.waitForCaller();
    caller.abort();
    expect(timer.signal.aborted).toBe(true);
    expect(timer.exceeded).toBeNull();
    expect(jest.getTimerCount()).toBe(0);
  });
});
