import { ShardClient } from '../../../src/shards/http/shard-client';
import { ShardGrpc } from '../../../src/shards/stream/shard-grpc';
import { SHARD_KEY, type InProcessShard } from '../../support/in-process-shard';
import { COLLECTION, MovingCluster, point, SCHEMA } from '../../support/moving-cluster';

let cluster: MovingCluster;
afterEach(() => cluster.stop());

const receivers = () => [cluster.address(2)];
const sides = () => ({ donors: cluster.donors, receivers: receivers() });

/** Of the collection, as that shard describes it. */
async function schemaOn(shard: InProcessShard): Promise<string | undefined> {
  const client = new ShardClient({ address: { primary_url: shard.url, replica_urls: [] }, key: SHARD_KEY });
  return (await client.getCollection(COLLECTION, { deadlineMs: Number.MAX_SAFE_INTEGER }))?.schema;
}

/** The attempt before this one said nothing about its end, so it may be writing still. */
const RETRY = { info: { attempt: 2 } };

describe('listCollections', () => {
  it('names every collection that any of the shards has, with the counts of those that have it', async () => {
    cluster = await MovingCluster.start();
    cluster.shards[0]!.put(COLLECTION, point('POINTDATA-a'));
    cluster.shards[1]!.create({ ...SCHEMA, name: 'other', dim: 9 });
    cluster.joiner.create({ ...SCHEMA, name: 'not-asked-for' });
    const { result } = await cluster.run('listCollections', { shards: cluster.donors });
    expect(result.collections).toEqual([
      { name: COLLECTION, points: 1 },
      { name: 'other', points: 0 },
    ]);
  });

  it('fails when a shard cannot be asked: unknown is not "has none"', async () => {
    cluster = await MovingCluster.start();
    await cluster.shards[1]!.stop();
    expect(await cluster.failure('listCollections', { shards: cluster.donors })).toMatchObject({ type: 'Unreachable' });
  });
});

describe('prepareCollections', () => {
  it('creates on the joiner what the donors have, with the same settings, and nothing when repeated', async () => {
    const schema = { ...SCHEMA, filterable: [{ path: 'value', field_type: 'numeric' }] };
    cluster = await MovingCluster.start({ schema: null });
    for (const donor of cluster.shards.slice(0, 2)) donor.create(schema);
    const { result } = await cluster.run('prepareCollections', sides());
    expect(result).toMatchObject({ created: 1, collections: [{ name: COLLECTION }] });
    const again = await cluster.run('prepareCollections', sides());
    expect(again.result.created).toBe(0);
    expect(await schemaOn(cluster.joiner)).toEqual(await schemaOn(cluster.shards[0]!));
  });

  it('tells how many points the donors hold together, and nothing of schemas, which would fill a history', async () => {
    cluster = await MovingCluster.start();
    cluster.fill(30);
    const { result } = await cluster.run('prepareCollections', sides());
    const points = cluster.shards.slice(0, 2).reduce((sum, shard) => sum + shard.ids(COLLECTION).length, 0);
    expect(result.collections).toEqual([{ name: COLLECTION, points }]);
  });

  it('leaves a client the time to create what the joiner lacks, once the joiner is in the map', async () => {
    cluster = await MovingCluster.start({ schema: null });
    for (const donor of cluster.shards.slice(0, 2)) donor.create(SCHEMA);
    cluster.clock.onSleep = () => cluster.joiner.create(SCHEMA);
    const { result } = await cluster.run('prepareCollections', { ...sides(), settleMs: 500 });
    expect(result.created).toBe(0);
    expect(cluster.writes(cluster.joiner)).toEqual([]);
    expect(cluster.clock.sleptMs).toEqual([500]);
  });

  it('creates what no client has created in that time, and waits for nothing when nothing is missing', async () => {
    cluster = await MovingCluster.start({ schema: null });
    for (const donor of cluster.shards.slice(0, 2)) donor.create(SCHEMA);
    const input = { ...sides(), settleMs: 500 };
    expect((await cluster.run('prepareCollections', input)).result.created).toBe(1);
    expect((await cluster.run('prepareCollections', input)).result.created).toBe(0);
    expect(cluster.clock.sleptMs).toEqual([500]);
  });

  it('does not wait for another donor that elects its leader, but for the one that it is about', async () => {
    cluster = await MovingCluster.start();
    cluster.joiner.drop(COLLECTION);
    await cluster.failOver(0);
    cluster.shards[0]!.faults.add({ match: { path: /\/points$/ }, fault: { kind: 'status', status: 421 } });
    const { result } = await cluster.run('prepareCollections', { ...sides(), mayBeAway: [0] });
    expect(result).toMatchObject({ created: 1, collections: [{ name: COLLECTION, points: 0 }] });
    const failure = await cluster.failure('prepareCollections', { ...sides(), mayBeAway: [1] });
    expect(failure).toMatchObject({ type: 'NotLeader', nonRetryable: false });
  });

  it('is to be tried again while the donors disagree, and creates nothing then', async () => {
    cluster = await MovingCluster.start({ schema: null });
    cluster.shards[0]!.create(SCHEMA);
    const failure = await cluster.failure('prepareCollections', sides());
    expect(failure).toMatchObject({ type: 'CollectionInFlux', nonRetryable: false });
    expect(cluster.joiner.collections()).toEqual([]);
  });

  it('needs a person when the joiner has the collection with other settings', async () => {
    cluster = await MovingCluster.start({ schema: null });
    for (const donor of cluster.shards.slice(0, 2)) donor.create(SCHEMA);
    cluster.joiner.create({ ...SCHEMA, dim: 9 });
    const failure = await cluster.failure('prepareCollections', sides());
    expect(failure).toMatchObject({ type: 'SchemaConflict', nonRetryable: true });
  });
});

