/**
 * The in-process shard stands in for Quiver in most tests, so it has to answer as Quiver does: the same requests go to both, and status,
 * type and body must be the same.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startShard, SHARD_KEY, type InProcessShard } from './in-process-shard';
import { describeWithQuiver, quiverBinary, startQuiver, type RealQuiver } from './real-quiver';

interface Call {
  readonly method: string;
  readonly path: string;
  /** Sent as it is. */
  readonly body?: string;
  readonly headers?: Record<string, string>;
}
interface Seen {
  readonly status: number;
  readonly type: string | null;
  readonly body: string;
}

const post = (path: string, body: unknown): Call => ({
  method: 'POST',
  path: `/v1/collections${path}`,
  body: typeof body === 'string' ? body : JSON.stringify(body),
});
const remove = (path: string, body?: unknown): Call => ({
  method: 'DELETE',
  path: `/v1/collections${path}`,
  ...(body === undefined ? {} : { body: JSON.stringify(body) }),
});
const get = (path: string): Call => ({ method: 'GET', path: `/v1/collections${path}` });
const page = { limit: 100, with_payload: true, with_vector: true };
const pair = (id: string, payload = 'null'): string =>
  `{"id":${JSON.stringify(id)},"vector":[1,2],"payload":${payload}}`;
const points = (...elements: string[]): string => `{"points":[${elements.join(',')}]}`;

async function send(url: string, call: Call): Promise<Seen> {
  const response = await fetch(url + call.path, {
    method: call.method,
    headers: call.headers ?? { authorization: `Bearer ${SHARD_KEY}`, 'content-type': 'application/json' },
    ...(call.body === undefined ? {} : { body: call.body }),
  });
  return { status: response.status, type: response.headers.get('content-type'), body: await response.text() };
}

/** Texts for people may be worded otherwise; where their words are acted on (limits, missing collections) they are compared. */
function essence({ status, type, body }: Seen): Seen {
  if (type?.startsWith('text/plain') === true) return { status, type, body: body.split(':')[0] ?? '' };
  const isWordedFreely = /unsupported configuration|invalid character/.test(body);
  return { status, type, body: isWordedFreely ? '(worded freely)' : body };
}

