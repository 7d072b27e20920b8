import { type AddressInfo, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { WAITING_HELPS } from '../../../src/shards/errors';
import type { CallContext, ShardClient } from '../../../src/shards/http/shard-client';
import { DOCS, failureOf, ID, inTime, KEY, PAGE, RAW, shardFixture } from '../../support/shard-fixture';
import { json, problem, type Behaviour } from '../../support/stub-shard';

const { shardThat, clientOf } = shardFixture();

async function readPage(client: ShardClient, ctx = inTime()): Promise<string[]> {
  const ids: string[] = [];
  for await (const batch of client.fetchPage('docs', PAGE, ctx)) ids.push(...batch.map(({ id }) => id.toString()));
  return ids;
}

/** Every call of the client, by whether it writes. */
const reads: [string, (client: ShardClient, ctx: CallContext) => Promise<unknown>][] = [
  ['listCollections', (client, ctx) => client.listCollections(ctx)],
  ['getCollection', (client, ctx) => client.getCollection('docs', ctx)],
  ['fetchPage', (client, ctx) => readPage(client, ctx)],
  ['getPoint', (client, ctx) => client.getPoint('docs', ID, ctx)],
  ['search', (client, ctx) => client.search('docs', 2, ctx)],
];
const writes: typeof reads = [
  ['createCollection', (client, ctx) => client.createCollection('{"name":"docs"}', ctx)],
  ['dropCollection', (client, ctx) => client.dropCollection('docs', ctx)],
  ['upsert', (client, ctx) => client.upsert('docs', [RAW], ctx)],
  ['deletePoints', (client, ctx) => client.deletePoints('docs', [ID], ctx)],
];
const calls = [...reads, ...writes];

describe('ShardClient: what refusals mean', () => {
  it.each([
    [400, 'BadRequest', false],
    [401, 'Unauthorized', true],
    [403, 'Forbidden', true],
    [409, 'Conflict', false],
    [413, 'TooLarge', false],
    [418, 'BadRequest', false],
    [421, 'NotLeader', true],
    [422, 'Unprocessable', false],
    [429, 'Overloaded', true],
    [500, 'ServerError', true],
    [502, 'ServerError', true],
    [503, 'Overloaded', true],
    [302, 'MalformedReply', true],
  ])('classifies a %d as %s, says whether waiting helps, and asks once only', async (status, code, waitingHelps) => {
    const shard = await shardThat((response) => problem(response, status, 'why'));
    const error = await failureOf(clientOf(shard.url).deletePoints('docs', [ID], inTime()));
    expect(error).toMatchObject({
      code,
      status,
      shardUrl: shard.url,
      method: 'DELETE',
      path: '/v1/collections/docs/points',
    });
    expect(WAITING_HELPS[error.code]).toBe(waitingHelps);
    expect(error.outcomeUnknown).toBe(status >= 500);
    expect(shard.attempts).toBe(1);
  });

  it.each(reads)('never says of %s that its outcome is unknown, because it changes nothing', async (_name, call) => {
    const shard = await shardThat((response) => problem(response, 500, 'why'));
    expect((await failureOf(call(clientOf(shard.url), inTime()))).outcomeUnknown).toBe(false);
  });

  it.each([
    ['7', 7_000],
    ['0', 0],
    ['Thu, 01 Jan 1970 00:01:05 GMT', 5_000],
    ['Thu, 01 Jan 1970 00:00:00 GMT', 0],
    ['999999999', 3_600_000],
    ['soon', null],
    [undefined, null],
  ])('reads the Retry-After %p of a 429 and of a 503 as %p ms', async (header, ms) => {
    const headers = header === undefined ? {} : { 'retry-after': header };
    const shard = await shardThat((response, _, attempt) => problem(response, attempt === 1 ? 429 : 503, '', headers));
    const client = clientOf(shard.url, { nowMs: () => 60_000 });
    for (let call = 0; call < 2; call++) {
      const error = await failureOf(client.listCollections({ deadlineMs: 80_000 }));
      expect(error).toMatchObject({ code: 'Overloaded', retryAfterMs: ms });
    }
  });
});

describe('ShardClient: time', () => {
  const hangs: Behaviour = () => undefined;
  /** Long enough that a busy machine has sent the request by then. */
  const LIMIT_MS = 2_000;

  /** All calls of the client at once, so that they wait for their time-outs together. */
  async function sideBySide(check: (name: string, call: (typeof calls)[number][1]) => Promise<void>): Promise<void> {
    await Promise.all(calls.map(([name, call]) => check(name, call)));
  }

  it('ends every call after the request time-out when no answer comes, and sends none of them again', async () => {
    await sideBySide(async (name, call) => {
      const shard = await shardThat(hangs);
      const error = await failureOf(call(clientOf(shard.url, { requestTimeoutMs: LIMIT_MS }), inTime()));
      expect(error).toMatchObject({ code: 'TimedOut', status: null });
      expect(error.message).toContain(`no answer within ${LIMIT_MS} ms`);
      expect(error.outcomeUnknown).toBe(writes.some(([write]) => write === name));
      expect(shard.attempts).toBe(1);
    });
  });

  it('ends every call when an answer begins and does not go on', async () => {
    await sideBySide(async (_name, call) => {
      const shard = await shardThat((response) => void response.writeHead(200).write('{"points":[{"id":"a"}'));
      const error = await failureOf(call(clientOf(shard.url, { requestTimeoutMs: LIMIT_MS }), inTime()));
      expect(error).toMatchObject({ code: 'TimedOut', status: 200 });
    });
  });

  it('ends every call at the deadline of its caller, long before its own time-out', async () => {
    await sideBySide(async (_name, call) => {
      const shard = await shardThat(hangs);
      const client = clientOf(shard.url, { requestTimeoutMs: 600_000 });
      const error = await failureOf(call(client, { deadlineMs: Date.now() + LIMIT_MS }));
      expect(error).toMatchObject({ code: 'TimedOut' });
      expect(error.message).toContain('before the deadline of its caller');
    });
  });

  it.each(calls)('does not begin %s when the deadline has passed', async (_name, call) => {
    const shard = await shardThat((response) => json(response, DOCS));
    const error = await failureOf(call(clientOf(shard.url, { nowMs: () => 1_000 }), { deadlineMs: 1_000 }));
    expect(error).toMatchObject({ code: 'TimedOut', outcomeUnknown: false });
    expect(shard.attempts).toBe(0);
  });

  it('does not begin the second half of an upsert that was split when the deadline has passed meanwhile', async () => {
    let nowMs = 0;
    const shard = await shardThat((response, { body }, attempt) => {
      if (attempt === 1) return problem(response, 413, '');
      nowMs = 10_000;
      json(response, { upserted: (JSON.parse(body) as { points: [] }).points.length });
    });
    const client = clientOf(shard.url, { nowMs: () => nowMs });
    const error = await failureOf(client.upsert('docs', [RAW, RAW], { deadlineMs: 10_000 }));
    expect(error).toMatchObject({ code: 'TimedOut', outcomeUnknown: false });
    expect(shard.attempts).toBe(2);
  });

  it.each(calls)('ends %s with the reason of the signal when the caller cancels', async (_name, call) => {
    const controller = new AbortController();
    const reason = new Error('the caller gives up');
    const shard = await shardThat(() => controller.abort(reason));
    const ctx = { ...inTime(), signal: controller.signal };
    await expect(call(clientOf(shard.url), ctx)).rejects.toBe(reason);
    await expect(call(clientOf(shard.url), ctx)).rejects.toBe(reason);
    expect(shard.attempts).toBe(1);
  });

  it('does not count the time of the consumer of a page against the shard', async () => {
    const shard = await shardThat((response) => {
      response.write('{"points":[{"id":"a"},');
      response.write(' '.repeat(4_000_000), () => response.end('{"id":"b"}]}'));
    });
    const client = clientOf(shard.url, { requestTimeoutMs: LIMIT_MS });
    const ids: string[] = [];
    for await (const batch of client.fetchPage('docs', PAGE, inTime())) {
      // With the rest of the answer still to come.
      if (ids.length === 0) await delay(LIMIT_MS + 500);
      ids.push(...batch.map(({ id }) => id.toString()));
    }
    expect(ids).toEqual(['a', 'b']);
  });
});

describe('ShardClient: connections', () => {
  it.each(calls)('says of %s that nothing was sent when the connection is refused', async (_name, call) => {
    const shard = await shardThat(() => undefined);
    await shard.stop();
    const error = await failureOf(call(clientOf(shard.url), inTime()));
    expect(error).toMatchObject({ code: 'Unreachable', status: null, outcomeUnknown: false });
    expect(error.message).toContain('ECONNREFUSED');
  });

  it.each(calls)('says of %s whether it may have been carried out when its connection is cut', async (name, call) => {
    const shard = await shardThat((response) => void response.destroy());
    const error = await failureOf(call(clientOf(shard.url), inTime()));
    expect(error).toMatchObject({ code: 'Unreachable', status: null });
    expect(error.outcomeUnknown).toBe(writes.some(([write]) => write === name));
    expect(shard.attempts).toBe(1);
  });

  it.each(calls)(
    'fails %s as Unreachable when the connection is cut in the middle of the answer',
    async (_name, call) => {
      const shard = await shardThat((response) => {
        response.writeHead(200, { 'content-length': 1_000 });
        response.write('{"points":[{"id":"a"},', () => response.destroy());
      });
      expect(await failureOf(call(clientOf(shard.url), inTime()))).toMatchObject({ code: 'Unreachable', status: 200 });
    },
  );

  it('fails as MalformedReply when what answers does not speak HTTP', async () => {
    const server = createServer((socket) => socket.end('220 smtp.example ready\r\n'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    try {
      const error = await failureOf(clientOf(`http://127.0.0.1:${port}`).listCollections(inTime()));
      expect(error).toMatchObject({ code: 'MalformedReply' });
    } finally {
      server.close();
    }
  });

  it('finds a shard again that was killed and restarted, whatever connections it had', async () => {
    const shard = await shardThat((response) => json(response, [DOCS]));
    const client = clientOf(shard.url);
    await Promise.all(Array.from({ length: 8 }, () => client.listCollections(inTime())));
    await shard.stop();
    expect(await failureOf(client.listCollections(inTime()))).toMatchObject({ code: 'Unreachable' });
    await shard.start();
    const answers = await Promise.all(Array.from({ length: 8 }, () => client.listCollections(inTime())));
    expect(answers.map(([docs]) => docs?.name)).toEqual(Array.from({ length: 8 }, () => 'docs'));
  });

  it('reads no more of a page than is asked for, and closes the connection when the consumer stops', async () => {
    let written = 0;
    const closed = new Promise<void>((resolve) => {
      void shardThat((response) => {
        response.on('close', resolve);
        response.write('{"points":[{"id":"a"}');
        const pour = (): void => {
          while (!response.destroyed && written < 64_000_000) {
            written += 64_000;
            if (!response.write(`,{"id":"b","p":"${'x'.repeat(64_000)}"}`)) return void response.once('drain', pour);
          }
        };
        pour();
      }).then(async (shard) => {
        for await (const batch of clientOf(shard.url).fetchPage('docs', PAGE, inTime())) {
          expect(batch[0]?.id.toString()).toBe('a');
          break;
        }
      });
    });
    await closed;
    expect(written).toBeLessThan(20_000_000);
  });
});

describe('ShardClient: requests', () => {
  it('presents the key, and sends no body where there is none to send', async () => {
    const shard = await shardThat((response) => json(response, [DOCS]));
    await clientOf(`${shard.url}/prefix`).listCollections(inTime());
    const [received] = shard.received;
    expect(received).toMatchObject({ method: 'GET', url: '/prefix/v1/collections', body: '' });
    expect(received?.headers).toMatchObject({ authorization: `Bearer ${KEY}` });
    expect(received?.headers).not.toHaveProperty('content-type');
  });

  it('percent-encodes ids and collection names', async () => {
    const shard = await shardThat((response) => json(response, RAW.toString()));
    await clientOf(shard.url).getPoint('a/b c', ID, inTime());
    expect(shard.received[0]?.url).toBe('/v1/collections/a%2Fb%20c/points/the%2Fid%20of%25a%20p%C3%B6int');
  });

  it('upserts elements byte for byte, in one body', async () => {
    const shard = await shardThat((response) => json(response, { upserted: 3 }));
    const elements = [RAW, Buffer.from('{"id":"b","x":1.0}'), Buffer.from('{ "id":"\\u0063" }')];
    expect(await clientOf(shard.url).upsert('docs', elements, inTime())).toEqual({ requests: 1 });
    expect(shard.received[0]).toMatchObject({
      method: 'POST',
      url: '/v1/collections/docs/points:bulk',
      body: `{"points":[${elements.join(',')}]}`,
    });
    expect(shard.received[0]?.headers['content-type']).toBe('application/json');
  });

  it.each([
    [413, 'Failed to buffer the request body: length limit exceeded'],
    [400, 'bulk batch of 5 exceeds the maximum of 2 (raise QUIVER_MAX_BULK_BATCH_SIZE)'],
  ])(
    'halves an upsert that a shard refuses with a %d because it is too much, and keeps the order',
    async (status, why) => {
      const accepted: string[] = [];
      const shard = await shardThat((response, { body }) => {
        const { points } = JSON.parse(body) as { points: { id: string }[] };
        if (points.length > 2) return problem(response, status, why);
        accepted.push(...points.map(({ id }) => id));
        json(response, { upserted: points.length });
      });
      const elements = ['a', 'b', 'c', 'd', 'e'].map((id) => Buffer.from(JSON.stringify({ id })));
      expect(await clientOf(shard.url).upsert('docs', elements, inTime())).toEqual({ requests: 5 });
      expect(accepted).toEqual(['a', 'b', 'c', 'd', 'e']);
    },
  );

  it('does not halve an upsert that is refused for what is in it, nor one of a single point', async () => {
    const shard = await shardThat((response) =>
      problem(response, 400, 'payload of 70008 bytes exceeds the maximum of 65536'),
    );
    expect(await failureOf(clientOf(shard.url).upsert('docs', [RAW, RAW], inTime()))).toMatchObject({
      code: 'BadRequest',
    });
    shard.behaviour = (response) => problem(response, 413, '');
    expect(await failureOf(clientOf(shard.url).upsert('docs', [RAW], inTime()))).toMatchObject({ code: 'TooLarge' });
    expect(shard.attempts).toBe(2);
  });

  it('halves a delete that a shard refuses with a 413, and counts what all parts have deleted', async () => {
    const accepted: string[] = [];
    const shard = await shardThat((response, { body }) => {
      const { ids } = JSON.parse(body) as { ids: string[] };
      if (ids.length > 2) return problem(response, 413, 'Failed to buffer the request body: length limit exceeded');
      accepted.push(...ids);
      json(response, { deleted: ids.length });
    });
    const ids = ['a', 'b', 'c', 'd', 'e'];
    const buffers = ids.map((id) => Buffer.from(id));
    expect(await clientOf(shard.url).deletePoints('docs', buffers, inTime())).toBe(5);
    expect(accepted).toEqual(ids);
    shard.behaviour = (response) => problem(response, 413, '');
    const attempts = shard.attempts;
    expect(await failureOf(clientOf(shard.url).deletePoints('docs', [ID], inTime()))).toMatchObject({
      code: 'TooLarge',
    });
    expect(shard.attempts).toBe(attempts + 1);
  });

  it('sends nothing for no points and for no ids', async () => {
    const shard = await shardThat((response) => json(response, {}));
    expect(await clientOf(shard.url).upsert('docs', [], inTime())).toEqual({ requests: 0 });
    expect(await clientOf(shard.url).deletePoints('docs', [], inTime())).toBe(0);
    expect(shard.attempts).toBe(0);
  });

  it('searches for one neighbour of a vector that has the right dimension and is not zero', async () => {
    const shard = await shardThat((response) => json(response, { matches: [] }));
    await clientOf(shard.url).search('docs', 3, inTime());
    expect(shard.received[0]).toMatchObject({ url: '/v1/collections/docs/query', body: '{"vector":[1,0,0],"k":1}' });
  });
});