describe('prepareCollections after a client has created a collection anew with another dimension', () => {
  const NEW = { ...SCHEMA, dim: 9 };
  const OLD_POINT = { id: 'POINTDATA-old', vector: [1, 2] };
  const input = (had: readonly string[]) => ({ ...sides(), had: [had], settleMs: 500 });
  beforeEach(async () => {
    cluster = await MovingCluster.start({ schema: null });
    for (const donor of cluster.shards.slice(0, 2)) donor.create(NEW);
    cluster.joiner.create(SCHEMA);
    cluster.joiner.put(COLLECTION, OLD_POINT);
  });

  it('replaces the copy of the old one on the joiner, after a second look, and nothing when repeated', async () => {
    const { result } = await cluster.run('prepareCollections', input([]));
    expect(result).toMatchObject({ created: 1, replaced: 1 });
    expect(cluster.clock.sleptMs).toEqual([500]);
    expect(cluster.joiner.ids(COLLECTION)).toEqual([]);
    expect(await schemaOn(cluster.joiner)).toEqual(await schemaOn(cluster.shards[0]!));
    const again = await cluster.run('prepareCollections', input([]));
    expect(again.result).toMatchObject({ created: 0 });
    expect(again.result.replaced).toBeUndefined();
  });

  it('leaves it alone when the client reaches the joiner meanwhile', async () => {
    cluster.clock.onSleep = () => {
      cluster.joiner.drop(COLLECTION);
      cluster.joiner.create(NEW);
      cluster.joiner.put(COLLECTION, { id: 'POINTDATA-new', vector: [1, 2, 3, 4, 5, 6, 7, 8, 9] });
    };
    const { result } = await cluster.run('prepareCollections', input([]));
    expect(result.created).toBe(0);
    expect(cluster.joiner.ids(COLLECTION)).toEqual(['POINTDATA-new']);
  });

  it('needs a person when the joiner had it before the operation', async () => {
    const failure = await cluster.failure('prepareCollections', input([COLLECTION]));
    expect(failure).toMatchObject({ type: 'SchemaConflict', nonRetryable: true });
    expect(cluster.joiner.ids(COLLECTION)).toEqual(['POINTDATA-old']);
  });

  it('says that it may have replaced what an attempt before it may have dropped', async () => {
    cluster.joiner.drop(COLLECTION);
    const { result } = await cluster.run('prepareCollections', input([]), RETRY);
    expect(result).toMatchObject({ created: 1, replaced: 1 });
  });

  it('makes a copy wait that meets it, instead of failing for good', async () => {
    for (const donor of cluster.shards.slice(0, 2)) {
      for (const id of cluster.movingIds(3)) {
        if (cluster.donorOf(id) === donor) donor.put(COLLECTION, { id, vector: [1, 2, 3, 4, 5, 6, 7, 8, 9] });
      }
    }
    const failures = [];
    for (const { id } of cluster.donors) {
      const copy = { ...cluster.donorInput(id), isRepeat: false };
      failures.push(
        await cluster.run('copyDonor', copy).then(
          () => null,
          (error: unknown) => error,
        ),
      );
    }
    const met = failures.filter((failure) => failure !== null);
    expect(met.length).toBeGreaterThan(0);
    for (const failure of met) expect(failure).toMatchObject({ type: 'CollectionInFlux', nonRetryable: false });
  });
});

