import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ShardClient } from '../../../src/shards/http/shard-client';
import { KeyFile, KeyFileError } from '../../../src/shards/reach/key-file';
import { ShardKeys, type Key } from '../../../src/shards/reach/shard-keys';
import { ShardGrpc } from '../../../src/shards/stream/shard-grpc';
import { failureOf, ID, inTime } from '../../support/shard-fixture';
import { startShard, type InProcessShard } from '../../support/in-process-shard';

let dir: string;
let path: string;
let nowMs = 0;
beforeEach(() => {
  nowMs = 1_000_000;
  dir = mkdtempSync(join(tmpdir(), 'keys-'));
  path = join(dir, 'keys');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** As a mounted secret changes: another file takes the place of the one before. */
function replace(content: string): void {
  writeFileSync(`${path}.new`, content);
  renameSync(`${path}.new`, path);
}

describe('a file of keys', () => {
  const open = (problems: string[] = []): KeyFile =>
    new KeyFile(path, { nowMs: () => nowMs, onProblem: (reason) => void problems.push(reason) });

  it.each([
    ['k1', ['k1']],
    ['k1\n', ['k1']],
    ['k1\r\n', ['k1']],
    ['  k1  \n\n k2\n', ['k1', 'k2']],
    ['k1,k2\nk1', ['k1', 'k2']],
  ])('with %j holds %j', (content, keys) => {
    writeFileSync(path, content);
    expect(open().keys()).toEqual(keys);
  });

  it('is read again within a second of its change, and its keys are the same array until then', () => {
    writeFileSync(path, 'old');
    const file = open();
    const before = file.keys();
    replace('new');
    nowMs += 999;
    expect(file.keys()).toBe(before);
    nowMs += 1;
    expect(file.keys()).toEqual(['new']);
  });

  it('is read again at once after a refused key, though not for each of a flood', () => {
    writeFileSync(path, 'old');
    const file = open();
    replace('new');
    nowMs += 99;
    expect(file.keys({ isRefused: true })).toEqual(['old']);
    nowMs += 1;
    expect(file.keys({ isRefused: true })).toEqual(['new']);
  });

  it('that goes bad keeps its keys, is told once without a key, and is read again when it is repaired', () => {
    writeFileSync(path, 'secret-1');
    const problems: string[] = [];
    const file = open(problems);
    for (const content of ['', '', 'secret-2 with blanks']) {
      replace(content);
      nowMs += 1_000;
      expect(file.keys()).toEqual(['secret-1']);
    }
    rmSync(path);
    nowMs += 1_000;
    expect(file.keys()).toEqual(['secret-1']);
    expect(problems.map((problem) => problem.replace(path, 'it'))).toEqual([
      'it which holds no key',
      'it whose key 1 holds a blank or another invisible character',
      'it which cannot be read (ENOENT)',
    ]);
    replace('secret-3');
    nowMs += 1_000;
    expect(file.keys()).toEqual(['secret-3']);
  });

  it('that is bad at the start is refused', () => {
    expect(() => open()).toThrow(KeyFileError);
  });
});

describe('two keys', () => {
  let shard: InProcessShard;
  afterEach(() => shard.stop());

  const both = (): ShardKeys => new ShardKeys({ given: ['old', 'new'], file: null });
  const rest = (key: Key) => new ShardClient({ address: { primary_url: shard.url, replica_urls: [] }, key });
  const grpc = (key: Key) => new ShardGrpc({ url: shard.grpcUrl, key });
  const statuses = () => shard.requests.map(({ status }) => status);

  it('are tried in turn where a shard answers 401, and the one that it took is remembered', async () => {
    shard = await startShard({ keys: ['new'] });
    const keys = both();
    const client = rest(keys);
    expect(await client.listCollections(inTime())).toEqual([]);
    expect(await client.listCollections(inTime())).toEqual([]);
    expect(statuses()).toEqual([401, 200, 200]);
    // A client of the same keys knows it too.
    expect(await rest(keys).listCollections(inTime())).toEqual([]);
    expect(statuses()).toEqual([401, 200, 200, 200]);
  });

  it('work the other way round too, for a shard that only has the old one', async () => {
    shard = await startShard({ keys: ['old'] });
    expect(await rest(both()).listCollections(inTime())).toEqual([]);
    expect(statuses()).toEqual([200]);
  });

  it('are both refused once, and the failure shows neither', async () => {
    shard = await startShard({ keys: ['third'] });
    const failure = await failureOf(rest(both()).deletePoints('docs', [ID], inTime()));
    expect(failure).toMatchObject({ code: 'Unauthorized', outcomeUnknown: false });
    expect(failure.message).not.toMatch(/\b(?:old|new)\b/);
    expect(statuses()).toEqual([401, 401]);
  });

  it('are no reason to repeat what was refused for another reason', async () => {
    shard = await startShard({ keys: [{ secret: 'old', role: 'read' }] });
    await failureOf(rest(both()).createCollection('{"name":"docs","dim":1,"metric":"l2"}', inTime()));
    expect(statuses()).toHaveLength(1);
  });

  it('are tried in turn over gRPC', async () => {
    shard = await startShard({ keys: ['new'] });
    const client = grpc(both());
    expect(await client.listCollections(inTime())).toEqual([]);
    client.close();
  });

  it('let the next attempt of a stream of rows go through', async () => {
    shard = await startShard({ keys: ['new'] });
    shard.create({ name: 'docs', dim: 1, metric: 'l2' });
    const client = grpc(both());
    const attempt = async (): Promise<number> => {
      const stream = client.upsertStream('docs', inTime());
      try {
        await stream.write([{ id: Buffer.from('a'), vector: Buffer.alloc(4), payload: Buffer.from('{}') }]);
        return await stream.end();
      } finally {
        stream.abort();
      }
    };
    expect(await failureOf(attempt())).toMatchObject({ code: 'Unauthorized' });
    expect(await attempt()).toBe(1);
    client.close();
  });

  it('come from a file that got the new one after the first 401', async () => {
    shard = await startShard({ keys: ['new'] });
    writeFileSync(path, 'old\n');
    const keys = new ShardKeys({ given: [], file: path }, { nowMs: () => nowMs });
    expect(await failureOf(rest(keys).listCollections(inTime()))).toMatchObject({ code: 'Unauthorized' });
    replace('new\n');
    nowMs += 100;
    expect(await rest(keys).listCollections(inTime())).toEqual([]);
  });
});
