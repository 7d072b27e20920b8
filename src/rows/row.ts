/** A row is bytes on its whole way (INV-6). The vector is compared to the bit, the payload as ADR 13 says. */
import { createHash } from 'node:crypto';
import { DIGEST_BYTES } from './spool/spool';
import { isSameJson } from './same-json';
import type { Row } from './ports';

export function isSameRow(a: Row | null, b: Row | null): boolean {
  if (a === null || b === null) return a === b;
  return a.vector.equals(b.vector) && isSameJson(a.payload, b.payload);
}

export function rowBytes(row: Row): number {
  return row.id.length + row.vector.length + row.payload.length;
}

/** The same row in memory of its own. A row of a scan is a view, and keeps all that arrived with it in memory. */
export function keptRow({ id, vector, payload }: Row): Row {
  const bytes = Buffer.concat([id, vector, payload]);
  const payloadAt = id.length + vector.length;
  return {
    id: bytes.subarray(0, id.length),
    vector: bytes.subarray(id.length, payloadAt),
    payload: bytes.subarray(payloadAt),
  };
}

const LENGTH = Buffer.alloc(4);

/** In place of a digest: no pass has seen the row. */
export const NO_PROOF = Buffer.alloc(16);

/** 128 bits over vector and payload. It tells whether a row has changed, and nobody chooses rows to deceive it. */
export function rowDigest({ vector, payload }: Row): Buffer {
  LENGTH.writeUInt32LE(vector.length);
  const digest = createHash('sha1').update(LENGTH).update(vector).update(payload).digest();
  return digest.subarray(0, DIGEST_BYTES);
}
