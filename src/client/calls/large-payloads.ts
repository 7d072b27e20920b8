/**
 * What is large goes to Temporal compressed. An operation on 1,024 shards carries 640 KiB through continue-as-new, mostly
 * addresses and counts by donor, and Temporal ends what brings it 2 MiB. Small ones stay as they are: people read those
 * in the Web UI, and a worker of an older release reads them too.
 */
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { METADATA_ENCODING_KEY, type DataConverter, type Payload, type PayloadCodec } from '@temporalio/common';

export const LARGE_BYTES = 64 * 1024;
const COMPRESSED = Buffer.from('binary/gzip');
/** The encoding that the payload had before. */
const ENCODING_BEFORE = 'encoding-before';
/** Nothing that was written here is larger. */
const BYTES_MAX = 64 * 1024 * 1024;

const compress = promisify(gzip) as (data: Uint8Array) => Promise<Buffer>;
const decompress = promisify(gunzip) as (data: Uint8Array, options: { maxOutputLength: number }) => Promise<Buffer>;

class LargePayloads implements PayloadCodec {
  encode(payloads: Payload[]): Promise<Payload[]> {
    return Promise.all(payloads.map(encoded));
  }

  decode(payloads: Payload[]): Promise<Payload[]> {
    return Promise.all(payloads.map(decoded));
  }
}

/** For every client and every worker: one without it cannot read what another one wrote. */
export const DATA_CONVERTER: DataConverter = { payloadCodecs: [new LargePayloads()] };

async function encoded(payload: Payload): Promise<Payload> {
  const { data, metadata } = payload;
  const encoding = metadata?.[METADATA_ENCODING_KEY];
  if (data == null || data.length < LARGE_BYTES || encoding === undefined) return payload;
  return {
    metadata: { ...metadata, [METADATA_ENCODING_KEY]: COMPRESSED, [ENCODING_BEFORE]: encoding },
    data: await compress(data),
  };
}

async function decoded(payload: Payload): Promise<Payload> {
  const { data, metadata } = payload;
  const { [METADATA_ENCODING_KEY]: encoding, [ENCODING_BEFORE]: before, ...others } = metadata ?? {};
  if (data == null || before === undefined || encoding === undefined || !COMPRESSED.equals(encoding)) return payload;
  return {
    metadata: { ...others, [METADATA_ENCODING_KEY]: before },
    data: await decompress(data, { maxOutputLength: BYTES_MAX }),
  };
}
