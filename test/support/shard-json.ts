/**
 * JSON as Quiver reads and writes it, which is not as JavaScript does: integers keep all 64 bits, `1.0` stays apart
 * from `1`, the keys of a payload come back in byte order, vectors are 32-bit floats. Written for the in-process shard
 * alone and on purpose independent of the scanner in src/shards, so that the two can be tested against each other.
 */

/** The text is no JSON at all: a shard answers 400. */
export class JsonSyntaxError extends Error {}
/** JSON, but not of the type that the call takes: a shard answers 422. */
export class JsonTypeError extends Error {}

const DEPTH_MAX = 127;
const U64_MAX = 18446744073709551615n;
const I64_MIN = -9223372036854775808n;

/** Code unit order is byte order below the surrogates; above them it is not. */
export function compareIds(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    const isXSurrogate = x >= 0xd800 && x <= 0xdfff;
    const isYSurrogate = y >= 0xd800 && y <= 0xdfff;
    if (isXSurrogate !== isYSurrogate) return isXSurrogate ? 1 : -1;
    return x - y;
  }
  return a.length - b.length;
}

/** A number as a shard renders a 32-bit float: shortest digits that read back as the same float. */
export function renderF32(value: number): string {
  const float = fround(value);
  const size = abs(float);
  if (!Number.isFinite(float)) return 'null';
  const sign = value < 0 || Object.is(float, -0) ? '-' : '';
  if (size === 0) return `${sign}0.0`;
  let point = floor(log10(size)) + 1;
  if (size < powerOfTen(point - 1)) point -= 1;
  if (size >= powerOfTen(point)) point += 1;
  // Six digits always tell 32-bit floats apart, except the subnormal ones.
  for (let count = size < SMALLEST_NORMAL ? 1 : 6; count <= 9; count++) {
    // The value with `count` digits. Up to 22 zeros both steps are exact to the last bit, beyond them toPrecision has
    // to do.
    const zeros = count - point;
    const isExact = abs(zeros) <= 22;
    const scaled = isExact ? roundToEven(zeros >= 0 ? size * powerOfTen(zeros) : size / powerOfTen(-zeros)) : 0;
    const back = zeros >= 0 ? scaled / powerOfTen(zeros) : scaled * powerOfTen(-zeros);
    if (isExact && (fround(back) === size || count === 9)) {
      const digits = toText(scaled);
      return sign + place(digits, point + digits.length - count, 13);
    }
    if (isExact) continue;
    const text = size.toPrecision(count);
    if (fround(toNumber(text)) === size || count === 9) return sign + renderShortest(toText(toNumber(text)), 13);
  }
  throw new Error('nine digits hold every 32-bit float');
}

// Test runners give each file its own globals, and looking one up there is slow: these are looked up once.
const { abs, floor, fround, log10 } = Math;

const toNumber = Number;
const toText = String;
const POWERS_OF_TEN = Array.from({ length: 140 }, (_, index) => Number(`1e${index - 70}`));
const SMALLEST_NORMAL = 1.2e-38;
/** Two texts may be equally near: 1897261.25 is written as 1897261.2. */
const roundToEven = (value: number): number => {
  const down = floor(value);
  const part = value - down;
  return part > 0.5 || (part === 0.5 && down % 2 === 1) ? down + 1 : down;
};
const powerOfTen = (exponent: number): number => POWERS_OF_TEN[exponent + 70] ?? NaN;

/**
 * A number as a shard renders a 64-bit float: shortest, with a fraction, in exponent form below 1e-5 and from 1e16 on.
 */
export function renderF64(value: number): string {
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  return value === 0 ? `${sign}0.0` : sign + renderShortest(String(Math.abs(value)), 16);
}

function renderShortest(shortest: string, decimalBelowExponent: number): string {
  const [mantissa = '', exponent = '0'] = shortest.split('e');
  const [whole = '', fraction = ''] = mantissa.split('.');
  const all = whole + fraction;
  const leading = all.length - all.replace(/^0+/, '').length;
  return place(all.slice(leading), whole.length - leading + Number(exponent), decimalBelowExponent);
}

