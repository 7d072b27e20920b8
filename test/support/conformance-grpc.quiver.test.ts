/**
 * The gRPC side of the in-process shard beside that of real Quiver: the same calls go to both through the same client,
 * and what comes back must be the same to the byte.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ShardError } from '../../src/shards/errors';
import { ShardGrpc, type Row, type StreamEvent } from '../../src/shards/stream/shard-grpc';
import { SHARD_KEY, startShard, type InProcessShard } from './in-process-shard';
import { freePort } from './free-port';
import { describeWithQuiver, quiverBinary, startQuiver, type RealQuiver } from './real-quiver';
import { inTime } from './shard-fixture';
import { rowOf, shown, shownEvents } from './stream-fixture';
import { waitFor } from './wait-for';

const KEYS = [SHARD_KEY, '{secret=reader,role=read}', '{secret=writer,role=write}'];

/** One of the two, as a test talks to it. */
interface Side {
  readonly url: string;
  readonly grpcUrl: string;
  readonly grpc: ShardGrpc;
}

async function rest(side: Pick<Side, 'url'>, method: string, path: string, body?: unknown): Promise<string> {
  const response = await fetch(`${side.url}/v1/collections${path}`, {
    method,
    headers: { authorization: `Bearer ${SHARD_KEY}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  return `${response.status} ${await response.text()}`;
}

/** What a call gives, or the class and words of its failure. */
async function outcome(call: Promise<unknown>): Promise<unknown> {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof ShardError)) throw error;
    const { code, status, outcomeUnknown, path } = error;
    return { code, status, outcomeUnknown, path, message: error.message.replace(error.shardUrl, '') };
  }
}

async function upsert({ grpc }: Side, collection: string, ...parts: (readonly Row[])[]): Promise<number> {
  const stream = grpc.upsertStream(collection, inTime());
  try {
    for (const rows of parts) await stream.write(rows);
    return await stream.end();
  } finally {
    stream.abort();
  }
}

async function getAll({ grpc }: Side, collection: string, ...ids: string[]): Promise<string[]> {
  const asked = ids.map((id) => Buffer.from(id));
  return (await grpc.getPoints(collection, asked, { withVector: true }, inTime())).map(shown);
}

/** Collections in the order of their names, each with its rows as they came; then the tail as it came. */
function sorted(events: readonly string[]): string[] {
  const end = events.indexOf('bootstrap-end');
  const blocks: string[][] = [];
  for (const event of events.slice(0, end)) {
    if (event.startsWith('collection ')) blocks.push([]);
    blocks.at(-1)?.push(event);
  }
  return [...blocks.sort((a, b) => ((a[0] ?? '') < (b[0] ?? '') ? -1 : 1)).flat(), ...events.slice(end)];
}

/** The bootstrap, and the tail of what `change` does, up to the creation of the collection `end`. */
async function replicate(side: Side, change: () => Promise<void>): Promise<string[]> {
  const events: StreamEvent[] = [];
  for await (const batch of side.grpc.replicate(inTime())) {
    if (events.length === 0) {
      await change();
      await rest(side, 'POST', '', { name: 'end', dim: 1 });
    }
    events.push(...batch);
    if (batch.some((event) => event.kind === 'tail-create' && event.collection === 'end')) break;
  }
  return sorted(shownEvents(events));
}

describeWithQuiver('the gRPC side of the in-process shard, beside real Quiver', () => {
  let dir: string;
  let quiver: RealQuiver;
  let quiverGrpcUrl: string;
  let ours: InProcessShard;
  let sides: readonly [Side, Side];

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'conformance-grpc-'));
    const grpcPort = await freePort();
    quiverGrpcUrl = `http://127.0.0.1:${grpcPort}`;
    quiver = await startQuiver({
      role: 'shard',
      binary: quiverBinary() ?? '',
      dataDir: dir,
      env: { QUIVER_GRPC_ADDR: `127.0.0.1:${grpcPort}`, QUIVER_API_KEYS: `[${KEYS.join(',')}]` },
    });
  });
  beforeEach(async () => {
    ours = await startShard({
      keys: [SHARD_KEY, { secret: 'reader', role: 'read' }, { secret: 'writer', role: 'write' }],
    });
    sides = [
      { url: quiver.url, grpcUrl: quiverGrpcUrl, grpc: new ShardGrpc({ url: quiverGrpcUrl, key: SHARD_KEY }) },
      { url: ours.url, grpcUrl: ours.grpcUrl, grpc: new ShardGrpc({ url: ours.grpcUrl, key: SHARD_KEY }) },
    ];
    for (const { name } of await sides[0].grpc.listCollections(inTime())) await rest(sides[0], 'DELETE', `/${name}`);
  });
  afterEach(async () => {
    for (const { grpc } of sides) grpc.close();
    await ours.stop();
  });
  afterAll(async () => {
    await quiver.kill();
    await rm(dir, { recursive: true, force: true });
  });

  /** Does the same to both, and returns what both gave. */
  async function same<T>(call: (side: Side) => Promise<T>): Promise<unknown> {
    const [expected, seen] = [await outcome(call(sides[0])), await outcome(call(sides[1]))];
    expect(seen).toEqual(expected);
    return expected;
  }

  const create = (schema: Record<string, unknown>) => same((side) => rest(side, 'POST', '', schema));

  it('lists collections with every fact, those that REST leaves out too', async () => {
    await create({ name: 'docs', dim: 2 });
    for (const index of ['hnsw', 'ivf', 'vamana', 'disk_vamana'])
      await create({ name: index, dim: 2, index, binary: true });
    await create({
      name: 'pq',
      dim: 4,
      metric: 'cosine',
      index: 'disk_vamana',
      pq_subspaces: 2,
      filterable: [
        { path: 'x', field_type: 'keyword' },
        { path: 'y', field_type: 'numeric' },
      ],
    });
    await create({ name: 'many', dim: 2, metric: 'dot', multivector: true });
    await create({ name: 'colbert', dim: 2, metric: 'cosine', multivector: true, index: 'colbert' });
    await create({ name: 'encrypted', dim: 2, vector_encryption: 'client_side' });
    await same((side) => upsert(side, 'docs', [rowOf('a', [1, 2])]));
    const listed = await same(({ grpc }) => grpc.listCollections(inTime()));
    expect(listed).toContainEqual(expect.objectContaining({ name: 'ivf', binary: true, vectorEncryption: null }));
    expect(listed).toContainEqual(expect.objectContaining({ name: 'encrypted', vectorEncryption: 'client_side' }));
  });

  it('keeps vectors to the bit and payloads to the byte', async () => {
    await create({ name: 'docs', dim: 2 });
    const bits = Array.from({ length: 600 }, (_, index) => (Math.imul(index + 1, 2_654_435_761) >>> 0) & 0xffffffff);
    const special = [0x80000000, 1, 0x80000001, 0x007fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0x7f7fffff];
    const vectors = [...special, ...bits].map((first, index) => {
      const vector = Buffer.alloc(8);
      vector.writeUInt32LE(first >>> 0, 0);
      vector.writeFloatLE(index / 7, 4);
      return vector;
    });
    const payloads = [
      '',
      'null',
      '{"z":9007199254740993,"a":1.0,"n":18446744073709551615,"m":-0.0,"i":-9223372036854775808}',
      '{"s":"\\u00e9\\u0001\\ud83d\\ude00\\/","o":{"b":1,"a":[1, 2 ,{}]}}',
      '[1e16,1e-5,0.1,1E+2]',
      '"text"',
    ];
    const rows = vectors.map((vector, index) => rowOf(`v${index}`, vector, payloads[index % payloads.length]));
    const ids = rows.map(({ id }) => id.toString());
    expect(await same((side) => upsert(side, 'docs', rows))).toBe(rows.length);
    const read = await same((side) => getAll(side, 'docs', ...ids));
    const hexOf = (text: string) => text.split(' ')[1];
    expect((read as string[]).map(hexOf)).toEqual(vectors.map((vector) => vector.toString('hex')));
    await same(async (side) =>
      (await rest(side, 'POST', '/docs/fetch', { with_vector: true, limit: 1_000 })).split('},{'),
    );

    // What was read is written again, as a move does: nothing changes any more.
    await create({ name: 'copy', dim: 2 });
    for (const side of sides) {
      const all = await side.grpc.getPoints(
        'docs',
        rows.map(({ id }) => id),
        { withVector: true },
        inTime(),
      );
      await upsert(side, 'copy', all);
      expect(await getAll(side, 'copy', ...ids)).toEqual(read);
    }
  });

  it('reads points in the order asked for, absent ones left out and repeated ones repeated', async () => {
    await create({ name: 'docs', dim: 1 });
    await same((side) => upsert(side, 'docs', [rowOf('a', [1], '{"n":1}'), rowOf('', [2]), rowOf('a', [3])]));
    for (const ids of [[], ['absent'], ['a', '', 'absent', 'a']]) await same((side) => getAll(side, 'docs', ...ids));
    await same(async ({ grpc }) =>
      (await grpc.getPoints('docs', [Buffer.from('a')], { withVector: false }, inTime())).map(shown),
    );
  });

  it('refuses in the same words what it cannot take, and applies nothing of it', async () => {
    await create({ name: 'docs', dim: 1 });
    await create({ name: 'many', dim: 1, metric: 'cosine', multivector: true });
    const many = (count: number) => Array.from({ length: count }, (_, index) => rowOf(`m${index}`, [index]));
    for (const [collection, rows] of [
      ['absent', [rowOf('a', [1])]],
      ['many', [rowOf('a', [1])]],
      ['docs', [rowOf('a', [1]), rowOf('b', [1, 2])]],
      ['docs', [rowOf('a', [1]), rowOf('b', [1], JSON.stringify('x'.repeat(65_535)))]],
      ['docs', [rowOf('a', [1]), rowOf('b', [1], '{bad')]],
    ] as const) {
      expect(await same((side) => upsert(side, collection, rows))).toHaveProperty('code');
      expect(await same((side) => getAll(side, 'docs', 'a', 'b'))).toEqual([]);
    }
    for (const collection of ['absent', 'many']) await same((side) => getAll(side, collection, 'a'));
    expect(await same((side) => upsert(side, 'docs', many(50_000)))).toBe(50_000);
  });

  it('applies nothing of a stream that is aborted after its rows have arrived', async () => {
    await create({ name: 'docs', dim: 1 });
    const rows = Array.from({ length: 200 }, (_, i) => rowOf(`a${i}`, [1], JSON.stringify('x'.repeat(30_000))));
    for (const side of sides) {
      for (let turn = 0; turn < 5; turn++) {
        const stream = side.grpc.upsertStream('docs', inTime());
        await stream.write(rows);
        stream.abort();
      }
      // Later calls wait for earlier ones only when those hold the lock, so this looks for a while.
      const untilMs = Date.now() + 500;
      while (Date.now() < untilMs) expect(await getAll(side, 'docs', 'a0', 'a199')).toEqual([]);
    }
  });

  it('asks every call for the same role', async () => {
    await create({ name: 'docs', dim: 1 });
    for (const key of [null, 'wrong', 'reader', 'writer']) {
      const as = (side: Side): Side => ({ ...side, grpc: new ShardGrpc({ url: side.grpcUrl, key }) });
      const closing = async <T>(side: Side, call: (side: Side) => Promise<T>): Promise<T> => {
        const other = as(side);
        try {
          return await call(other);
        } finally {
          other.grpc.close();
        }
      };
      await same((side) => closing(side, ({ grpc }) => grpc.listCollections(inTime())));
      await same((side) => closing(side, (other) => getAll(other, 'docs', 'a')));
      await same((side) => closing(side, (other) => upsert(other, 'docs', [rowOf('a', [1])])));
      await same((side) => closing(side, (other) => replicate(other, async () => undefined)));
    }
  });

  it('replicates the same bootstrap and the same tail', async () => {
    const ids = ['', '\u0000k', 'a', 'a/b c%', 'b', '\uffff', '\ue000', '\u{1f600}', '\u{10ffff}', '\u00e9', 'z', 'Z'];
    await create({ name: 'docs', dim: 2 });
    await create({ name: 'empty', dim: 2 });
    await create({ name: 'other', dim: 1, index: 'ivf', binary: true });
    await same((side) =>
      upsert(
        side,
        'docs',
        ids.map((id, index) => rowOf(id, [index, -0], `{"b":${index}.0,"a":1}`)),
      ),
    );
    await same((side) => upsert(side, 'other', [rowOf('inf', [-Infinity]), rowOf('denormal', [1e-45])]));
    const seen = (await same((side) =>
      replicate(side, async () => {
        await rest(side, 'POST', '/docs/points', {
          points: [
            { id: 'b', vector: [1, 2] },
            { id: 'b', vector: [3, 4] },
          ],
        });
        await rest(
          side,
          'POST',
          '/docs/points',
          '{"points":[{"id":"huge","vector":[1e39,-1e39],"payload":{"n":1.0}}]}',
        );
        await upsert(side, 'other', [rowOf('s1', [1]), rowOf('s2', [2])], [rowOf('s3', [3])]);
        await rest(side, 'DELETE', '/docs/points', { ids: ['b', 'absent', 'a'] });
        await rest(side, 'DELETE', '/docs');
        await rest(side, 'DELETE', '/docs');
        await rest(side, 'POST', '', { name: 'docs', dim: 1 });
        await upsert(side, 'docs', [rowOf('new', [1])]);
      }),
    )) as string[];
    expect(seen).toContain('row docs \u{10ffff} 0000004100000080 {"a":1,"b":8.0}');
    expect(seen.slice(-4)).toEqual([
      'tail-drop docs',
      'tail-create docs',
      'upsert docs new 0000803f null',
      'tail-create end',
    ]);
  });

  it('brings the tokens of documents in the same order', async () => {
    await create({ name: 'many', dim: 1, metric: 'cosine', multivector: true });
    const vectors = Array.from({ length: 12 }, (_, index) => [index + 1]);
    const documents = [
      { id: 'd2', vectors, payload: { n: 1 } },
      { id: 'd1', vectors: [[1]] },
    ];
    expect(await rest(sides[0], 'POST', '/many/documents', { documents })).toContain('200');
    ours.putDocument('many', 'd2', vectors, { n: 1 });
    ours.putDocument('many', 'd1', [[1]]);
    await same(({ grpc }) => grpc.listCollections(inTime()));
    const seen = await same((side) => replicate(side, async () => undefined));
    expect((seen as string[]).slice(2, 5)).toEqual([
      'row many d2\x1f0 0000803f {"n":1}',
      'row many d2\x1f1 00000040 ',
      'row many d2\x1f10 00003041 ',
    ]);
  });

  it('says in the same way that the tail is lost, and loses no row before it', async () => {
    await create({ name: 'docs', dim: 1 });
    const payload = JSON.stringify('x'.repeat(60_000));
    await same((side) =>
      upsert(
        side,
        'docs',
        Array.from({ length: 700 }, (_, i) => rowOf(`r${1_000 + i}`, [1], payload)),
      ),
    );
    await same(async (side) => {
      const late = Array.from({ length: 1_500 }, (_, index) => rowOf(`late${index}`, [1]));
      let rows = 0;
      const kinds: string[] = [];
      for await (const batch of side.grpc.replicate(inTime())) {
        if (rows === 0 && kinds.length === 0) await upsert(side, 'docs', late);
        for (const event of batch) {
          if (event.kind === 'rows') rows += event.rows.length;
          else kinds.push(event.kind);
        }
      }
      return { rows, kinds };
    });
  });

  it('serves reads and its stream as a follower, and refuses writes', async () => {
    await create({ name: 'docs', dim: 1 });
    await same((side) => upsert(side, 'docs', [rowOf('a', [1], '{"n":1}')]));
    const grpcPort = await freePort();
    const realFollower = await startQuiver({
      role: 'shard',
      binary: quiverBinary() ?? '',
      dataDir: join(dir, 'follower'),
      keys: [SHARD_KEY],
      env: {
        QUIVER_GRPC_ADDR: `127.0.0.1:${grpcPort}`,
        QUIVER_LEADER_URL: quiverGrpcUrl,
        QUIVER_LEADER_API_KEY: SHARD_KEY,
      },
    });
    const ourFollower = await startShard({ replicaOf: { shard: ours, lagMs: 20 } });
    const sideOf = (url: string, grpcUrl: string): Side => ({
      url,
      grpcUrl,
      grpc: new ShardGrpc({ url: grpcUrl, key: SHARD_KEY }),
    });
    const leaders = sides;
    sides = [sideOf(realFollower.url, `http://127.0.0.1:${grpcPort}`), sideOf(ourFollower.url, ourFollower.grpcUrl)];
    try {
      for (const [index, side] of sides.entries()) {
        const has = (id: string) => async () => (await getAll(side, 'docs', id).catch(() => [])).length === 1;
        await waitFor('the follower has copied its leader', has('a'));
        await upsert(leaders[index]!, 'docs', [rowOf('b', [2])]);
        await waitFor('the follower has applied a change', has('b'));
      }
      await same((side) => getAll(side, 'docs', 'a', 'b'));
      await same((side) => upsert(side, 'docs', [rowOf('c', [3])]));
      await same((side) => upsert(side, 'absent', [rowOf('c', [3])]));
      for (const [method, path, body] of [
        ['POST', '', { name: 'x', dim: 1 }],
        ['DELETE', '/docs', undefined],
        ['POST', '/docs/points', { points: [{ id: 'c', vector: [1] }] }],
        ['POST', '/docs/points:bulk', { points: [] }],
        ['DELETE', '/docs/points', { ids: ['a'] }],
        ['DELETE', '/absent', undefined],
      ] as const) {
        await same((side) => rest(side, method, path, body));
      }
      await same(async ({ grpc }) => {
        const events: StreamEvent[] = [];
        for await (const batch of grpc.replicate(inTime())) {
          events.push(...batch);
          if (shownEvents(events).length === 3) break;
        }
        return shownEvents(events);
      });
    } finally {
      for (const { grpc } of sides) grpc.close();
      sides = leaders;
      await realFollower.kill();
      await ourFollower.stop();
    }
  });
});
