import * as fc from 'fast-check';
import { POINT_BYTES_MAX } from '../../../src/domain/limits';
import { MalformedBodyError, PointScanner, scanPoints, type PointElement } from '../../../src/shards/rows/point-stream';
import { expectedPoints, type ExpectedPoint } from '../../support/json-oracle';

/** What the scanner makes of the chunks, in the oracle's words: null when it refuses. */
function scan(chunks: readonly Uint8Array[]): ExpectedPoint[] | null {
  const scanner = new PointScanner();
  try {
    const found = chunks.flatMap((chunk) => scanner.push(chunk));
    // Views are read only now, after all chunks have gone through: they must still stand.
    scanner.end();
    return found.map(({ id, raw }) => ({ id: id.toString('utf8'), raw: raw.toString('utf8') }));
  } catch (error) {
    if (error instanceof MalformedBodyError) return null;
    throw error;
  }
}

function cut(body: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [0, ...places.map((place) => place % (body.length + 1)).sort((a, b) => a - b), body.length];
  return sorted.slice(1).map((end, index) => Buffer.from(body.subarray(sorted[index], end)));
}

// ---- Documents as text, so that all of JSON's freedom is used ----

const anySpace = fc.string({ unit: fc.constantFrom(' ', '\n', '\t', '\r'), maxLength: 2 });
const hex4 = fc.nat(0xffff).map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`);
const anyEscape = fc.constantFrom(
  '\\n',
  '\\"',
  '\\\\',
  '\\/',
  '\\b',
  '\\f',
  '\\r',
  '\\t',
  '\\u0000',
  '\\uD83D\\uDE00',
  '\\u00e9',
);
const anyChar = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 2 })
  .map((text) => JSON.stringify(text).slice(1, -1));
const wholeBody = fc.array(fc.oneof(anyEscape, anyChar), { maxLength: 5 }).map((parts) => parts.join(''));
const anyBody = fc
  .array(fc.oneof({ weight: 4, arbitrary: wholeBody }, hex4), { maxLength: 4 })
  .map((parts) => parts.join(''));
const quoted = (body: fc.Arbitrary<string>): fc.Arbitrary<string> => body.map((text) => `"${text}"`);

const anyNumber = fc.oneof(
  fc.constantFrom(
    '0',
    '-0',
    '-0.0',
    '1.0',
    '1e400',
    '-1E-400',
    '18446744073709551615',
    '9007199254740993',
    '0.1e+07',
    '5e0',
  ),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
);
const anyKey = fc.oneof(
  quoted(anyBody),
  fc.constantFrom('"points"', '"id"', '"payload"', '"vector"', '"i"', '"ids"', '"point"', '"\\u0069\\u0064x"'),
);
const idKey = fc.constantFrom('"id"', '"\\u0069d"', '"i\\u0064"', '"\\u0069\\u0064"');
const pointsKey = fc.constantFrom(
  '"points"',
  '"points"',
  '"p\\u006fints"',
  '"\\u0070\\u006F\\u0069\\u006e\\u0074\\u0073"',
);

interface Member {
  readonly key: string;
  readonly value: string;
}
const objectOf = (members: readonly Member[], space: string): string =>
  `{${space}${members.map(({ key, value }) => `${key}${space}:${space}${value}`).join(`${space},${space}`)}${space}}`;
const arrayOf = (items: readonly string[], space: string): string => `[${space}${items.join(`${space},`)}${space}]`;

const { value: anyValue } = fc.letrec<{ value: string; array: string; object: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    anyNumber,
    fc.constantFrom('true', 'false', 'null', '""', '{}', '[]'),
    quoted(anyBody),
    tie('array'),
    tie('object'),
  ),
  array: fc.tuple(fc.array(tie('value'), { maxLength: 4 }), anySpace).map(([items, space]) => arrayOf(items, space)),
  object: fc
    .tuple(fc.array(fc.record({ key: anyKey, value: tie('value') }), { maxLength: 4 }), anySpace)
    .map(([members, space]) => objectOf(members, space)),
}));

const otherKey = (own: string): fc.Arbitrary<string> => anyKey.filter((key) => JSON.parse(key) !== own);
const mixed = (own: string, key: fc.Arbitrary<string>, value: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc
    .tuple(
      fc.array(fc.record({ key: otherKey(own), value: anyValue }), { maxLength: 3 }),
      fc.record({ key, value }),
      fc.nat(3),
      anySpace,
    )
    .map(([others, mine, place, space]) => objectOf(others.toSpliced(place, 0, mine), space));

const anyPoint = mixed('id', idKey, quoted(wholeBody));
const anyPoints = fc
  .tuple(fc.array(anyPoint, { maxLength: 5 }), anySpace)
  .map(([items, space]) => arrayOf(items, space));
const anyDocument = fc
  .tuple(anySpace, mixed('points', pointsKey, anyPoints), anySpace)
  .map(([before, document, after]) => Buffer.from(before + document + after));
/** A few places, or all of them. */
const anyCuts = fc.oneof(
  { weight: 4, arbitrary: fc.array(fc.nat(), { maxLength: 6 }) },
  { weight: 1, arbitrary: fc.constant(Array.from({ length: 500 }, (_, at) => at)) },
);

// ---- Documents with something wrong ----

interface Mutation {
  readonly at: number;
  readonly drop: number;
  readonly insert: Buffer;
}
const anyInsert = fc.oneof(
  fc.constantFrom(
    ...'{}[]",:\\01-+.eEtfn u\u0001'.split(''),
    '"id":"x",',
    '"points":[],',
    ',,',
    '01',
    '\\ud800',
    'nul',
    '\u2028',
  ),
  fc.string({ unit: 'binary', maxLength: 2 }),
);
const anyMutation: fc.Arbitrary<Mutation> = fc.record({
  at: fc.nat(),
  drop: fc.nat(3),
  insert: fc.oneof(
    anyInsert.map((text) => Buffer.from(text)),
    fc.uint8Array({ maxLength: 2 }).map((bytes) => Buffer.from(bytes)),
  ),
});
const mutate = (body: Buffer, { at, drop, insert }: Mutation): Buffer => {
  const place = at % (body.length + 1);
  return Buffer.concat([body.subarray(0, place), insert, body.subarray(place + drop)]);
};

describe('PointScanner', () => {
  it('yields the id and the exact bytes of every point of any well-formed document, however it is cut into chunks', () => {
    fc.assert(
      fc.property(anyDocument, anyCuts, (body, cuts) => {
        const expected = expectedPoints(body);
        expect(expected).not.toBeNull();
        expect(scan(cut(body, cuts))).toEqual(expected);
      }),
      { numRuns: 1_000 },
    );
  });

  it('refuses a mutated document exactly when JSON.parse does or the shape is wrong, however it is cut into chunks', () => {
    let refused = 0;
    fc.assert(
      fc.property(
        anyDocument,
        fc.array(anyMutation, { minLength: 1, maxLength: 2 }),
        anyCuts,
        (body, mutations, cuts) => {
          const mutated = mutations.reduce(mutate, body);
          const expected = expectedPoints(mutated);
          if (expected === null) refused += 1;
          expect(scan(cut(mutated, cuts))).toEqual(expected);
        },
      ),
      { numRuns: 2_500 },
    );
    // Else the generator proves nothing about one of the two sides.
    expect(refused).toBeGreaterThan(500);
    expect(refused).toBeLessThan(2_450);
  });

  it('refuses every document that ends before its JSON does', () => {
    const body = Buffer.from('{"a":1,"points":[{"id":"a","payload":{"n":-1.5e3,"t":true,"s":"\\u00e9é"}}]}');
    for (let length = 0; length < body.length; length++) expect(scan([body.subarray(0, length)])).toBeNull();
    expect(scan([body])).toHaveLength(1);
  });

  it.each([
    ['no points', '{"other":[]}'],
    ['points twice', '{"points":[],"points":[]}'],
    ['points twice, once with an escape', '{"points":[],"poi\\u006ets":[]}'],
    ['points that are no array', '{"points":{}}'],
    ['points that are null', '{"points":null}'],
    ['a top-level array', '[{"id":"a"}]'],
    ['a point that is no object', '{"points":["a"]}'],
    ['a point without an id', '{"points":[{"x":{"id":"a"}}]}'],
    ['a point with two ids', '{"points":[{"id":"a","id":"a"}]}'],
    ['a point with two ids, one with an escape', '{"points":[{"id":"a","\\u0069d":"a"}]}'],
    ['an id that is a number', '{"points":[{"id":1}]}'],
    ['an id with half a surrogate pair', '{"points":[{"id":"\\ud83d"}]}'],
    ['an id with a surrogate pair the wrong way round', '{"points":[{"id":"\\ude00\\ud83d"}]}'],
    ['a leading zero', '{"points":[],"a":01}'],
    ['a bare minus', '{"points":[],"a":-}'],
    ['a number that ends in a point', '{"points":[],"a":[1.]}'],
    ['a number that begins with a plus', '{"points":[],"a":+1}'],
    ['a misspelt literal', '{"points":[],"a":nulL}'],
    ['a control character in a string', '{"points":[],"a":"\n"}'],
    ['an unknown escape', '{"points":[],"a":"\\x"}'],
    ['a trailing comma in an array', '{"points":[{"id":"a"},]}'],
    ['a trailing comma in an object', '{"points":[],}'],
    ['something behind the end', '{"points":[]} x'],
    ['a second document', '{"points":[]}{"points":[]}'],
    ['a byte order mark', '\ufeff{"points":[]}'],
    ['closing brackets that do not match', '{"points":[}]'],
    ['nothing', ''],
  ])('refuses a body with %s', (_what, body) => {
    expect(scan([Buffer.from(body)])).toBeNull();
  });

  it.each([
    ['an overlong form', [0xc0, 0xaf]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
    ['something above U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
    ['a lone continuation', [0x80]],
    ['a sequence that is cut', [0xe2, 0x82]],
  ])('refuses %s of UTF-8 in an id and in a payload', (_what, bytes) => {
    for (const key of ['id', 'x']) {
      const [before, after] = [`{"points":[{"id2":0,${key === 'id' ? '' : '"id":"a",'}"${key}":"`, '"}]}'];
      expect(scan([Buffer.from(before), Buffer.from('ok'), Buffer.from(after)])).toHaveLength(1);
      expect(scan([Buffer.from(before), Buffer.from(bytes), Buffer.from(after)])).toBeNull();
    }
  });

  it('says at which byte a body is wrong, and nothing of what stands there', () => {
    const body = Buffer.from('{"points":[{"id":"secret-id","payload":secret-payload}]}');
    const scanner = new PointScanner();
    const attempt = (): unknown => [scanner.push(body.subarray(0, 20)), scanner.push(body.subarray(20))];
    expect(attempt).toThrow(/^byte 39 is not allowed there/);
    expect(attempt).not.toThrow(/secret/);
  });

  it('refuses a point over POINT_BYTES_MAX as soon as it is, and takes one of exactly that size', () => {
    const around = '{"id":"a","p":""}'.length;
    const bodyOf = (bytes: number): Buffer =>
      Buffer.from(`{"points":[{"id":"a","p":"${'x'.repeat(bytes - around)}"}]}`);
    const chunksOf = (body: Buffer): Buffer[] =>
      cut(
        body,
        Array.from({ length: 300 }, (_, index) => index * 65_536),
      );
    const tooLarge = new PointScanner();
    expect(() => {
      for (const chunk of chunksOf(bodyOf(2 * POINT_BYTES_MAX)).slice(0, 258)) tooLarge.push(chunk);
    }).toThrow(expect.objectContaining({ isPointTooLarge: true }) as Error);
    expect(() => new PointScanner().push(bodyOf(POINT_BYTES_MAX + 1))).toThrow(MalformedBodyError);
    const largest = new PointScanner();
    const found = chunksOf(bodyOf(POINT_BYTES_MAX)).flatMap((chunk) => largest.push(chunk));
    expect(found.map(({ raw }) => raw.length)).toEqual([POINT_BYTES_MAX]);
  });

  it('refuses nesting deeper than 1,000, wherever it is, and takes 1,000', () => {
    const nested = (depth: number): Buffer => Buffer.from(`{"points":[],"a":${'['.repeat(depth)}${']'.repeat(depth)}}`);
    expect(scan([nested(999)])).toEqual([]);
    expect(scan([nested(1_000)])).toBeNull();
  });

  it('copies ids, so that keeping them does not keep the chunks that they came in', () => {
    const chunk = Buffer.from(new Uint8Array(Buffer.from('{"points":[{"id":"a"},{"id":"\\u0062"}]}')).buffer);
    const found = new PointScanner().push(chunk);
    expect(found.map(({ id }) => id.toString())).toEqual(['a', 'b']);
    for (const { id, raw } of found) {
      expect(raw.buffer).toBe(chunk.buffer);
      expect(id.buffer).not.toBe(chunk.buffer);
    }
  });
});