/** The value 0.DIGITS times ten to the power of `point`, in the form in which a shard writes it. */
function place(padded: string, point: number, decimalBelowExponent: number): string {
  let length = padded.length;
  while (length > 1 && padded.charCodeAt(length - 1) === 48) length -= 1;
  const digits = padded.slice(0, length);
  const smallest = decimalBelowExponent === 16 ? -4 : -5;
  if (point < smallest || point > decimalBelowExponent) {
    const rest = length > 1 ? `.${digits.slice(1)}` : '';
    return `${digits.slice(0, 1)}${rest}e${point > 0 ? '+' : ''}${point - 1}`;
  }
  if (point <= 0) return `0.${'0'.repeat(-point)}${digits}`;
  if (length <= point) return `${digits}${'0'.repeat(point - length)}.0`;
  return `${digits.slice(0, point)}.${digits.slice(point)}`;
}

/** True when `text` is already what `renderF32` would make of it: a plain decimal of at most six significant digits. */
function isShortFloat(text: string): boolean {
  const start = text.charCodeAt(0) === 45 ? 1 : 0;
  const length = text.length - start;
  if (length < 3 || length > 7) return false;
  let dot = -1;
  for (let at = start; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === 46 && dot === -1) dot = at;
    else if (unit < 48 || unit > 57) return false;
  }
  if (dot <= start || dot === text.length - 1) return false;
  if (text.charCodeAt(start) === 48 && dot !== start + 1) return false;
  return text.charCodeAt(text.length - 1) !== 48 || dot === text.length - 2;
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const SPACE = /[ \t\n\r]*/y;
const NEEDS_CARE = /[\u0000-\u001f\\]/;

/** A vector as a shard would write it back, without its brackets, and how many numbers it has. */
export interface VectorRead {
  readonly text: string;
  readonly dim: number;
  /** Where a number is too large for 32 bits: `text` has null there. */
  readonly floats?: Buffer;
}

/** Reads one JSON text from left to right. Every method throws JsonSyntaxError where a shard would answer 400. */
export class JsonReader {
  private at = 0;
  private readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  /** The next character that is not white space; empty at the end. */
  peek(): string {
    SPACE.lastIndex = this.at;
    SPACE.test(this.text);
    this.at = SPACE.lastIndex;
    return this.text.charAt(this.at);
  }

  take(expected: string): void {
    if (this.peek() !== expected) throw new JsonSyntaxError(`expected ${expected} at ${this.at}`);
    this.at += 1;
  }

  end(): void {
    if (this.peek() !== '') throw new JsonSyntaxError(`trailing characters at ${this.at}`);
  }

  /** Calls `onEntry` with the reader in front of each value; it must read that value. */
  object(onEntry: (key: string) => void): void {
    this.take('{');
    if (this.peek() === '}') return this.take('}');
    for (;;) {
      this.peek();
      const key = this.string();
      this.take(':');
      onEntry(key);
      if (this.peek() === '}') return this.take('}');
      this.take(',');
    }
  }

  array(onItem: (index: number) => void): void {
    this.take('[');
    if (this.peek() === ']') return this.take(']');
    for (let index = 0; ; index++) {
      onItem(index);
      if (this.peek() === ']') return this.take(']');
      this.take(',');
    }
  }

  string(): string {
    if (this.peek() !== '"') throw new JsonSyntaxError(`expected a string at ${this.at}`);
    const start = this.at;
    let close = this.text.indexOf('"', start + 1);
    const plain = this.text.slice(start + 1, close);
    if (close !== -1 && !NEEDS_CARE.test(plain)) {
      this.at = close + 1;
      return plain;
    }
    while (close !== -1 && this.isEscaped(close)) close = this.text.indexOf('"', close + 1);
    if (close === -1) throw new JsonSyntaxError('EOF while parsing a string');
    this.at = close + 1;
    let value: string;
    try {
      value = JSON.parse(this.text.slice(start, close + 1)) as string;
    } catch (cause) {
      throw new JsonSyntaxError('invalid string', { cause });
    }
    if (/\p{Surrogate}/u.test(value)) throw new JsonSyntaxError('unexpected end of hex escape');
    return value;
  }

  private isEscaped(at: number): boolean {
    let slashes = 0;
    while (this.text.charCodeAt(at - 1 - slashes) === 92) slashes += 1;
    return slashes % 2 === 1;
  }

  numberText(): string {
    this.peek();
    NUMBER.lastIndex = this.at;
    const match = NUMBER.exec(this.text);
    if (match === null) throw new JsonSyntaxError(`expected a value at ${this.at}`);
    this.at = NUMBER.lastIndex;
    if (!Number.isFinite(Number(match[0]))) throw new JsonSyntaxError('number out of range');
    return match[0];
  }

