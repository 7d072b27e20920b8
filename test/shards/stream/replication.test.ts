import { ShardError } from '../../../src/shards/errors';
import type { ShardGrpc, StreamEvent } from '../../../src/shards/stream/shard-grpc';
import type { InProcessShard } from '../../support/in-process-shard';
import { failureOf, inTime } from '../../support/shard-fixture';
import { shownEvents, streamFixture } from '../../support/stream-fixture';
import { waitFor } from '../../support/wait-for';

const { shardWith, clientOf } = streamFixture();

const REPLICATE = { method: 'GRPC', path: /\/Replicate$/ };
/** Of a payload: rows this large fill a window with a few hundred. */
const LARGE = JSON.stringify('x'.repeat(60_000));

async function shardOf(rows: number, payload = '{}'): Promise<InProcessShard> {
  const shard = await shardWith();
  shard.create({ name: 'docs', dim: 2 });
  const points = Array.from(
    { length: rows },
    (_, i) => `{"id":"p${1_000_000 + i}","vector":[1,2],"payload":${payload}}`,
  );
  shard.put('docs', ...points);
  return shard;
}

/** Everything up to the first event of this kind, which ends it. */
async function readTo(kind: StreamEvent['kind'], client: ShardGrpc): Promise<StreamEvent[]> {
  const events: StreamEvent[] = [];
  for await (const batch of client.replicate(inTime())) {
    events.push(...batch);
    if (events.some((event) => event.kind === kind)) return events;
  }
  return events;
}

/** Reads to the end, whatever that is. */
async function readAll(client: ShardGrpc, onFirst: () => void = () => undefined): Promise<StreamEvent[]> {
  const events: StreamEvent[] = [];
  for await (const batch of client.replicate(inTime())) {
    if (events.length === 0) onFirst();
    events.push(...batch);
  }
  return events;
}

const countRows = (events: readonly StreamEvent[]): number =>
  events.reduce((sum, event) => sum + (event.kind === 'rows' ? event.rows.length : 0), 0);

