import fc from 'fast-check';
import { rowDigest, type Row } from '../../../src/shards/stream/points';
import {
  closeFrame,
  fieldSize,
  FRAME_HEAD_BYTES,
  FrameReader,
  varintSize,
  WireError,
  WireReader,
  WireWriter,
} from '../../../src/shards/stream/protobuf';

const fieldNumber = fc.integer({ min: 1, max: 15 });
const value = fc.oneof(
  fc.nat().map((number) => ({ number })),
  fc.maxSafeNat().map((number) => ({ number })),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => ({ bytes: Buffer.from(bytes) })),
);
const fields = fc.array(fc.tuple(fieldNumber, value), { maxLength: 20 });
type Field = readonly [number, { readonly number: number } | { readonly bytes: Buffer }];

function write(all: readonly Field[], headroom = 0): Buffer {
  const size = all.reduce(
    (sum, [, each]) => sum + ('number' in each ? 1 + varintSize(each.number) : fieldSize(each.bytes.length)),
    0,
  );
  const writer = new WireWriter(size, headroom);
  for (const [field, each] of all) {
    if ('number' in each) writer.number(field, each.number);
    else writer.bytes(field, each.bytes);
  }
  return writer.finish();
}

function read(message: Buffer): Field[] {
  const all: Field[] = [];
  const reader = new WireReader(message);
  while (reader.next()) {
    if (reader.type === 0) all.push([reader.field, { number: reader.number() }]);
    else all.push([reader.field, { bytes: Buffer.from(reader.bytes()) }]);
  }
  return all;
}

describe('the wire format', () => {
  it('reads back every message that it wrote', () => {
    fc.assert(fc.property(fields, (all) => expect(read(write(all))).toEqual(all)));
  });

  it('passes over fields of every type and reads what stands behind them', () => {
    const unknown = [
      Buffer.from([0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
      Buffer.from([0x09, 1, 2, 3, 4, 5, 6, 7, 8]),
      Buffer.from([0x0d, 1, 2, 3, 4]),
      Buffer.from([0x0a, 2, 1, 2]),
      Buffer.from([0x82, 0x7d, 1, 9]),
    ];
    const reader = new WireReader(Buffer.concat([...unknown, write([[7, { number: 300 }]])]));
    for (const { length } of [unknown]) {
      for (let index = 0; index < length; index++) {
        expect(reader.next()).toBe(true);
        reader.skip();
      }
    }
    expect([reader.next(), reader.field, reader.number(), reader.next()]).toEqual([true, 7, 300, false]);
  });

  it('reads numbers of fixed length', () => {
    const reader = new WireReader(Buffer.from([0x0d, 1, 0, 0, 128, 0x11, 1, 0, 0, 0, 0, 0, 0, 128]));
    expect([reader.next(), reader.fixed32(), reader.next(), reader.fixed64()]).toEqual([
      true,
      0x80000001,
      true,
      0x8000000000000001n,
    ]);
  });

  it('refuses every message that ends inside a field, and never reads beyond it', () => {
    fc.assert(
      fc.property(fields, fc.nat(), (all, at) => {
        const message = write(all);
        const cut = message.subarray(0, message.length === 0 ? 0 : at % message.length);
        try {
          const seen = read(cut);
          expect(seen).toEqual(all.slice(0, seen.length));
        } catch (error) {
          expect(error).toBeInstanceOf(WireError);
        }
      }),
    );
  });

  it('ends with fields or a WireError whatever the bytes are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        const reader = new WireReader(Buffer.from(bytes));
        try {
          while (reader.next()) reader.skip();
        } catch (error) {
          expect(error).toBeInstanceOf(WireError);
        }
      }),
    );
  });

  it.each([
    ['a number above 2^53', [0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]],
    ['a number without end', [0x08, ...new Array<number>(11).fill(0x80)]],
    ['a field with the number 0', [0x00, 0x01]],
    ['text in the place of a number', [0x0a, 0x01, 0x41]],
  ])('refuses %s', (_, bytes) => {
    const reader = new WireReader(Buffer.from(bytes));
    expect(() => reader.next() && reader.number()).toThrow(WireError);
  });

  it('refuses a size that was computed wrongly', () => {
    expect(() => new WireWriter(5).number(1, 1).finish()).toThrow(WireError);
  });
});

describe('the frame reader', () => {
  it('gives the same messages however the stream is cut into chunks', () => {
    const messages = fc.array(
      fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(messages, fc.infiniteStream(fc.integer({ min: 1, max: 30 })), (sent, sizes) => {
        const stream = Buffer.concat(sent.map((each) => framed(each)));
        const frames = new FrameReader();
        const seen: Buffer[] = [];
        for (let at = 0; at < stream.length;) {
          const size = sizes.next().value as number;
          seen.push(...frames.push(stream.subarray(at, at + size)));
          at += size;
        }
        expect(seen.map((each) => each.toString('hex'))).toEqual(sent.map((each) => each.toString('hex')));
        expect(frames.isBetweenMessages).toBe(true);
      }),
    );
  });

  it('knows when a stream has ended inside a message', () => {
    const frames = new FrameReader();
    expect(frames.push(framed(Buffer.from('abc')).subarray(0, 6))).toEqual([]);
    expect(frames.isBetweenMessages).toBe(false);
  });

  it('refuses a compressed and an endless message', () => {
    expect(() => new FrameReader().push(Buffer.from([1, 0, 0, 0, 0]))).toThrow('compressed');
    expect(() => new FrameReader().push(Buffer.from([0, 0xff, 0, 0, 0]))).toThrow('bytes');
  });
});

describe('the digest of a row', () => {
  const row = (vector: string, payload: string, id = 'a'): Row => ({
    id: Buffer.from(id),
    vector: Buffer.from(vector),
    payload: Buffer.from(payload),
  });

  it('has 128 bits and does not depend on the id', () => {
    expect(rowDigest(row('vvvv', '{}'))).toHaveLength(16);
    expect(rowDigest(row('vvvv', '{}'))).toEqual(rowDigest(row('vvvv', '{}', 'b')));
  });

  it('differs when a byte changes or moves from the vector to the payload', () => {
    const digests = [row('vvvv', '{}'), row('vvvw', '{}'), row('vvvv', '[]'), row('vvvv{', '}'), row('', 'vvvv{}')];
    expect(new Set(digests.map((each) => rowDigest(each).toString('hex'))).size).toBe(digests.length);
  });

  it('takes rows of any size', () => {
    const large = row('v'.repeat(40_000), '{}');
    expect(rowDigest(large)).toEqual(rowDigest(large));
    expect(rowDigest(large)).not.toEqual(rowDigest(row('v'.repeat(40_000), '{]')));
  });
});

function framed(message: Buffer): Buffer {
  return closeFrame(Buffer.concat([Buffer.alloc(FRAME_HEAD_BYTES), message]));
}
