/**
 * Texts that enter a state or a history. Their number is bounded elsewhere, their length is bounded here: a state that is
 * too large for Temporal fails every task of its workflow.
 */
import { SAMPLES_MAX, SAMPLE_CHARS_MAX, TEXT_CHARS_MAX } from './limits';

/**
 * A long text loses its middle, and says how much of it: the beginning says what was expected, the end what to do.
 * A text that is short enough stays as it is, so a second cut changes nothing.
 */
export function boundedText(text: string, charsMax: number = TEXT_CHARS_MAX): string {
  if (text.length <= charsMax) return text;
  // The number of characters left out has at most as many digits as the length of the text.
  const kept = charsMax - leftOut(text.length).length;
  const head = withoutHalfPair(text.slice(0, Math.ceil(kept / 2)));
  const tail = text.slice(text.length - Math.floor(kept / 2)).replace(/^[\uDC00-\uDFFF]/, '');
  return `${head}${leftOut(text.length - head.length - tail.length)}${tail}`;
}

/** A list inside a text: a few samples, and how many more there are. Empty when the list is. */
export function samplesOf(items: readonly (string | number)[], { separator = ', ', more = 0 } = {}): string {
  const samples = items.slice(0, SAMPLES_MAX).map((each) => boundedText(String(each), SAMPLE_CHARS_MAX));
  const others = items.length - samples.length + more;
  return `${samples.join(separator)}${others === 0 ? '' : ` and ${others} more`}`;
}

const leftOut = (chars: number): string => ` … (${chars} characters left out) … `;

/** A character of two UTF-16 units is kept as a whole or not at all. */
const withoutHalfPair = (text: string): string => text.replace(/[\uD800-\uDBFF]$/, '');
