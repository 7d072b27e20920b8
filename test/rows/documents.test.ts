import { documentBatches } from '../../src/rows/remote/documents/batches';
import { Grouping } from '../../src/rows/remote/documents/document-source';
import { documentOf, tokenCount, tokenOf, upsertDocumentsRequest } from '../../src/shards/stream/documents';
import { FRAME_HEAD_BYTES } from '../../src/shards/stream/protobuf';
import type { Row } from '../../src/rows/ports';

const NONE = Buffer.alloc(0);
const floats = (...values: number[]): Buffer => Buffer.from(Float32Array.from(values).buffer);
const token = (document: string, n: number, payload = n === 0 ? '{"a":1}' : ''): Row => ({
  id: Buffer.from(`${document}\u001f${n}`),
  vector: floats(n, 1),
  payload: Buffer.from(payload),
});
/** In the order in which a shard sends them. */
const tokensOf = (documents: Readonly<Record<string, number>>): Row[] =>
  Object.entries(documents)
    .flatMap(([id, count]) => Array.from({ length: count }, (_, n) => token(id, n)))
    .sort((a, b) => a.id.compare(b.id));
const document = (id: string, count: number): Row =>
  documentOf(Buffer.from(id), new Map(Array.from({ length: count }, (_, n) => [n, token(id, n)])));

describe('a document of several vectors', () => {
  it('is one row with its tokens in order of their numbers, whatever the order of the bytes', () => {
    const rows = tokensOf({ d: 12 });
    expect(rows.map(({ id }) => tokenOf(id)?.token).slice(0, 4)).toEqual([0, 1, 10, 11]);
    const grouping = new Grouping();
    expect(grouping.take(rows)).toEqual([]);
    const [row] = grouping.end();
    expect(row).toEqual(document('d', 12));
    expect(tokenCount(row!)).toBe(12);
    expect(row!.vector.subarray(4)).toEqual(floats(...Array.from({ length: 12 }, (_, n) => [n, 1]).flat()));
    expect(row!.payload.toString()).toBe('{"a":1}');
  });

  it('goes on when the next one begins, also over several batches', () => {
    const grouping = new Grouping();
    const rows = tokensOf({ a: 3, b: 2, c: 1 });
    const seen = rows.flatMap((row) => grouping.take([row]));
    expect([...seen, ...grouping.end()]).toEqual([document('a', 3), document('b', 2), document('c', 1)]);
  });

  it('goes on in byte order of the documents, which is not that of their tokens', () => {
    const ids = ['', '\u0001', '\u0001x', 'a', 'a\u0001', 'a\u0001\u0002', 'a\u0002b', 'a\u0020', 'ab', 'b', 'b\u0000'];
    const rows = tokensOf(Object.fromEntries(ids.map((id) => [id, 2])));
    expect(tokenOf(rows[0]!.id)?.document.toString()).not.toBe('');
    for (const size of [1, 3, rows.length]) {
      const grouping = new Grouping();
      const seen: Row[] = [];
      for (let start = 0; start < rows.length; start += size)
        seen.push(...grouping.take(rows.slice(start, start + size)));
      seen.push(...grouping.end());
      expect(seen.map(({ id }) => id.toString())).toEqual(ids);
    }
  });

  it('tells no other row from a token', () => {
    for (const id of ['plain', 'a\u001f', 'a\u001fx', 'a\u001f-1']) expect(tokenOf(Buffer.from(id))).toBeNull();
    expect(tokenOf(Buffer.from('\u001f7'))).toEqual({ document: NONE, token: 7 });
  });

  it('is written as a shard takes it', () => {
    const written = upsertDocumentsRequest('m', [document('d', 2)]).subarray(FRAME_HEAD_BYTES);
    const field = (number: number, bytes: Buffer): Buffer =>
      Buffer.concat([Buffer.from([number * 8 + 2, bytes.length]), bytes]);
    const vectors = [floats(0, 1), floats(1, 1)].map((vector) => field(2, field(1, vector)));
    const one = Buffer.concat([field(1, Buffer.from('d')), ...vectors, field(3, Buffer.from('{"a":1}'))]);
    expect(written).toEqual(Buffer.concat([field(1, Buffer.from('m')), field(2, one)]));
  });

  it('goes to a shard with few others at once, and is never divided', () => {
    const documents = [60, 60, 60, 300, 1].map((count, n) => document(`d${n}`, count));
    expect(documentBatches(documents).map((batch) => batch.map(tokenCount))).toEqual([[60, 60], [60], [300], [1]]);
  });
});