describe('prepareCollections where a collection is quantized to binary, which only gRPC tells', () => {
  const BINARY = { ...SCHEMA, index: 'disk_vamana', binary: true };
  const binaryOn = async ({ grpcUrl }: InProcessShard): Promise<boolean | undefined> => {
    const grpc = new ShardGrpc({ url: grpcUrl, key: SHARD_KEY });
    const listed = await grpc.listCollections({ deadlineMs: Number.MAX_SAFE_INTEGER }).finally(() => grpc.close());
    return listed.find(({ name }) => name === COLLECTION)?.binary;
  };

  beforeEach(async () => {
    cluster = await MovingCluster.start({ schema: null });
    for (const donor of cluster.shards.slice(0, 2)) donor.create(BINARY);
  });

  it('creates it with the flag, and finds it alike afterwards', async () => {
    expect((await cluster.run('prepareCollections', sides())).result.created).toBe(1);
    expect(await binaryOn(cluster.joiner)).toBe(true);
    expect((await cluster.run('prepareCollections', sides())).result.created).toBe(0);
  });

  it('creates it with the flag where only one of the donors tells', async () => {
    await cluster.shards[0]!.closeGrpc();
    expect((await cluster.run('prepareCollections', sides())).result.created).toBe(1);
    expect(await binaryOn(cluster.joiner)).toBe(true);
  });

  it('refuses a joiner that has it without the flag, unless that cannot be known', async () => {
    cluster.joiner.create({ ...BINARY, binary: false });
    const failure = await cluster.failure('prepareCollections', sides());
    expect(failure).toMatchObject({ type: 'SchemaConflict', nonRetryable: true });
    expect(failure.message).toMatch(/to be \{"binary":true,.* found \{"binary":false,/);
    await cluster.joiner.closeGrpc();
    expect((await cluster.run('prepareCollections', sides())).result.created).toBe(0);
  });
});

describe('prepareCollections of a drain', () => {
  const LEAVER = 1;
  const prepare = () => ({ donors: cluster.donors, receivers: cluster.receivers, mayCreate: false, settleMs: 500 });

  it('names the collections of the leaver, with its counts, and creates none', async () => {
    cluster = await MovingCluster.start({ leaver: LEAVER });
    cluster.fill(30);
    const { result } = await cluster.run('prepareCollections', prepare());
    const points = cluster.leaver.ids(COLLECTION).length;
    expect(result).toEqual({ collections: [{ name: COLLECTION, points }], created: 0, lateWritesUntilMs: 0 });
    expect(cluster.clock.sleptMs).toEqual([]);
  });

  it('waits for what a staying shard lacks, and never brings back what a client is dropping', async () => {
    cluster = await MovingCluster.start({ leaver: LEAVER });
    cluster.shards[2]!.drop(COLLECTION);
    const failure = await cluster.failure('prepareCollections', prepare());
    expect(failure).toMatchObject({ type: 'CollectionInFlux', nonRetryable: false });
    expect(failure.message).toContain(`collection ${COLLECTION}`);
    expect(failure.message).toContain('shard 2 lacks it');
    expect(cluster.clock.sleptMs).toEqual([500]);
    expect(cluster.shards[2]!.collections()).toEqual([]);
  });

  it('goes on when a client has created it on the staying shard meanwhile', async () => {
    cluster = await MovingCluster.start({ leaver: LEAVER });
    cluster.shards[2]!.drop(COLLECTION);
    cluster.clock.onSleep = () => cluster.shards[2]!.create(SCHEMA);
    const { result } = await cluster.run('prepareCollections', prepare());
    expect(result).toMatchObject({ created: 0, collections: [{ name: COLLECTION }] });
  });

  it('needs a person when a staying shard has the collection with other settings', async () => {
    cluster = await MovingCluster.start({ leaver: LEAVER });
    cluster.shards[2]!.drop(COLLECTION);
    cluster.shards[2]!.create({ ...SCHEMA, dim: 9 });
    const failure = await cluster.failure('prepareCollections', prepare());
    expect(failure).toMatchObject({ type: 'SchemaConflict', nonRetryable: true });
  });
});

describe('a collection that shards disagree about during a drain', () => {
  const LEAVER = 1;
  const copy = () => ({ ...cluster.donorInput(LEAVER), isRepeat: false });
  const pass = () => ({ ...cluster.donorInput(LEAVER), settleMs: 500, recut: true, scanReceivers: false });
  const steps = [
    ['copyDonor', copy],
    ['compareDonor', pass],
  ] as const;

  it.each(steps)('makes %s wait where a staying shard lacks it, and is not created there', async (name, input) => {
    cluster = await MovingCluster.start({ leaver: LEAVER });
    cluster.fill(300);
    cluster.shards[2]!.drop(COLLECTION);
    const failure = await cluster.failure(name, input());
    expect(failure).toMatchObject({ type: 'CollectionInFlux', nonRetryable: false });
    expect(failure.message).toContain('shard 2 lacks it');
    expect(cluster.shards[2]!.collections()).toEqual([]);
  });

  it.each(steps)('is gone to %s when the leaver lacks it, whatever the others have', async (name, input) => {
    cluster = await MovingCluster.start({ leaver: LEAVER });
    cluster.fill(300);
    cluster.leaver.drop(COLLECTION);
    const before = cluster.shards.map((shard) => shard.ids(COLLECTION));
    await cluster.run(name, input());
    expect(cluster.shards.map((shard) => shard.ids(COLLECTION))).toEqual(before);
  });
});

describe('removeOrphanCollections', () => {
  const input = (keep: readonly string[] = []) => ({ ...sides(), keep: [keep], settleMs: 500 });

  it('removes from the joiner the collections that no donor has, except those that it had before', async () => {
    cluster = await MovingCluster.start();
    for (const name of ['gone', 'kept']) cluster.joiner.create({ ...SCHEMA, name });
    const { result } = await cluster.run('removeOrphanCollections', input(['kept']));
    expect(result).toEqual({ removed: 1, lateWritesUntilMs: 0 });
    expect(cluster.joiner.collections()).toEqual([COLLECTION, 'kept']);
    expect(cluster.clock.sleptMs).toEqual([500]);
  });

  it('leaves a collection that a donor has got when it is looked at again', async () => {
    cluster = await MovingCluster.start();
    cluster.joiner.create({ ...SCHEMA, name: 'new' });
    cluster.clock.onSleep = () => cluster.shards[1]!.create({ ...SCHEMA, name: 'new' });
    const { result } = await cluster.run('removeOrphanCollections', input());
    expect(result).toEqual({ removed: 0, lateWritesUntilMs: 0 });
    expect(cluster.joiner.collections()).toContain('new');
  });

  it('leaves a collection that the joiner has got between the two looks', async () => {
    cluster = await MovingCluster.start();
    cluster.joiner.create({ ...SCHEMA, name: 'gone' });
    cluster.clock.onSleep = () => cluster.joiner.create({ ...SCHEMA, name: 'new' });
    const { result } = await cluster.run('removeOrphanCollections', input());
    expect(result).toEqual({ removed: 1, lateWritesUntilMs: 0 });
    expect(cluster.joiner.collections()).toEqual([COLLECTION, 'new']);
  });

  it('removes nothing when a donor cannot be asked: unknown is not "has none"', async () => {
    cluster = await MovingCluster.start();
    cluster.joiner.create({ ...SCHEMA, name: 'gone' });
    await cluster.shards[0]!.stop();
    await cluster.failure('removeOrphanCollections', input());
    expect(cluster.joiner.collections()).toContain('gone');
  });
});

describe('what creates and removes collections', () => {
  it.each(['prepareCollections', 'removeOrphanCollections'] as const)(
    'says until when an earlier attempt of %s may still do so',
    async (name) => {
      cluster = await MovingCluster.start();
      const input = { ...sides(), keep: [], settleMs: 0 };
      const { result } = await cluster.run(name, input, RETRY);
      expect(result.lateWritesUntilMs).toBeGreaterThan(cluster.clock.nowMs());
      cluster.joiner.create({ ...SCHEMA, name: 'gone' });
      const again = await cluster.run(name, input, RETRY);
      expect(again.result.lateWritesUntilMs).toBeGreaterThan(cluster.clock.nowMs());
    },
  );
});