describe('the bootstrap', () => {
  it('has every collection, empty ones too, and its rows in byte order of the id', async () => {
    const shard = await shardWith();
    for (const name of ['a', 'b', 'empty']) shard.create({ name, dim: 1 });
    const ids = ['\u{10000}', '\ue000', 'b', '', 'B', 'a/ %'];
    for (const name of ['a', 'b']) shard.put(name, ...ids.map((id) => ({ id, vector: [1], payload: name })));
    const client = clientOf(shard.grpcUrl);
    const reading = readTo('bootstrap-end', client);
    await waitFor('the stream has begun', () => shard.requests.length === 1);
    shard.create({ name: 'probe', dim: 1 });
    const events = shownEvents(await reading);
    const rowsOf = (name: string) => events.filter((event) => event.startsWith(`row ${name} `));
    for (const name of ['a', 'b']) {
      const expected = ['', 'B', 'a/ %', 'b', '\ue000', '\u{10000}'];
      expect(rowsOf(name)).toEqual(expected.map((id) => `row ${name} ${id} 0000803f "${name}"`));
      const start = events.indexOf(`collection ${name}`);
      expect(events.slice(start + 1, start + 7)).toEqual(rowsOf(name));
    }
    expect(
      events
        .slice(0, -2)
        .filter((event) => event.startsWith('collection'))
        .sort(),
    ).toEqual(['collection a', 'collection b', 'collection empty']);
    expect(events.slice(-2)).toEqual(['bootstrap-end', 'tail-create probe']);
  });

  it('groups the rows that arrived together', async () => {
    const shard = await shardOf(2_000);
    const client = clientOf(shard.grpcUrl);
    const batches: (readonly StreamEvent[])[] = [];
    for await (const batch of client.replicate(inTime())) {
      batches.push(batch);
      if (countRows(batches.flat()) === 2_000) break;
    }
    expect(batches.length).toBeLessThan(60);
    expect(batches.flat().filter(({ kind }) => kind === 'rows').length).toBeLessThan(60);
  });

  it('brings the tokens of a document as rows, its payload with the first', async () => {
    const shard = await shardWith();
    shard.create({ name: 'many', dim: 1, metric: 'cosine', multivector: true });
    shard.putDocument('many', 'd', [[1], [2]], { a: 1 });
    const events: StreamEvent[] = [];
    for await (const batch of clientOf(shard.grpcUrl).replicate(inTime())) {
      events.push(...batch);
      if (countRows(events) === 2) break;
    }
    expect(shownEvents(events).slice(1)).toEqual(['row many d\x1f0 0000803f {"a":1}', 'row many d\x1f1 00000040 ']);
  });

  it('tells how long the first message took', async () => {
    const shard = await shardOf(1);
    shard.faults.add({ match: REPLICATE, fault: { kind: 'slow', ms: 60 } });
    const replication = clientOf(shard.grpcUrl).replicate(inTime());
    expect(replication.firstMessageMs).toBeNull();
    for await (const _batch of replication) break;
    expect(replication.firstMessageMs).toBeGreaterThanOrEqual(55);
  });

  it.each([
    ['the connection is cut', undefined, 'Unreachable'],
    ['the shard is going away', 14, 'Unreachable'],
    ['the stream is cancelled', 1, 'ServerError'],
    ['the stream ends as if all were well', 0, 'MalformedReply'],
  ])('is incomplete when %s inside it', async (_, status, code) => {
    const shard = await shardOf(500);
    const fault = { kind: 'cutStream', rows: 300, ...(status === undefined ? {} : { status }) } as const;
    shard.faults.add({ match: REPLICATE, fault });
    const events: StreamEvent[] = [];
    const read = async (): Promise<void> => {
      for await (const batch of clientOf(shard.grpcUrl).replicate(inTime())) events.push(...batch);
    };
    expect(await failureOf(read())).toMatchObject({ code, outcomeUnknown: false });
    expect(events.map(({ kind }) => kind)).not.toContain('bootstrap-end');
  });

  it('is refused to a key without the role admin, and to a wrong one', async () => {
    const shard = await shardWith({ keys: [{ secret: 'writer', role: 'write' }] });
    for (const [key, code] of [
      ['writer', 'Forbidden'],
      ['wrong', 'Unauthorized'],
    ] as const) {
      expect(await failureOf(readAll(clientOf(shard.grpcUrl, { key })))).toMatchObject({ code });
    }
  });

  it('ends with the reason of the signal, also while the consumer is busy', async () => {
    const shard = await shardOf(300, LARGE);
    const controller = new AbortController();
    const reason = new Error('the operation was cancelled');
    const read = async (): Promise<void> => {
      for await (const _batch of clientOf(shard.grpcUrl).replicate({ ...inTime(), signal: controller.signal })) {
        controller.abort(reason);
      }
    };
    await expect(read()).rejects.toBe(reason);
  });

  it('ends at the deadline, before the first message and after it', async () => {
    const shard = await shardOf(3);
    const client = clientOf(shard.grpcUrl);
    const read = async (): Promise<void> => {
      for await (const _batch of client.replicate({ deadlineMs: Date.now() + 80 })) continue;
    };
    const open = await failureOf(read());
    expect(open).toMatchObject({ code: 'TimedOut', status: null });
    expect(open.message).toContain('the answer did not come to its end before the deadline of its caller');
    shard.faults.add({ match: REPLICATE, fault: { kind: 'hang' } });
    expect((await failureOf(read())).message).toContain('no answer before the deadline of its caller');
  });
});

