import fs, { fstatSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { DIGEST_BYTES, SpoolError, SpoolWriter, type SpooledRow } from '../../../src/rows/spool/spool';
import { Spooling } from '../../../src/rows/spool/spooling';

let parent: string;
let folder: string;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'spool-test-'));
  folder = join(parent, 'spool');
});
afterEach(() => {
  jest.restoreAllMocks();
  rmSync(parent, { recursive: true, force: true });
});

/** As text, because a comparison of large buffers takes its time. */
const shown = (rows: Iterable<SpooledRow>): string[] =>
  [...rows].map(({ id, digest }) => `${id.toString('latin1')} ${digest.toString('hex')}`);

function spooled(rows: readonly SpooledRow[]): string[] {
  const writer = new SpoolWriter(folder);
  for (const { id, digest } of rows) writer.add(id, digest);
  const spool = writer.finish();
  try {
    expect(spool.count).toBe(rows.length);
    const read = shown(spool.read());
    // From the beginning, as often as it is asked for.
    expect([...spool.read()]).toHaveLength(read.length);
    return read;
  } finally {
    spool.close();
  }
}

const bytes = (options: fc.IntArrayConstraints): fc.Arbitrary<Buffer> =>
  fc.uint8Array(options).map((each) => Buffer.from(each));
const digest = bytes({ minLength: DIGEST_BYTES, maxLength: DIGEST_BYTES });
const id = fc.oneof(
  bytes({ minLength: 1, maxLength: 40 }),
  fc.constantFrom(253, 254, 255, 256, 300_000).map((length) => Buffer.alloc(length, 'x')),
);

describe('a spool', () => {
  it('gives back ids of any length and their digests, in the order in which they came', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ id, digest }), { maxLength: 30 }), (rows) => {
        expect(spooled(rows)).toEqual(shown(rows));
      }),
      { numRuns: 30 },
    );
  });

  it('gives back more rows than one chunk of it holds', () => {
    const rows = Array.from({ length: 20_000 }, (_, n) => ({
      id: Buffer.from(`id/${String(n).padStart(8, '0')} \u{10000}`),
      digest: Buffer.alloc(DIGEST_BYTES, n % 256),
    }));
    expect(spooled(rows)).toEqual(shown(rows));
  });

  it('has no name any more as soon as it is open, and nobody else may read it or its folder', () => {
    const open = jest.spyOn(fs, 'openSync');
    const writer = new SpoolWriter(folder);
    const fd = open.mock.results[0]?.value as number;
    expect(readdirSync(folder)).toEqual([]);
    expect(fstatSync(fd)).toMatchObject({ nlink: 0 });
    expect(fstatSync(fd).mode & 0o777).toBe(0o600);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    writer.discard();
    expect(() => fstatSync(fd)).toThrow('EBADF');
  });

  it('says what to do when the disk is full', () => {
    const writer = new SpoolWriter(folder);
    jest.spyOn(fs, 'writeSync').mockImplementation(() => {
      throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    });
    writer.add(Buffer.from('a'), Buffer.alloc(DIGEST_BYTES));
    expect(() => writer.finish()).toThrow(SpoolError);
    expect(() => writer.finish()).toThrow(/ENOSPC.*free some disk space.*COORDINATOR_SPOOL_DIR/);
    writer.discard();
  });

  it('goes on where the disk took only a part of what was written', () => {
    const write = fs.writeSync.bind(fs) as (fd: number, from: Buffer, at: number, length: number) => number;
    const short = (fd: number, from: Buffer, at: number, length: number): number =>
      write(fd, from, at, Math.max(1, Math.min(length, 7)));
    jest.spyOn(fs, 'writeSync').mockImplementation(short as never);
    const rows = Array.from({ length: 20 }, (_, n) => ({
      id: Buffer.from(`a${n}`),
      digest: Buffer.alloc(DIGEST_BYTES, n),
    }));
    expect(spooled(rows)).toEqual(shown(rows));
  });

  it('says so when its folder cannot be made', () => {
    writeFileSync(folder, 'a file');
    expect(() => new SpoolWriter(folder)).toThrow(SpoolError);
  });
});

describe('a spooling', () => {
  it('keeps a spool for each collection, and counts the rows of all', () => {
    const spooling = new Spooling(folder);
    for (const collection of ['b', 'a', 'b']) spooling.add(collection, Buffer.from('x'), Buffer.alloc(DIGEST_BYTES));
    const spools = spooling.finish();
    expect(spooling.rows).toBe(3);
    expect([...spools].map(([collection, { count }]) => [collection, count])).toEqual([
      ['b', 2],
      ['a', 1],
    ]);
    for (const spool of spools.values()) spool.close();
  });

  it('leaves no file open when it is discarded', () => {
    const open = jest.spyOn(fs, 'openSync');
    const spooling = new Spooling(folder);
    for (const collection of ['a', 'b']) spooling.add(collection, Buffer.from('x'), Buffer.alloc(DIGEST_BYTES));
    spooling.discard();
    for (const { value } of open.mock.results) expect(() => fstatSync(value as number)).toThrow('EBADF');
  });
});
