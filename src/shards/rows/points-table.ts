/**
 * The table that drives the scanner of point-stream.ts: for every state and byte either the next state or an action. It
 * accepts exactly JSON in well-formed UTF-8, and tells three kinds of place apart:
 *
 * - *object*: any object whose keys do not matter,
 * - *watched object*: the document itself and the elements of `points`, whose keys are looked at,
 * - *array*: any array, except `points` itself, which has its own states because it holds nothing but objects.
 *
 * Numbers, literals and strings run through without an action. So the hot loop is one load per byte, and no branch
 * depends on the data. States are shifted by 8 bits: the entry for (state, byte) is at `state | byte`.
 */

/** Entries from here on are actions. */
export const ACTION_MIN = 0xff00;

export const Action = {
  Refuse: 0xff00,
  OpenObject: 0xff01,
  OpenArray: 0xff02,
  /** A closed container: the place to return to is on the scanner's stack. */
  Close: 0xff03,
  OpenPoints: 0xff04,
  OpenElement: 0xff05,
  BeginKey: 0xff06,
  EndKey: 0xff07,
  BeginId: 0xff08,
  EndId: 0xff09,
} as const;

const table: number[] = [];
let stateCount = 0;

function newState(): number {
  const state = stateCount << 8;
  stateCount += 1;
  for (let byte = 0; byte < 256; byte++) table.push(Action.Refuse);
  return state;
}

function on(state: number, bytes: string, next: number): void {
  for (const char of bytes) table[state | char.charCodeAt(0)] = next;
}

function onRange(state: number, first: number, last: number, next: number): void {
  for (let byte = first; byte <= last; byte++) table[state | byte] = next;
}

const DIGITS = '0123456789';
const SPACE = ' \t\n\r';

function newSpacedState(): number {
  const state = newState();
  on(state, SPACE, state);
  return state;
}

/** The states of a string's body: the first one is behind the opening quote, `end` follows the closing one. */
function newString(end: number): number {
  const body = newState();
  onRange(body, 0x20, 0x7f, body);
  on(body, '"', end);
  const escape = newState();
  on(body, '\\', escape);
  on(escape, '"\\/bfnrt', body);
  let hex = body;
  for (let digit = 0; digit < 4; digit++) {
    const state = newState();
    on(state, DIGITS + 'abcdefABCDEF', hex);
    hex = state;
  }
  on(escape, 'u', hex);
  addUtf8(body);
  return body;
}

/** Well-formed sequences only: no overlong forms, no surrogates, nothing above U+10FFFF (Unicode 15, table 3-7). */
function addUtf8(body: number): void {
  const continued = (first: number, last: number, next: number): number => {
    const state = newState();
    onRange(state, first, last, next);
    return state;
  };
  const last1 = continued(0x80, 0xbf, body);
  const last2 = continued(0x80, 0xbf, last1);
  onRange(body, 0xc2, 0xdf, last1);
  onRange(body, 0xe1, 0xef, last2);
  onRange(body, 0xe0, 0xe0, continued(0xa0, 0xbf, last1));
  onRange(body, 0xed, 0xed, continued(0x80, 0x9f, last1));
  onRange(body, 0xf1, 0xf3, continued(0x80, 0xbf, last2));
  onRange(body, 0xf0, 0xf0, continued(0x90, 0xbf, last2));
  onRange(body, 0xf4, 0xf4, continued(0x80, 0x8f, last2));
}

/** Lets `state` also take what `other` takes: for the ends of numbers, which nothing marks but the byte behind them. */
function alsoAs(state: number, other: number): void {
  for (let byte = 0; byte < 256; byte++) {
    const next = table[other | byte];
    if (next !== undefined && next !== Action.Refuse) table[state | byte] = next;
  }
}

