/**
 * Rows where only REST can be reached: elements of JSON as bytes, and back. Payloads stay the bytes that came. A shard
 * prints each float of a vector as the shortest decimal that reads back as it, so nothing is lost either way.
 *
 * Only infinite elements, and those that are no number, are lost: a shard shows both as null. Whoever writes a number
 * that is too large for 32 bits gets one, so clients can make them. Such a row is read as one that cannot be written.
 */
import { DomainError } from '../../domain/errors';
import type { Row } from '../ports';

const [QUOTE, BACKSLASH, COMMA, COLON] = [0x22, 0x5c, 0x2c, 0x3a];
const [OPEN, CLOSE, OPEN_LIST, CLOSE_LIST] = [0x7b, 0x7d, 0x5b, 0x5d];

/** One point as a shard answers it: compact JSON, an object. */
export function rowOfElement(id: Buffer, element: Buffer): Row {
  const fields = topFields(element);
  const vector = fields.get('vector');
  const payload = fields.get('payload');
  return {
    id: Buffer.from(id),
    vector: vector === undefined ? Buffer.alloc(0) : floatsOf(vector.toString('latin1')),
    payload: payload === undefined || payload.equals(NULL) ? Buffer.alloc(0) : Buffer.from(payload),
  };
}

const NULL = Buffer.from('null');

export function elementOfRow({ id, vector, payload }: Row): Buffer {
  const floats = Array.from({ length: vector.length / 4 }, (_, index) => decimal(vector.readFloatLE(index * 4)));
  const head = `{"id":${JSON.stringify(id.toString('utf8'))},"vector":[${floats.join(',')}]`;
  if (payload.length === 0) return Buffer.from(`${head}}`);
  return Buffer.concat([Buffer.from(`${head},"payload":`), payload, Buffer.from('}')]);
}

/** A shard reads this as infinite. */
const TOO_LARGE = '1e39';

function notWritable(): DomainError {
  return new DomainError(
    'NeedsOperator',
    'expected vectors of finite numbers where shards are reached over REST alone, found one with an element that is infinite or no number, which REST does not carry: let the coordinator reach the gRPC addresses of the shards, or correct that point',
  );
}

/** A double that is a float prints with more digits than it needs, and reads back as the same float. */
function decimal(value: number): string {
  if (Number.isNaN(value)) throw notWritable();
  if (!Number.isFinite(value)) return value > 0 ? TOO_LARGE : `-${TOO_LARGE}`;
  return Object.is(value, -0) ? '-0.0' : String(value);
}

function floatsOf(list: string): Buffer {
  const values = JSON.parse(list) as (number | null)[];
  const bytes = Buffer.allocUnsafe(values.length * 4);
  values.forEach((value, index) => bytes.writeFloatLE(value ?? Number.NaN, index * 4));
  return bytes;
}

function topFields(element: Buffer): Map<string, Buffer> {
  const fields = new Map<string, Buffer>();
  let at = 1;
  while (element[at] === QUOTE) {
    const keyEnd = endOfString(element, at);
    const key = element.toString('utf8', at + 1, keyEnd - 1);
    if (element[keyEnd] !== COLON) throw new SyntaxError('a point is not an object of JSON');
    const end = endOfValue(element, keyEnd + 1);
    fields.set(key, element.subarray(keyEnd + 1, end));
    at = element[end] === COMMA ? end + 1 : end;
  }
  return fields;
}

function endOfString(bytes: Buffer, start: number): number {
  for (let at = start + 1; at < bytes.length; at++) {
    if (bytes[at] === BACKSLASH) at += 1;
    else if (bytes[at] === QUOTE) return at + 1;
  }
  throw new SyntaxError('a point ends inside a text');
}

function endOfValue(bytes: Buffer, start: number): number {
  let depth = 0;
  for (let at = start; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) at = endOfString(bytes, at) - 1;
    else if (byte === OPEN || byte === OPEN_LIST) depth += 1;
    else if ((byte === CLOSE || byte === CLOSE_LIST) && depth > 0) depth -= 1;
    else if ((byte === COMMA || byte === CLOSE) && depth === 0) return at;
  }
  throw new SyntaxError('a point ends inside a value');
}
