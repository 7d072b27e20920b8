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

const LENGTH = Buffer.alloc(4);

/** In place of a digest: no pass has seen the row. */
export const NO_PROOF = Buffer.alloc(16);

/** 128 bits over vector and payload. It tells whether a row has changed, and nobody chooses rows to deceive it. */
export function rowDigest({ vector, payload }: Row): Buffer {
  LENGTH.writeUInt32LE(vector.length);
  const digest = createHash('sha1').update(LENGTH).update(vector).update(payload).digest();
  return digest.subarray(0, DIGEST_BYTES);
}
