import * as fc from 'fast-check';
import { boundedText, samplesOf } from '../../src/domain/bounded-text';
import { TEXT_CHARS_MAX } from '../../src/domain/limits';

describe('a text that enters a state', () => {
  it('stays as it is when it is short enough', () => {
    const text = 'x'.repeat(TEXT_CHARS_MAX);
    expect(boundedText(text)).toBe(text);
  });

  it('loses its middle when it is longer, and says how many characters those were', () => {
    const cut = boundedText(`begin${'x'.repeat(390_000)}end`);
    expect(cut).toMatch(/^beginx+ … \(\d+ characters left out\) … x+end$/);
    const left = Number(/\((\d+) characters/.exec(cut)?.[1]);
    expect(left + cut.replace(/ … .* … /, '').length).toBe(390_008);
  });

  it('is never longer than its bound, and is the same after a second cut', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 2_000 }), fc.integer({ min: 60, max: 600 }), (text, max) => {
        const cut = boundedText(text, max);
        expect(cut.length).toBeLessThanOrEqual(max);
        expect(boundedText(cut, max)).toBe(cut);
      }),
    );
  });

  it('is not cut through a character', () => {
    for (let before = 0; before < 4; before++) {
      const cut = boundedText('x'.repeat(before) + '🦔'.repeat(400));
      // Half a character cannot be encoded.
      expect(() => encodeURIComponent(cut)).not.toThrow();
    }
  });
});

describe('a list inside a text', () => {
  it('is all there when it is short, and samples with a count when it is long', () => {
    expect(samplesOf([])).toBe('');
    expect(samplesOf(['a', 'b', 'c'])).toBe('a, b, c');
    expect(samplesOf(Array.from({ length: 1_000 }, (_, n) => n))).toBe('0, 1, 2 and 997 more');
    expect(samplesOf(['a'], { more: 5 })).toBe('a and 5 more');
    expect(samplesOf(['a', 'b'], { separator: '; ' })).toBe('a; b');
  });

  it('keeps its count when one sample is very long', () => {
    const text = samplesOf(Array.from({ length: 1_000 }, () => 'x'.repeat(10_000)));
    expect(text.length).toBeLessThan(TEXT_CHARS_MAX);
    expect(text).toMatch(/ and 997 more$/);
  });
});
