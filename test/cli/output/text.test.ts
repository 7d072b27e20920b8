import { age, bytes, count, duration, fitted, plain } from '../../../src/cli/output/format';
import { Live } from '../../../src/cli/output/live';
import { operationText } from '../../../src/cli/output/operation-text';
import { barOf, newsOf, progressLines } from '../../../src/cli/output/progress';
import { styleOf, table } from '../../../src/cli/output/table';
import { viewOfProgress } from '../../../src/api/views/operation';
import { GROW, STARTED_MS } from '../../support/an-operation';

describe('a number in words', () => {
  it.each([
    [0, '0s'],
    [59.6, '1m 00s'],
    [184, '3m 04s'],
    [7_500, '2h 05m'],
    [273_600, '3d 04h'],
    [null, '-'],
    [Number.POSITIVE_INFINITY, '-'],
  ])('says %s seconds as %s', (seconds, words) => {
    expect(duration(seconds)).toBe(words);
  });

  it('has a dash for what is not known, and 0 only for nothing', () => {
    expect([count(null), count(0), bytes(null), bytes(0), age(null, 0)]).toEqual(['-', '0', '-', '0 B', '-']);
    expect([count(1_234_567), bytes(1_536), bytes(150 * 1_024), bytes(3 * 1_024 ** 3)]).toEqual([
      '1,234,567',
      '1.5 KiB',
      '150 KiB',
      '3.0 GiB',
    ]);
  });
});

describe('a text from elsewhere', () => {
  it('cannot move the cursor, colour the terminal or begin a line', () => {
    expect(plain('a\u001b[31mb\nc\u202ed\u0007')).toBe('a?[31mb c?d?');
    expect(table(['A'], [['\u001b]0;title\u0007']], styleOf(false))).toBe('A\n?]0;title?\n');
  });

  it('is cut to the width of the terminal', () => {
    expect(fitted('abcdef', 4)).toBe('abc…');
    const waiting = { reason: 'x'.repeat(300), sinceMs: STARTED_MS, endsWhen: 'y' };
    const operation = viewOfProgress({ ...GROW, waiting }, null);
    const lines = progressLines(operation, { nowMs: STARTED_MS, width: 40 });
    expect(lines.map((line) => line.length)).toEqual([39, 39]);
  });
});

describe('what slows an operation down', () => {
  const slowed = [0, 1, 2, 3, 4].map((shardId) => ({
    by: 'write_latency' as const,
    shardId,
    seenMs: 310,
    boundMs: 200,
  }));
  const operation = viewOfProgress({ ...GROW, slowed }, null);

  it('stands below the bar, a few causes in full and the others counted, and is news when a cause comes or goes', () => {
    const [, ...lines] = progressLines(operation, { nowMs: STARTED_MS, width: null });
    expect(lines).toEqual([
      ...[0, 1, 2].map(
        (id) => `  slowed: A write to shard ${id} takes 310 ms, the bound is 200 ms: fewer rows go at once`,
      ),
      '  slowed by 2 more',
    ]);
    const faster = viewOfProgress({ ...GROW, slowed: slowed.map((each) => ({ ...each, seenMs: 305 })) }, null);
    expect(newsOf(faster)).toBe(newsOf(operation));
    expect(newsOf(viewOfProgress({ ...GROW, slowed: slowed.slice(1) }, null))).not.toBe(newsOf(operation));
  });

  it('is shown as a whole by `op show`, and an older coordinator tells nothing of it', () => {
    const text = operationText(operation, STARTED_MS, styleOf(false));
    expect(text.match(/^slowed +A write to shard \d/gm)).toHaveLength(5);
    const { slowed: _slowed, ...older } = operation;
    expect(operationText(older, STARTED_MS, styleOf(false))).not.toContain('slowed');
    expect(progressLines(older, { nowMs: STARTED_MS, width: null })).toHaveLength(1);
  });
});

describe('the bar', () => {
  it('is empty at the begin, full at the end, and has the same width all the while', () => {
    expect([0, 0.5, 1].map(barOf)).toEqual([
      '[····················]',
      '[##########··········]',
      '[####################]',
    ]);
  });

  it('is full, not longer, when more points came than were expected', () => {
    const [line] = progressLines(viewOfProgress({ ...GROW, pointsDone: 50 }, null), { nowMs: 0, width: null });
    expect(line).toBe('grow-k copy [####################] 100% 50/40 rows 5/s ETA 6s');
  });

  it('is left out of a phase that moves nothing', () => {
    const idle = {
      ...GROW,
      phase: 'promote',
      pointsDone: 0,
      pointsExpected: 0,
      ratePerSecond: 0,
      etaSeconds: null,
    } as const;
    expect(progressLines(viewOfProgress(idle, null), { nowMs: 0, width: null })).toEqual(['grow-k promote']);
  });
});

describe('progress in a log', () => {
  it('is a line for each news, and one now and then without', () => {
    let nowMs = 0;
    const lines: string[] = [];
    const live = new Live({
      output: { write: (text: string) => lines.push(text) },
      isDrawn: false,
      nowMs: () => nowMs,
    });
    for (const [atMs, news] of [
      [0, 'a'],
      [1_000, 'a'],
      [2_000, 'b'],
      [11_999, 'b'],
      [12_000, 'b'],
    ] as const) {
      nowMs = atMs;
      live.show([`${news} at ${atMs}`], news);
    }
    expect(lines).toEqual(['a at 0\n', 'b at 2000\n', 'b at 12000\n']);
  });
});
