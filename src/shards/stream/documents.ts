/**
 * Documents of several vectors, as Quiver 1.1.0 takes and gives them.
 *
 *     UpsertMultiVectorRequest   1 collection, 2 { 1 id, 2 { 1 packed floats }…, 3 payload: JSON }…    answer: 1 count
 *
 * `Replicate` gives a row a token: its id is `<document>\x1f<n>`, and the payload stands at token 0. No document has
 * that byte in its id. Here a document is one Row: its vector is the number of its tokens, in 4 bytes, and then these.
 */
import type { Row } from './points';
import { FRAME_HEAD_BYTES, fieldSize, WireError, WireWriter } from './protobuf';

const TOKEN_MARK = 0x1f;
const COUNT_BYTES = 4;
const NO_BYTES = Buffer.alloc(0);

/** Which token of which document a row is; null when it is none. */
export function tokenOf(id: Buffer): { readonly document: Buffer; readonly token: number } | null {
  const at = id.lastIndexOf(TOKEN_MARK);
  const token = id.toString('latin1', at + 1);
  return at < 0 || !/^\d{1,9}$/.test(token) ? null : { document: id.subarray(0, at), token: Number(token) };
}

/** The bytes are copies. */
export function documentOf(id: Buffer, tokens: ReadonlyMap<number, Row>): Row {
  const inOrder = [...tokens].sort(([a], [b]) => a - b).map(([, row]) => row.vector);
  const count = Buffer.alloc(COUNT_BYTES);
  count.writeUInt32LE(inOrder.length);
  return {
    id: Buffer.from(id),
    vector: Buffer.concat([count, ...inOrder]),
    payload: Buffer.from(tokens.get(0)?.payload ?? NO_BYTES),
  };
}

export function tokenCount({ vector }: Row): number {
  return vector.length < COUNT_BYTES ? 0 : vector.readUInt32LE(0);
}

export function documentsSize(documents: readonly Row[]): number {
  return documents.reduce((sum, document) => sum + fieldSize(sizesOf(document).all), 0);
}

/** @throws WireError */
export function upsertDocumentsRequest(collection: string, documents: readonly Row[]): Buffer {
  const name = Buffer.from(collection);
  const writer = new WireWriter(fieldSize(name.length) + documentsSize(documents), FRAME_HEAD_BYTES).bytes(1, name);
  for (const document of documents) {
    const { all, token } = sizesOf(document);
    writer.open(2, all).bytes(1, document.id);
    for (let at = COUNT_BYTES; at < document.vector.length; at += token) {
      writer.open(2, fieldSize(token)).bytes(1, document.vector.subarray(at, at + token));
    }
    if (document.payload.length > 0) writer.bytes(3, document.payload);
  }
  return writer.finish();
}

function sizesOf(document: Row): { readonly all: number; readonly token: number } {
  const { id, vector, payload } = document;
  const count = tokenCount(document);
  const token = (vector.length - COUNT_BYTES) / count;
  if (count === 0 || !Number.isInteger(token)) throw new WireError('the tokens of a document are not of one length');
  const payloadSize = payload.length === 0 ? 0 : fieldSize(payload.length);
  return { all: fieldSize(id.length) + count * fieldSize(fieldSize(token)) + payloadSize, token };
}
