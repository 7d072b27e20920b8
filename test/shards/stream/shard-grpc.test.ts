import { constants, createServer as createHttp2Server } from 'node:http2';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { steadyNowMs } from '../../../src/shards/steady-clock';
import { grpcUrlOf } from '../../../src/shards/stream/shard-grpc';
import { failureOf, inTime } from '../../support/shard-fixture';
import { rowOf, shown, streamFixture } from '../../support/stream-fixture';
import { waitFor } from '../../support/wait-for';

const { shardWith, clientOf } = streamFixture();
const ids = (...all: string[]): Buffer[] => all.map((id) => Buffer.from(id));

describe('getPoints', () => {
  it('gives the rows that are there in the order asked for, with and without vectors', async () => {
    const shard = await shardWith();
    shard.create({ name: 'docs', dim: 2 });
    shard.put('docs', '{"id":"a/ %\u00f6","vector":[1,-0.0],"payload":{"n":9007199254740993,"f":1.0}}');
    shard.put('docs', { id: '', vector: [1, 2] });
    const client = clientOf(shard.grpcUrl);
    const asked = ids('', 'absent', 'a/ %\u00f6', '');
    const rows = await client.getPoints('docs', asked, { withVector: true }, inTime());
    expect(rows.map(shown)).toEqual([
      ' 0000803f00000040 null',
      'a/ %\u00f6 0000803f00000080 {"f":1.0,"n":9007199254740993}',
      ' 0000803f00000040 null',
    ]);
    const bare = await client.getPoints('docs', asked.slice(0, 1), { withVector: false }, inTime());
    expect(bare.map(shown)).toEqual(['  null']);
    expect(await client.getPoints('docs', [], { withVector: true }, inTime())).toEqual([]);
  });

  it('reads an answer of many megabytes', async () => {
    const shard = await shardWith();
    shard.create({ name: 'docs', dim: 2 });
    const all = Array.from({ length: 200 }, (_, index) => `id-${index}`);
    shard.put('docs', ...all.map((id) => ({ id, vector: [1, 2], payload: 'x'.repeat(60_000) })));
    const rows = await clientOf(shard.grpcUrl).getPoints('docs', ids(...all), { withVector: true }, inTime());
    expect(rows.map((row) => row.payload.length)).toEqual(all.map(() => 60_002));
  });

  it('asks as often as it likes: a server ends the connection of whoever resets a thousand streams in a moment', async () => {
    const shard = await shardWith();
    shard.create({ name: 'docs', dim: 2 });
    shard.put('docs', { id: 'a', vector: [1, 2] });
    const client = clientOf(shard.grpcUrl);
    for (let n = 0; n < 1_500; n++) {
      expect(await client.getPoints('docs', ids('a'), { withVector: true }, inTime())).toHaveLength(1);
    }
  });

  it('tells a missing collection and a multivector one apart', async () => {
    const shard = await shardWith();
    shard.create({ name: 'many', dim: 2, metric: 'cosine', multivector: true });
    const client = clientOf(shard.grpcUrl);
    const get = (name: string) => failureOf(client.getPoints(name, ids('secret'), { withVector: true }, inTime()));
    expect(await get('absent')).toMatchObject({ code: 'NotFound', status: 5, outcomeUnknown: false });
    expect(await get('many')).toMatchObject({ code: 'BadRequest', status: 3 });
    expect((await get('many')).message).toContain(
      `GRPC ${shard.grpcUrl}/quiver.v1.Quiver/GetPoints: 3 INVALID_ARGUMENT: unsupported configuration`,
    );
  });
});