function addNumber(start: number, after: number): void {
  const [minus, zero, int, point] = [newState(), newState(), newState(), newState()];
  const [fraction, exponent, sign, power] = [newState(), newState(), newState(), newState()];
  for (const end of [zero, int, fraction, power]) alsoAs(end, after);
  on(start, '-', minus);
  for (const from of [start, minus]) {
    on(from, '0', zero);
    on(from, '123456789', int);
  }
  on(int, DIGITS, int);
  for (const from of [zero, int]) on(from, '.', point);
  for (const from of [point, fraction]) on(from, DIGITS, fraction);
  for (const from of [zero, int, fraction]) on(from, 'eE', exponent);
  on(exponent, '+-', sign);
  for (const from of [exponent, sign, power]) on(from, DIGITS, power);
}

function addLiteral(start: number, literal: string, after: number): void {
  let state = start;
  for (const char of literal.slice(0, -1)) {
    const next = newState();
    on(state, char, next);
    state = next;
  }
  on(state, literal.slice(-1), after);
}

/** Makes `start` take any value; `after` follows it. What `after` takes must be in the table already. */
function addValue(start: number, after: number): void {
  addNumber(start, after);
  on(start, '"', newString(after));
  for (const literal of ['true', 'false', 'null']) addLiteral(start, literal, after);
  on(start, '{', Action.OpenObject);
  on(start, '[', Action.OpenArray);
}

/** An object: its state behind `{`, behind a key, behind the colon and behind a value. */
function newObject(watched: boolean): { first: number; colon: number; after: number } {
  const [first, key, colon, value, after] = [
    newSpacedState(),
    newSpacedState(),
    newSpacedState(),
    newSpacedState(),
    newSpacedState(),
  ];
  const quote = watched ? Action.BeginKey : newString(colon);
  on(first, '}', Action.Close);
  on(first, '"', quote);
  on(key, '"', quote);
  on(colon, ':', value);
  on(after, ',', key);
  on(after, '}', Action.Close);
  addValue(value, after);
  return { first, colon, after };
}

function newArray(): { first: number; after: number } {
  const [first, next, after] = [newSpacedState(), newSpacedState(), newSpacedState()];
  on(after, ',', next);
  on(after, ']', Action.Close);
  addValue(next, after);
  alsoAs(first, next);
  on(first, SPACE, first);
  on(first, ']', Action.Close);
  return { first, after };
}

/** The `points` array: elements are objects. */
function newPoints(): { first: number; after: number } {
  const [first, next, after] = [newSpacedState(), newSpacedState(), newSpacedState()];
  on(first, '{', Action.OpenElement);
  on(first, ']', Action.Close);
  on(next, '{', Action.OpenElement);
  on(after, ',', next);
  on(after, ']', Action.Close);
  return { first, after };
}

/** A colon and then, instead of any value, only `byte`, which is an action. */
function newOnly(byte: string, action: number): number {
  const [colon, value] = [newSpacedState(), newSpacedState()];
  on(colon, ':', value);
  on(value, byte, action);
  return colon;
}

const start = newSpacedState();
on(start, '{', Action.OpenObject);

const object = newObject(false);
const watched = newObject(true);
const array = newArray();
const points = newPoints();

/** The states that the scanner itself must know. */
export const State = {
  Start: start,
  /** Behind the document: white space only. */
  Done: newSpacedState(),
  ObjectFirst: object.first,
  ObjectAfter: object.after,
  WatchedFirst: watched.first,
  WatchedAfter: watched.after,
  /** Behind a key of a watched object that has no meaning here. */
  WatchedColon: watched.colon,
  ArrayFirst: array.first,
  ArrayAfter: array.after,
  PointsFirst: points.first,
  PointsAfter: points.after,
  /** Behind the key `points` of the document. */
  PointsColon: newOnly('[', Action.OpenPoints),
  /** Behind the key `id` of an element. */
  IdColon: newOnly('"', Action.BeginId),
  KeyBody: newString(Action.EndKey),
  IdBody: newString(Action.EndId),
} as const;

export const TABLE: Uint16Array = Uint16Array.from(table);