describeWithQuiver('the in-process shard, beside real Quiver', () => {
  let real: RealQuiver;
  let ours: InProcessShard;
  let dir: string;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'conformance-'));
    real = await startQuiver({ role: 'shard', binary: quiverBinary() ?? '', dataDir: dir, keys: [SHARD_KEY] });
  });
  beforeEach(async () => {
    ours = await startShard();
    for (const { name } of JSON.parse((await send(real.url, get(''))).body) as { name: string }[]) {
      await send(real.url, remove(`/${name}`));
    }
  });
  afterEach(() => ours.stop());
  afterAll(async () => {
    await real.kill();
    await rm(dir, { recursive: true, force: true });
  });

  async function expectSame(...calls: Call[]): Promise<void> {
    for (const call of calls) {
      const [expected, seen] = await Promise.all([send(real.url, call), send(ours.url, call)]);
      const name = `${call.method} ${call.path} ${(call.body ?? '').slice(0, 200)}`;
      expect({ name, ...essence(seen) }).toEqual({ name, ...essence(expected) });
    }
  }

  it('lists, creates, describes and drops collections in the same way', async () => {
    await expectSame(
      get(''),
      post('', { name: 'docs', dim: 2, metric: 'l2' }),
      post('', { name: 'docs', dim: 2, metric: 'l2' }),
      post('', {
        name: 'a.b-c_D',
        dim: 3,
        metric: 'cosine',
        index: 'ivf',
        filterable: [{ path: 'x', field_type: 'keyword' }],
      }),
      post('', { name: 'pq', dim: 4, index: 'disk_vamana', pq_subspaces: 2, binary: true }),
      post('', { name: 'many', dim: 4, metric: 'cosine', multivector: true }),
      post('', { name: 'plain', dim: 4, multivector: false, filterable: [], unknown: 1 }),
      get(''),
      get('/docs'),
      get('/many'),
      get('/absent'),
      get('/a%20b'),
      remove('/docs'),
      remove('/docs'),
      get(''),
    );
  });

  it('refuses malformed collections with the same status', async () => {
    await expectSame(
      ...[
        {},
        { dim: 2 },
        { name: 'x' },
        { name: 'x', dim: 'y' },
        { name: 'x', dim: 1.5 },
        { name: 'x', dim: -1 },
        [],
      ].map((body) => post('', body)),
      post('', { name: 'x', dim: 0 }),
      post('', { name: '', dim: 2 }),
      post('', { name: 'a b', dim: 2 }),
      post('', { name: 'x', dim: 2, metric: 'other' }),
      post('', { name: 'x', dim: 2, index: 'other' }),
      post('', { name: 'x', dim: 2, metric: 'dot', index: 'ivf' }),
      post('', { name: 'x', dim: 2, filterable: ['y'] }),
      post('', '{bad'),
      post('', ''),
      get(''),
    );
  });

  it('keeps numbers, key order and escapes of payloads to the byte', async () => {
    const payloads = [
      '{"z":9007199254740993,"a":1.0,"n":18446744073709551615,"m":-0.0,"k":-0,"s":"\\u00e9\\u0001\\ud83d\\ude00\\/"}',
      '{"a":18446744073709551616,"b":-9223372036854775808,"c":-9223372036854775809,"e":1E+2,"f":1e16,"g":1e15}',
      '{"h":123456789012345680,"i":1e-5,"j":0.0001,"k":1.7976931348623157e308,"l":5e-324,"m":12345678.9e9,"n":0.000012345}',
      '{"o":1e17,"p":1e21,"q":1e-6,"r":0.00001234,"s":3.0e-5,"t":1.50,"u":99999999999999990000,"v":123456789.125e-12}',
      '{"\\u0062b":1,"aa":{"z":1,"y":2,"z":3},"ctl":"\\u0007\\b\\f\\n\\r\\t\\u007f\\u2028\\"\\\\"}',
      '[1,"x",{"b":1,"a":2},[],{},true,false,null]',
      '5',
      '"text"',
      '{"\ue000":1,"\u{10000}":2,"a":3,"":4}',
    ];
    await expectSame(
      post('', { name: 'docs', dim: 2 }),
      post('/docs/points', points(...payloads.map((payload, index) => pair(`p${index}`, payload)))),
      post('/docs/fetch', page),
      ...payloads.map((_, index) => get(`/docs/points/p${index}`)),
    );
  });

  it('renders vectors as the same shortest 32-bit floats, for every metric', async () => {
    const numbers = [
      0.1, 1, 3e10, 1e12, 1e13, 1e16, 1e-5, 1e-6, 1e-7, 3.4028235e38, 1e-45, 1.5e-6, 123456.789, 16777217, 0.3,
    ];
    numbers.push(0.99999994, 9.999999e12, 1 / 3, 2 / 3, 5e-39, 1e-38, 0.000012345678, 7.038531e-26, 1e39);
    for (let i = 1; i < 200; i++) numbers.push(Math.sin(i * 12.9898) * 10 ** ((i % 30) - 15), -Math.cos(i));
    while (numbers.length % 2 !== 0) numbers.push(0);
    const elements = Array.from({ length: numbers.length / 2 }, (_, i) =>
      JSON.stringify({ id: `v${i}`, vector: numbers.slice(2 * i, 2 * i + 2) }),
    );
    for (const metric of ['l2', 'cosine', 'dot']) {
      await expectSame(
        post('', { name: metric, dim: 2, metric }),
        post(
          `/${metric}/points`,
          points(...elements, '{"id":"minus","vector":[-0.0, -0]}', '{"id":"text","vector":[ 1.50 ,0.10]}'),
        ),
        post(`/${metric}/fetch`, { ...page, limit: 1_000 }),
      );
    }
  });

  it('orders ids by their bytes and pages over live rows', async () => {
    const ids = [
      '',
      '\u0000k',
      'a',
      'a/b c%',
      'b',
      '\uffff',
      '\ue000',
      '\u{1f600}',
      '\u{10ffff}',
      'é',
      'z',
      'Z',
      '"\\',
    ];
    await expectSame(
      post('', { name: 'docs', dim: 2 }),
      post('/docs/points', points(...ids.map((id) => pair(id)))),
      post('/docs/fetch', {}),
      post('/docs/fetch', { with_payload: false }),
      post('/docs/fetch', { offset: 3, limit: 4, with_vector: true }),
      remove('/docs/points', { ids: ['', 'b', 'absent', 'b'] }),
      post('/docs/fetch', { offset: 3, limit: 4 }),
      post('/docs/fetch', { offset: 99 }),
      post('/docs/fetch', { limit: 0 }),
      get('/docs'),
      ...['a%2Fb%20c%25', 'b', 'absent', '%F0%9F%98%80', '%ff'].map((id) => get(`/docs/points/${id}`)),
    );
  });

  it('takes the last of two points with one id, and ignores unknown fields', async () => {
    await expectSame(
      post('', { name: 'docs', dim: 2 }),
      post('/docs/points', points(pair('a', '1'), pair('a', '2'), '{"x":[1e5,{}],"id":"b","vector":[1,2]}')),
      post('/docs/points', '{"more":{"points":1},"points":[]}'),
      post('/docs/fetch', page),
    );
  });

  it('refuses malformed points with the same status and keeps none of their batch', async () => {
    const bad = [
      '{"id":1,"vector":[1,2]}',
      '{"id":"q"}',
      '{"vector":[1,2]}',
      '{"id":"q","vector":[1]}',
      '{"id":"q","vector":[1,"2"]}',
      '{"id":"q","vector":[1,null]}',
      '{"id":"q","vector":"12"}',
      '{"id":"q","vector":[1,1e400]}',
      '{"id":"q","vector":[1,2],"payload":{"a":1e400}}',
      '{"id":"q","vector":[1,2],"payload":{"a":01}}',
      '{"id":"q","id":"r","vector":[1,2]}',
      '{"id":"\\ud800","vector":[1,2]}',
      '{"id":"q\n","vector":[1,2]}',
      '{"id":"q","vector":[1,2]},',
      '{"id":"q","vector":[1,2,]}',
    ];
    await expectSame(
      post('', { name: 'docs', dim: 2 }),
      ...bad.map((element) => post('/docs/points', points(pair('good'), element))),
      ...['', '{}', '[]', '1', '{"points":1}', '{"points":[]} x', '{"points":[1]}'].map((body) =>
        post('/docs/points', body),
      ),
      ...[{}, { ids: 1 }, { ids: [1] }].map((body) => remove('/docs/points', body)),
      ...[{ limit: -1 }, { limit: 1.5 }, { offset: null }, { with_vector: 1 }].map((body) => post('/docs/fetch', body)),
      post('/docs/fetch', ''),
      get('/docs'),
    );
  });

  it('has the same limits and names them in the same words', async () => {
    const many = (count: number): string =>
      points(...Array.from({ length: count }, (_, i) => `{"id":"${i}","vector":[1,2]}`));
    const payload = (bytes: number): string => pair('big', JSON.stringify({ a: 'x'.repeat(bytes - 8) }));
    await expectSame(
      post('', { name: 'docs', dim: 2 }),
      post('/docs/points', many(1_000)),
      post('/docs/points', many(1_001)),
      post('/docs/points:bulk', many(1_001)),
      post('/docs/points:bulk', many(50_001)),
      post('/docs/points', points(payload(65_536))),
      post('/docs/points', points(payload(65_537))),
      post('/docs/fetch', { limit: 10_000 }),
      post('/docs/fetch', { limit: 10_001 }),
      post('/docs/query', { vector: [1, 2], k: 10_001 }),
      remove('/docs/points', { ids: Array.from({ length: 60_000 }, (_, i) => String(i)) }),
      post('/docs/points', `{"points":[],"x":"${'y'.repeat(32 * 1024 * 1024)}"}`),
      get('/docs'),
    );
  });

  it('answers calls on absent, on multivector and on encrypted collections in the same way', async () => {
    await expectSame(post('', { name: 'sealed', dim: 2, metric: 'l2', vector_encryption: 'client_side' }));
    await expectSame(post('', { name: 'many', dim: 2, metric: 'cosine', multivector: true }));
    for (const name of ['absent', 'many', 'sealed']) {
      await expectSame(
        post(`/${name}/fetch`, page),
        post(`/${name}/points`, points(pair('a'))),
        post(`/${name}/points:bulk`, points()),
        post(`/${name}/query`, { vector: [1, 2], k: 1 }),
        get(`/${name}/points/a`),
        remove(`/${name}/points`, { ids: ['a'] }),
      );
    }
  });

  it('asks for a key and a content type, and knows the same routes', async () => {
    const bearer = { authorization: `Bearer ${SHARD_KEY}` };
    await expectSame(
      { method: 'GET', path: '/healthz', headers: {} },
      { method: 'GET', path: '/readyz', headers: {} },
      { method: 'GET', path: '/v1/collections', headers: {} },
      { method: 'GET', path: '/v1/collections', headers: { authorization: 'Bearer wrong' } },
      { method: 'GET', path: '/v1/collections', headers: { authorization: `Basic ${SHARD_KEY}` } },
      { method: 'GET', path: '/nothing', headers: {} },
      { method: 'GET', path: '/nothing', headers: bearer },
      { method: 'PATCH', path: '/v1/collections', headers: bearer },
      { method: 'GET', path: '/v1/collections/docs/points', headers: bearer },
      { method: 'GET', path: '/v1/collections/docs/points/', headers: bearer },
      {
        method: 'POST',
        path: '/v1/collections',
        headers: { ...bearer, 'content-type': 'text/plain' },
        body: '{"name":"docs","dim":2}',
      },
      {
        method: 'DELETE',
        path: '/v1/collections/docs/points',
        headers: { ...bearer, 'content-type': 'text/plain' },
        body: '{"ids":[]}',
      },
    );
  });

  it('says in the same cases that the next search has to build the index', async () => {
    type Step = (name: string) => Call;
    let next = 0;
    const rows = (count: number): string =>
      points(...Array.from({ length: count }, () => `{"id":"p${(next += 1)}","vector":[${next},2]}`));
    const add =
      (count: number): Step =>
      (name) =>
        post(`/${name}/points`, rows(count));
    const bulk =
      (count: number): Step =>
      (name) =>
        post(`/${name}/points:bulk`, rows(count));
    const overwrite: Step = (name) => post(`/${name}/points`, points(`{"id":"p${next}","vector":[1,1]}`));
    const drop =
      (count: number): Step =>
      (name) =>
        remove(`/${name}/points`, { ids: Array.from({ length: count }, (_, i) => `p${next - i}`) });
    const dropAbsent: Step = (name) => remove(`/${name}/points`, { ids: ['absent'] });
    const search: Step = (name) => post(`/${name}/query`, { vector: [1, 2], k: 0 });
    const stories: Step[][] = [
      [add(1), add(2), dropAbsent, bulk(0), search, bulk(9)],
      [bulk(200), add(1), overwrite, search, add(1), bulk(500), drop(1), add(1), overwrite],
      [add(3), drop(3), add(1), search, drop(1), add(1)],
      [add(3), drop(1), search, add(1), drop(1), bulk(9)],
      [add(3), overwrite, add(1)],
      [add(3), search, add(3), overwrite, search, bulk(10)],
      [search, bulk(200), bulk(5)],
      [search, add(1), bulk(5)],
      [add(13), drop(2), add(1), drop(1), add(1)],
    ];
    for (const index of ['hnsw', 'ivf', 'vamana']) {
      for (const [number, story] of stories.entries()) {
        const name = `${index}-${number}`;
        await expectSame(post('', { name, dim: 2, index }));
        for (const step of story) await expectSame(step(name), get(`/${name}`));
      }
    }
  });

  it('reads floats of payloads no better than Quiver does, so that a copy of some differs from the original', async () => {
    const numbers: number[] = [];
    for (let i = 1; i < 400; i++) numbers.push(Math.sin(i) * 10 ** (i - 200), Math.cos(i * i));
    const texts = [
      '123456789012345678901234567890.5',
      '0.00000000000000000000000000012345678901234567890',
      '1e308',
      '1e-320',
    ];
    texts.push(...numbers.map(String), ...numbers.map((number) => number.toExponential(20)));
    const rows = (all: readonly string[]): string =>
      points(...all.map((text, i) => pair(String(i + 10_000), `{"v":${text}}`)));
    await expectSame(
      post('', { name: 'docs', dim: 2 }),
      post('/docs/points:bulk', rows(texts)),
      post('/docs/fetch', { ...page, limit: 10_000 }),
    );
    const { body } = await send(ours.url, post('/docs/fetch', { ...page, limit: 10_000 }));
    await expectSame(post('/docs/points:bulk', body), post('/docs/fetch', { ...page, limit: 10_000 }));
  });

  it('finds the same nearest points, with scores that differ by rounding at most', async () => {
    interface Matches {
      readonly matches: readonly { readonly score: number }[];
    }
    const isolated = ({ body }: Seen): { rest: unknown; scores: number[] } => {
      const { matches } = JSON.parse(body) as Matches;
      return { rest: matches.map((match) => ({ ...match, score: 0 })), scores: matches.map(({ score }) => score) };
    };
    for (const metric of ['l2', 'cosine', 'dot']) {
      await expectSame(
        post('', { name: metric, dim: 2, metric }),
        post(
          `/${metric}/points`,
          points(pair('a', '{"n":1}'), '{"id":"b","vector":[3,4]}', '{"id":"c","vector":[-1,0]}'),
        ),
        post(`/${metric}/query`, { vector: [1], k: 3 }),
      );
      for (const more of [{ k: 2 }, { k: 3, with_payload: false, with_vector: true }]) {
        const call = post(`/${metric}/query`, { vector: [1, 1.5], ...more });
        const [expected, seen] = [isolated(await send(real.url, call)), isolated(await send(ours.url, call))];
        expect(seen.rest).toEqual(expected.rest);
        seen.scores.forEach((score, index) => expect(score).toBeCloseTo(expected.scores[index] ?? NaN, 5));
      }
    }
  });
});