  /** The value as a shard would write it back. */
  canonical(depth = 0): string {
    if (depth > DEPTH_MAX) throw new JsonSyntaxError('recursion limit exceeded');
    switch (this.peek()) {
      case '{': {
        const entries = new Map<string, string>();
        this.object((key) => entries.set(key, this.canonical(depth + 1)));
        const keys = [...entries.keys()].sort(compareIds);
        return `{${keys.map((key) => `${JSON.stringify(key)}:${entries.get(key) ?? ''}`).join(',')}}`;
      }
      case '[': {
        const items: string[] = [];
        this.array(() => items.push(this.canonical(depth + 1)));
        return `[${items.join(',')}]`;
      }
      case '"':
        return JSON.stringify(this.string());
      default:
        return this.literal() ?? canonicalNumber(this.numberText());
    }
  }

  private literal(): string | null {
    for (const word of ['null', 'true', 'false']) {
      if (!this.text.startsWith(word, this.at)) continue;
      this.at += word.length;
      return word;
    }
    return null;
  }

  vector(): VectorRead {
    if (this.peek() !== '[') {
      this.canonical();
      throw new JsonTypeError('vector: invalid type, expected a sequence');
    }
    const close = this.text.indexOf(']', this.at);
    const inside = this.text.slice(this.at + 1, close);
    const parts = inside.split(',');
    if (close !== -1 && parts.every(isNumberText)) {
      this.at = close + 1;
      const isCanonical = parts.every(isShortFloat);
      return isCanonical ? { text: inside, dim: parts.length } : vectorOf(parts);
    }
    const numbers: string[] = [];
    this.array(() => {
      if (!/[-\d]/.test(this.peek())) {
        this.canonical();
        throw new JsonTypeError('vector: invalid type, expected f32');
      }
      numbers.push(this.numberText());
    });
    return vectorOf(numbers);
  }
}

const WHOLE_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d\d?)?$/;
const isNumberText = (part: string): boolean => WHOLE_NUMBER.test(part);
const renderF32Text = (part: string): string => (isShortFloat(part) ? part : renderF32(toNumber(part)));

function vectorOf(parts: readonly string[]): VectorRead {
  const texts = parts.map(renderF32Text);
  const read = { text: texts.join(','), dim: parts.length };
  return texts.includes('null') ? { ...read, floats: floatBytes(parts.map(toNumber)) } : read;
}

/** 32-bit floats as they travel over gRPC. */
export function floatBytes(numbers: readonly number[]): Buffer {
  return Buffer.from(Float32Array.from(numbers).buffer);
}

function canonicalNumber(text: string): string {
  if (!/^-?\d+$/.test(text) || text === '-0') return storedFloat(text);
  if (text.length < 16) return text;
  const value = BigInt(text);
  return value <= U64_MAX && value >= I64_MIN ? text : storedFloat(text);
}

/** A payload is kept as text: read once when it comes in, and once more whenever it goes out. */
const storedFloat = (text: string): string => renderF64(parseF64(renderF64(parseF64(text))));

const SCALE_MAX = 308;

/**
 * A payload's float as Quiver reads it, which is not always the nearest one: it keeps as many digits as 64 bits hold
 * and scales them by one power of ten. So a float with a large exponent that Quiver wrote itself may come out of
 * Quiver's own reading as its neighbour.
 */
export function parseF64(text: string): number {
  const [, sign = '', whole = '', fraction = '', exponentText = '0'] = PARTS.exec(text) ?? [];
  let digits = 0n;
  let exponent = Number(exponentText);
  let isFull = false;
  for (const [index, digit] of Array.from(whole + fraction).entries()) {
    const isFraction = index >= whole.length;
    const next = digits * 10n + BigInt(digit);
    isFull ||= next > U64_MAX;
    if (!isFull) digits = next;
    if (isFraction && !isFull) exponent -= 1;
    if (!isFraction && isFull) exponent += 1;
  }
  let value = Number(digits);
  for (; exponent < -SCALE_MAX && value !== 0; exponent += SCALE_MAX) value /= 1e308;
  if (value !== 0) value = exponent < 0 ? value / Number(`1e${-exponent}`) : value * Number(`1e${exponent}`);
  return sign === '-' ? -value : value;
}

const PARTS = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;
