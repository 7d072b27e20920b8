/**
 * What the register check writes: a register is one id of one collection, and its point tells which register and which
 * version it is. Payload and vector are written exactly as a shard writes them back, so that they can be compared as
 * text.
 */

/** A collection that is written to. `pathological` ids hold what URLs, escapes and byte order trip over. */
export interface CheckedCollection {
  readonly name: string;
  readonly dim: number;
  readonly metric: 'l2' | 'cosine' | 'dot';
  readonly index: 'hnsw' | 'vamana' | 'disk_vamana' | 'ivf';
  readonly ids: 'plain' | 'pathological';
  /** Points that are there before the clients begin. */
  readonly points: number;
}

/** One id of one collection, by its number: prefilled ones first, then those that clients create. */
export interface Register {
  readonly collection: CheckedCollection;
  readonly number: number;
  readonly id: string;
}

/** UTF-8 order and UTF-16 order differ between the last two; the others are special in a path, a query or an escape. */
const PATHOLOGICAL: readonly ((number: number) => string)[] = [
  (n) => `plain-${n}`,
  (n) => `docs/${n}/page`,
  (n) => `a b ${n}`,
  (n) => `50% of ${n}`,
  (n) => `%2F${n}?x=1#y`,
  (n) => `"${n}"\\`,
  (n) => `\u{1d11e} ${n}`,
  (n) => `\uff5e ${n}`,
];

export function idOf(collection: CheckedCollection, number: number): string {
  if (collection.ids === 'plain') return `point-${String(number).padStart(7, '0')}`;
  const shape = PATHOLOGICAL[number % PATHOLOGICAL.length];
  if (shape === undefined) throw new Error('every number has a shape');
  return shape(number);
}

/**
 * Quiver's router (1.1.0) puts an id into the shard's path without encoding it again, so that it answers 404 for an id
 * that a URL parser would read differently, whatever the coordinator does. Such ids can only be read from the shards.
 */
export function isReadableThroughRouter(id: string): boolean {
  return !/[/?#\\]|%[0-9a-f]{2}|^\.{1,2}$/i.test(id);
}

/**
 * Integers beyond 2^53, a float that is whole, a negative zero, and text with escapes: what a careless copy changes.
 */
export function payloadText(register: Register, version: number): string {
  const text = JSON.stringify(`Grüße ${register.number} 世界 \u{1f5dd} "\\\n`);
  return (
    `{"big":9007199254740993,"float":1.0,"max":18446744073709551615,"register":${register.number},` +
    `"text":${text},"version":${version},"zero":-0.0}`
  );
}

/** A 32-bit float of three digits as a shard renders it, for 0 to 2000. */
const FLOATS = Array.from({ length: 2001 }, (_, index) => {
  const value = (index - 1000) / 1000;
  return Number.isInteger(value) ? value.toFixed(1) : String(value);
});

/** The vector without its brackets: another one for every register and version. */
export function vectorText(register: Register, version: number): string {
  let state = Math.imul(register.number + 1, 0x9e3779b1) ^ Math.imul(version + 1, 0x85ebca6b) ^ 0x2545f491;
  const parts: string[] = [];
  for (let index = 0; index < register.collection.dim; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    parts.push(FLOATS[(state >>> 0) % FLOATS.length] ?? '0.0');
  }
  return parts.join(',');
}

/** The point as it is written, and as reading that one point answers it. */
export function pointText(register: Register, version: number): string {
  return `{"id":${JSON.stringify(register.id)},"vector":[${vectorText(register, version)}],"payload":${payloadText(register, version)}}`;
}

/** The version that a point's JSON tells of itself, or null when it tells none. */
export function versionOf(point: string): number | null {
  const match = /"version":(\d+)/.exec(point);
  return match === null ? null : Number(match[1]);
}

/** The point as an element of a fetch, byte for byte. `pointText` is what reading that one point answers. */
export function fetchedText(register: Register, version: number): string {
  return `{"id":${JSON.stringify(register.id)},"payload":${payloadText(register, version)},"vector":[${vectorText(register, version)}]}`;
}

/** The elements of `points` in the body of a fetch, as the text that they are: JSON.parse would round their numbers. */
export function pointsOfPage(body: string): string[] {
  const points: string[] = [];
  let depth = 0;
  let start = 0;
  for (let at = body.indexOf('['); at < body.length && at !== -1; at++) {
    const unit = body.charCodeAt(at);
    if (unit === QUOTE) at = endOfString(body, at);
    else if (unit === OPEN && depth++ === 0) start = at;
    else if (unit === CLOSE && --depth === 0) points.push(body.slice(start, at + 1));
    else if (unit === CLOSE && depth < 0) return points;
  }
  throw new Error('a page of points is cut off');
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN = 0x7b;
const CLOSE = 0x7d;

function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === BACKSLASH) at++;
    else if (unit === QUOTE) return at;
  }
  throw new Error('a string in a page of points is cut off');
}

/** The id of an element: its first `id` key, which a shard writes before the payload. */
export function idOfPoint(point: string): string {
  if (!point.startsWith('{"id":"')) throw new Error('a point does not begin with its id');
  return JSON.parse(point.slice(6, endOfString(point, 6) + 1)) as string;
}
