import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import { DATA_CONVERTER, LARGE_BYTES } from '../../../src/client/calls/large-payloads';

const codec = DATA_CONVERTER.payloadCodecs![0]!;
const payloadOf = (value: unknown): Payload => defaultPayloadConverter.toPayload(value);
const valueOf = (payload: Payload): unknown => defaultPayloadConverter.fromPayload(payload);

it('leaves a small payload as it is, for people and for workers of an older release', async () => {
  const small = payloadOf({ text: 'x'.repeat(LARGE_BYTES / 2) });
  expect((await codec.encode([small]))[0]).toBe(small);
  expect((await codec.decode([small]))[0]).toBe(small);
});

it('gives back what was large, among others and in order', async () => {
  const values = [1, { text: 'é'.repeat(LARGE_BYTES) }, 'last', Array.from({ length: 50_000 }, (_, n) => n)];
  const sent = await codec.encode(values.map(payloadOf));
  expect((sent[1]?.data?.length ?? 0) < LARGE_BYTES / 10).toBe(true);
  expect((await codec.decode(sent)).map(valueOf)).toEqual(values);
});

it('reads nothing as compressed that it did not compress', async () => {
  const foreign: Payload = { metadata: { encoding: Buffer.from('binary/gzip') }, data: Buffer.from('no gzip') };
  expect((await codec.decode([foreign]))[0]).toBe(foreign);
});