describe('a slow consumer', () => {
  it('holds the shard back, so that little more than a window is under way', async () => {
    const rows = 600;
    const shard = await shardOf(rows, LARGE);
    const client = clientOf(shard.grpcUrl);
    const batches = client.replicate(inTime())[Symbol.asyncIterator]();
    await batches.next();
    // What the shard has sent can be seen at its own side: it waits for room.
    let sent = -1;
    await waitFor('the shard has stopped sending', () => {
      const before = sent;
      sent = shard.grpcBytesSent;
      return sent > 0 && sent === before;
    });
    expect(sent).toBeLessThan(8_000_000);
    expect(sent).toBeGreaterThan(1_000_000);
    let seen = 0;
    for (let next = await batches.next(); next.done !== true && seen < rows - 100; next = await batches.next()) {
      seen += countRows(next.value);
    }
    expect(shard.grpcBytesSent).toBeGreaterThan(30_000_000);
    await batches.return(undefined);
  });

  it('loses none of the rows when the tail is lost meanwhile', async () => {
    const rows = 400;
    const shard = await shardOf(rows, LARGE);
    const events: StreamEvent[] = [];
    for await (const batch of clientOf(shard.grpcUrl).replicate(inTime())) {
      if (events.length === 0) {
        for (let i = 0; i < 1_100; i++) shard.put('docs', { id: `late-${i}`, vector: [1, 2] });
      }
      events.push(...batch);
      // The rest, and the status behind it, arrive while the consumer is busy with a row in the middle.
      if (countRows(events) > 375 && countRows(events) - countRows(batch) <= 375) {
        await waitFor('the shard has sent all', () => shard.requests[0]?.status === 15);
      }
    }
    expect(countRows(events)).toBe(rows);
    expect(events.slice(-2)).toEqual([
      { kind: 'bootstrap-end' },
      { kind: 'tail-lost', reason: expect.stringContaining('DATA_LOSS') },
    ]);
  });
});

describe('the tail', () => {
  it('tells every change in commit order, with the names of its collections', async () => {
    const shard = await shardWith();
    shard.create({ name: 'docs', dim: 1 });
    const events = await readAll(clientOf(shard.grpcUrl), () => {
      shard.put('docs', { id: 'a', vector: [1] }, { id: 'a', vector: [2], payload: 5 });
      shard.create({ name: 'probe', dim: 1 });
      shard.delete('docs', 'a', 'absent');
      shard.drop('docs');
      shard.create({ name: 'docs', dim: 1 });
      shard.put('docs', { id: 'b', vector: [1] });
      shard.drop('probe');
      setTimeout(() => void shard.stop(), 100);
    });
    expect(shownEvents(events)).toEqual([
      'collection docs',
      'bootstrap-end',
      'upsert docs a 0000803f null',
      'upsert docs a 00000040 5',
      'tail-create probe',
      'delete docs a',
      'tail-drop docs',
      'tail-create docs',
      'upsert docs b 0000803f null',
      'tail-drop probe',
      'tail-lost',
    ]);
    const lsns = events.flatMap((event) => ('lsn' in event ? [event.lsn] : []));
    expect(lsns).toEqual(lsns.map((_, index) => (lsns[0] ?? 0) + index));
  });

  it('of a follower shows what the follower has applied, and nothing that it has missed', async () => {
    const leader = await shardWith();
    leader.create({ name: 'docs', dim: 1 });
    leader.put('docs', { id: 'old', vector: [1] });
    const follower = await shardWith({ replicaOf: { shard: leader, frozen: true } });
    leader.put('docs', { id: 'new', vector: [1] });
    leader.drop('docs');
    const seen: string[] = [];
    for await (const batch of clientOf(follower.grpcUrl).replicate(inTime())) {
      seen.push(...shownEvents(batch));
      if (seen.length === 2) follower.catchUp();
      if (seen.at(-1) === 'tail-drop docs') break;
    }
    expect(seen).toEqual([
      'collection docs',
      'row docs old 0000803f null',
      'bootstrap-end',
      'upsert docs new 0000803f null',
      'tail-drop docs',
    ]);
    expect(follower.collections()).toEqual([]);
  });

  it('of a shard that stops inside the bootstrap is an error, never an end', async () => {
    const shard = await shardOf(3);
    const read = readAll(clientOf(shard.grpcUrl), () => void shard.stop());
    await expect(read).rejects.toBeInstanceOf(ShardError);
  });
});