describe('a call that waits', () => {
  it('hurries its answer with pings, but never again at an address that takes them for an attack', async () => {
    const pings: number[] = [];
    const proxy = createHttp2Server();
    proxy.on('session', (session) => {
      const index = pings.push(0) - 1;
      session.on('ping', () => {
        pings[index]! += 1;
        session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      });
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const client = clientOf(`http://127.0.0.1:${(proxy.address() as AddressInfo).port}`);
    const ask = () => failureOf(client.listCollections({ deadlineMs: steadyNowMs() + 200 }));
    for (let n = 0; n < 2; n++)
      expect(await ask()).toMatchObject({ code: expect.stringMatching(/TimedOut|Unreachable/) });
    expect(pings[0]).toBeGreaterThan(0);
    expect(pings.slice(1)).toEqual([0]);
    proxy.close();
  });
});

describe('listCollections', () => {
  it('gives what REST leaves out', async () => {
    const shard = await shardWith();
    shard.create({ name: 'docs', dim: 2 });
    shard.put('docs', { id: 'a', vector: [1, 2] });
    shard.create({
      name: 'pq',
      dim: 4,
      metric: 'cosine',
      index: 'disk_vamana',
      pq_subspaces: 2,
      binary: true,
      filterable: [{ path: 'x', field_type: 'numeric' }],
    });
    shard.create({ name: 'many', dim: 2, metric: 'dot', multivector: true, vector_encryption: 'client_side' });
    shard.putDocument('many', 'd', [
      [1, 2],
      [3, 4],
    ]);
    const plain = { index: 'hnsw', indexReady: true, binary: false, pqSubspaces: null, filterable: [] };
    expect(await clientOf(shard.grpcUrl).listCollections(inTime())).toEqual([
      { ...plain, name: 'docs', dim: 2, metric: 'l2', count: 1, multivector: false, vectorEncryption: null },
      {
        ...plain,
        name: 'many',
        dim: 2,
        metric: 'dot',
        count: 1,
        multivector: true,
        vectorEncryption: 'client_side',
      },
      {
        name: 'pq',
        dim: 4,
        metric: 'cosine',
        count: 0,
        index: 'disk_vamana',
        indexReady: true,
        binary: true,
        multivector: false,
        pqSubspaces: 2,
        filterable: [{ path: 'x', fieldType: 'numeric' }],
        vectorEncryption: null,
      },
    ]);
  });
});

describe('a failed call', () => {
  it.each([
    [1, 'ServerError'],
    [2, 'ServerError'],
    [3, 'BadRequest'],
    [4, 'TimedOut'],
    [5, 'NotFound'],
    [6, 'Conflict'],
    [7, 'Forbidden'],
    [8, 'Overloaded'],
    [9, 'BadRequest'],
    [10, 'ServerError'],
    [11, 'TooLarge'],
    [12, 'MalformedReply'],
    [13, 'ServerError'],
    [14, 'Unreachable'],
    [15, 'ServerError'],
    [16, 'Unauthorized'],
    [99, 'MalformedReply'],
  ])('with the status %d is %s', async (status, code) => {
    const shard = await shardWith();
    shard.faults.add({ match: { method: 'GRPC' }, fault: { kind: 'status', status } });
    const failure = await failureOf(clientOf(shard.grpcUrl).listCollections(inTime()));
    expect(failure).toMatchObject({ code, status, outcomeUnknown: false, method: 'GRPC', shardUrl: shard.grpcUrl });
    expect(failure.message).toContain('a fault that the test asked for');
  });

  it('shows details of the shard only where they cannot hold a point', async () => {
    const shard = await shardWith();
    shard.faults.add({ match: { method: 'GRPC' }, fault: { kind: 'status', status: 3 } });
    const failure = await failureOf(clientOf(shard.grpcUrl).getPoints('docs', [], { withVector: true }, inTime()));
    expect(failure.message).toContain('GetPoints: 3 INVALID_ARGUMENT; ');
  });

  it('never shows the key', async () => {
    const shard = await shardWith();
    const failure = await failureOf(clientOf(shard.grpcUrl, { key: 'the-wrong-key' }).listCollections(inTime()));
    expect(failure).toMatchObject({ code: 'Unauthorized', status: 16 });
    expect(failure.message).not.toContain('the-wrong-key');
    expect(await failureOf(clientOf(shard.grpcUrl, { key: null }).listCollections(inTime()))).toMatchObject({
      code: 'Unauthorized',
    });
  });

  it('is unreachable where nobody listens, and the next call connects again', async () => {
    const shard = await shardWith();
    const client = clientOf(shard.grpcUrl);
    await shard.stop();
    expect(await failureOf(client.listCollections(inTime()))).toMatchObject({ code: 'Unreachable', status: null });
    await shard.restart();
    expect(await client.listCollections(inTime())).toEqual([]);
    await shard.stop();
    await shard.restart();
    await waitFor('the client has seen the end of its connection', () =>
      client.listCollections(inTime()).then(() => true),
    );
  });

  it('is unreachable where something answers that does not speak HTTP/2', async () => {
    const shard = await shardWith();
    const failure = await failureOf(clientOf(shard.url).listCollections(inTime()));
    expect(failure.code).toBe('Unreachable');
  });

  it('times out where an address accepts and says nothing', async () => {
    const silent = createServer((socket) => socket.resume()).listen(0, '127.0.0.1');
    await new Promise((resolve) => silent.once('listening', resolve));
    const client = clientOf(`http://127.0.0.1:${(silent.address() as AddressInfo).port}`, { requestTimeoutMs: 50 });
    expect(await failureOf(client.listCollections(inTime()))).toMatchObject({ code: 'TimedOut' });
    client.close();
    silent.close();
  });

  it('ends at its limit, at the deadline of its caller and with the reason of its signal', async () => {
    const shard = await shardWith();
    shard.faults.add({ match: { method: 'GRPC' }, fault: { kind: 'hang' } });
    const late = await failureOf(clientOf(shard.grpcUrl, { requestTimeoutMs: 50 }).listCollections(inTime()));
    expect(late.message).toContain('no answer within 50 ms');
    const client = clientOf(shard.grpcUrl);
    const atDeadline = await failureOf(client.listCollections({ deadlineMs: Date.now() + 50 }));
    expect(atDeadline.message).toContain('no answer before the deadline of its caller');
    const after = await failureOf(client.listCollections({ deadlineMs: Date.now() - 1 }));
    expect(after.message).toContain('not sent');
    const reason = new Error('the test is over');
    const call = client.listCollections({ ...inTime(), signal: AbortSignal.abort(reason) });
    await expect(call).rejects.toBe(reason);
    const controller = new AbortController();
    const running = client.listCollections({ ...inTime(), signal: controller.signal });
    setTimeout(() => controller.abort(reason), 20);
    await expect(running).rejects.toBe(reason);
  });

  it('is unreachable when the connection is cut instead of an answer', async () => {
    const shard = await shardWith();
    shard.faults.add({ match: { method: 'GRPC' }, fault: { kind: 'replyLost' } });
    expect(await failureOf(clientOf(shard.grpcUrl).listCollections(inTime()))).toMatchObject({
      code: 'Unreachable',
      outcomeUnknown: false,
    });
  });
});

describe('the gRPC address', () => {
  it.each([
    ['http://s0:6333', 1, 'http://s0:6334'],
    ['https://s0.example:443/', 1, 'https://s0.example:444'],
    ['http://[::1]:6333/prefix', 2, 'http://[::1]:6335'],
    ['https://s0', 0, 'https://s0:443'],
  ])('of %s with an offset of %d is %s', (url, offset, expected) => {
    expect(grpcUrlOf(url, offset)).toBe(expected);
  });
});

describe('upsertStream', () => {
  it('writes all rows at its end, to the bit, and says how many', async () => {
    const shard = await shardWith();
    shard.create({ name: 'docs', dim: 2 });
    const client = clientOf(shard.grpcUrl);
    const rows = [
      rowOf('a', [-0, 1e-45], '{"b":1.0,"a":18446744073709551615}'),
      rowOf('', [Infinity, 3.4028235e38]),
      rowOf('nan', Buffer.from('0100c07f0000c0ff', 'hex'), 'null'),
    ];
    const stream = client.upsertStream('docs', inTime());
    await stream.write(rows.slice(0, 1));
    await stream.write(rows.slice(1));
    expect(shard.ids('docs')).toEqual([]);
    expect(await stream.end()).toBe(3);
    const read = await client.getPoints('docs', ids('a', '', 'nan'), { withVector: true }, inTime());
    expect(read.map((row) => row.vector)).toEqual(rows.map((row) => row.vector));
    expect(read[0]?.payload.toString()).toBe('{"a":18446744073709551615,"b":1.0}');
  });

  it('cuts its messages by bytes, so that rows of any number and size go through', async () => {
    const shard = await shardWith();
    shard.create({ name: 'docs', dim: 1 });
    const stream = clientOf(shard.grpcUrl).upsertStream('docs', inTime());
    const payload = JSON.stringify('x'.repeat(60_000));
    for (let part = 0; part < 5; part++) {
      await stream.write(Array.from({ length: 40 }, (_, index) => rowOf(`${part}-${index}`, [1], payload)));
    }
    expect(await stream.end()).toBe(200);
    expect(shard.ids('docs')).toHaveLength(200);
  });

  it('takes 50,000 rows and no more', async () => {
    const shard = await shardWith();
    shard.create({ name: 'docs', dim: 1 });
    const stream = clientOf(shard.grpcUrl).upsertStream('docs', inTime());
    const rows = Array.from({ length: 50_000 }, (_, index) => rowOf(String(index), [1]));
    await stream.write(rows);
    expect(stream.room).toBe(0);
    await expect(stream.write(rows.slice(0, 1))).rejects.toThrow(RangeError);
    expect(await stream.end()).toBe(50_000);
  });

  it('refuses a row that fits no message, without sending it', async () => {
    const shard = await shardWith();
    const stream = clientOf(shard.grpcUrl).upsertStream('docs', inTime());
    const row = rowOf('a', [1], 'x'.repeat(5 * 1024 * 1024));
    expect(await failureOf(stream.write([row]))).toMatchObject({ code: 'TooLarge' });
    stream.abort();
  });

  it('sends nothing when there are no rows', async () => {
    const shard = await shardWith();
    expect(await clientOf(shard.grpcUrl).upsertStream('docs', inTime()).end()).toBe(0);
    expect(shard.requests).toEqual([]);
  });

  it('writes none of its rows when one of them is refused', async () => {
    const shard = await shardWith();
    shard.create({ name: 'docs', dim: 1 });
    const stream = clientOf(shard.grpcUrl).upsertStream('docs', inTime());
    await stream.write([rowOf('good', [1]), rowOf('bad', [1, 2])]);
    const failure = await failureOf(stream.end());
    expect(failure).toMatchObject({ code: 'BadRequest', outcomeUnknown: false });
    expect(failure.message).toContain('vector has 2 dims, collection expects 1');
    expect(shard.ids('docs')).toEqual([]);
  });

  it('stops sending when the shard refuses before the end', async () => {
    const shard = await shardWith({ keys: [{ secret: 'reader', role: 'read' }] });
    const stream = clientOf(shard.grpcUrl, { key: 'reader' }).upsertStream('docs', inTime());
    const rows = Array.from({ length: 40 }, (_, index) =>
      rowOf(String(index), [1], JSON.stringify('x'.repeat(60_000))),
    );
    const sendForEver = async (): Promise<void> => {
      for (let round = 0; round < 1_000; round++) await stream.write(rows);
    };
    expect(await failureOf(sendForEver())).toMatchObject({ code: 'Forbidden', outcomeUnknown: false });
    stream.abort();
  });

  it('is held back by a shard that does not read', async () => {
    const shard = await shardWith();
    shard.faults.add({ match: { method: 'GRPC' }, fault: { kind: 'hang' } });
    const stream = clientOf(shard.grpcUrl, { requestTimeoutMs: 300 }).upsertStream('docs', inTime());
    const rows = Array.from({ length: 40 }, (_, index) =>
      rowOf(String(index), [1], JSON.stringify('x'.repeat(60_000))),
    );
    let rounds = 0;
    const sendForEver = async (): Promise<void> => {
      for (; rounds < 1_000; rounds++) await stream.write(rows);
    };
    expect(await failureOf(sendForEver())).toMatchObject({ code: 'TimedOut', outcomeUnknown: true });
    // 2.4 MB a round: a window, a message and what the sockets hold.
    expect(rounds).toBeLessThan(10);
    stream.abort();
  });

  it('writes nothing when it is aborted', async () => {
    const shard = await shardWith();
    shard.create({ name: 'docs', dim: 1 });
    const stream = clientOf(shard.grpcUrl).upsertStream('docs', inTime());
    await stream.write(Array.from({ length: 40 }, (_, i) => rowOf(String(i), [1], JSON.stringify('x'.repeat(60_000)))));
    await waitFor('the shard has seen the stream', () => shard.requests.length > 0);
    stream.abort();
    await expect(stream.end()).rejects.toMatchObject({ code: 'Unreachable', outcomeUnknown: true });
    expect(shard.ids('docs')).toEqual([]);
  });

  it('does not know what a shard has done that never answered', async () => {
    const shard = await shardWith();
    shard.create({ name: 'docs', dim: 1 });
    for (const kind of ['replyLost', 'hangAfter'] as const) {
      shard.faults.clear();
      shard.faults.add({ match: { method: 'GRPC' }, fault: { kind } });
      const stream = clientOf(shard.grpcUrl, { requestTimeoutMs: 200 }).upsertStream('docs', inTime());
      await stream.write([rowOf(kind, [1])]);
      expect(await failureOf(stream.end())).toMatchObject({ outcomeUnknown: true });
      expect(shard.ids('docs')).toContain(kind);
    }
  });

  it('is refused by followers of both kinds', async () => {
    const leader = await shardWith();
    leader.create({ name: 'docs', dim: 1 });
    for (const [options, code] of [
      [{ leader }, 'NotLeader'],
      [{ replicaOf: { shard: leader } }, 'Forbidden'],
    ] as const) {
      const stream = clientOf((await shardWith(options)).grpcUrl).upsertStream('docs', inTime());
      await stream.write([rowOf('a', [1])]);
      expect(await failureOf(stream.end())).toMatchObject({ code, outcomeUnknown: false });
    }
  });
});