describe('scanPoints', () => {
  async function* chunksOf(parts: readonly string[], asked: { count: number }): AsyncGenerator<Uint8Array> {
    for (const part of parts) {
      asked.count += 1;
      yield await Promise.resolve(Buffer.from(part));
    }
  }

  it('yields points before the body is complete, and asks for no chunk before the consumer asks for points', async () => {
    const asked = { count: 0 };
    const batches = scanPoints(chunksOf(['{"points":[{"id":"a"},{"id"', ':"b"}', ',{"id":"c"}]}'], asked));
    const seen: [string, number][] = [];
    for await (const batch of batches) seen.push([batch.map(({ id }) => id.toString()).join(), asked.count]);
    expect(seen).toEqual([
      ['a', 1],
      ['b', 2],
      ['c', 3],
    ]);
  });

  it('throws at the end of a body that was cut between two points, after having yielded those before', async () => {
    const seen: PointElement[] = [];
    const read = async (): Promise<void> => {
      for await (const batch of scanPoints(chunksOf(['{"points":[{"id":"a"}', ',{"id":"b"}'], { count: 0 }))) {
        seen.push(...batch);
      }
    };
    await expect(read()).rejects.toThrow('the body ends at byte 32, before its JSON does');
    expect(seen).toHaveLength(2);
  });
});
