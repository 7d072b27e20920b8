import type { CoordinatorActivities } from '../../../src/contract/activities';
import { COLLECTION, MovingCluster, point, SCHEMA } from '../../support/moving-cluster';

const LEAVER = 1;
const QUERY = { path: /\/query$/ };
let cluster: MovingCluster;
beforeEach(async () => {
  cluster = await MovingCluster.start({ leaver: LEAVER });
});
afterEach(() => cluster.stop());

type WarmUpInput = Parameters<CoordinatorActivities['warmUp']>[0];
const input = (more: Partial<WarmUpInput> = {}): WarmUpInput => ({
  receivers: cluster.receivers,
  collections: [COLLECTION],
  patienceMs: 60_000,
  mustFind: true,
  slice: cluster.move,
  ...more,
});

/** Points on the shards that own them, and copies of the leaver's on the others. Returns the ids that were copied. */
function copied(count: number): string[] {
  const moving = cluster.fill(count);
  for (const id of moving) cluster.ownerOf(id).put(COLLECTION, cluster.leaver.get(COLLECTION, id)!);
  return moving;
}

/** Searches answer without these points, as they do while an index is brought up to date in the background. */
function hideFromSearches(ids: readonly string[]): { remove: () => void } {
  const active = cluster.receivers.flatMap(({ id }) => {
    const shard = cluster.shards[id]!;
    const hidden = ids.filter((each) => shard.get(COLLECTION, each) !== null);
    const points = hidden.map((each) => shard.get(COLLECTION, each)!);
    return [
      shard.faults.add({
        match: QUERY,
        fault: { kind: 'before', run: () => void shard.delete(COLLECTION, ...hidden) },
      }),
      shard.faults.add({ match: QUERY, fault: { kind: 'beforeReply', run: () => shard.put(COLLECTION, ...points) } }),
    ];
  });
  return { remove: () => active.forEach((each) => each.remove()) };
}

/** From here on only what was moved is searched for. */
async function buildIndexes(): Promise<void> {
  await cluster.run('warmUp', input({ mustFind: false }));
  cluster.clock.sleptMs.length = 0;
}

const searches = (): number =>
  cluster.shards.flatMap((shard) => shard.requests.filter(({ path }) => QUERY.path.test(path))).length;

describe('warmUp of owners that take over a slice', () => {
  it('finds what was moved when the indexes are up to date', async () => {
    copied(900);
    expect((await cluster.run('warmUp', input())).result).toEqual({ notReady: [] });
    expect(searches()).toBeGreaterThan(0);
  });

  it('is not ready while searches find what the owners had before and not what was moved to them', async () => {
    const moving = copied(900);
    await buildIndexes();
    hideFromSearches(moving);
    cluster.clock.onSleep = () => void (cluster.clock.skewMs += 60_000);
    expect((await cluster.run('warmUp', input())).result).toEqual({ notReady: [COLLECTION] });
    expect(cluster.clock.sleptMs.length).toBeGreaterThan(0);
  });

  it('is ready as soon as searches find what was moved', async () => {
    const moving = copied(900);
    await buildIndexes();
    const old = hideFromSearches(moving);
    cluster.clock.onSleep = () => old.remove();
    expect((await cluster.run('warmUp', input())).result).toEqual({ notReady: [] });
    expect(cluster.clock.sleptMs.length).toBeGreaterThan(0);
  });

  it('searches for no point that the owners had before, so that these cannot make it wait either', async () => {
    const moving = copied(900);
    const own = [0, 2].flatMap((id) => cluster.shards[id]!.ids(COLLECTION)).filter((id) => !moving.includes(id));
    await buildIndexes();
    hideFromSearches(own);
    expect((await cluster.run('warmUp', input())).result).toEqual({ notReady: [] });
    expect(cluster.clock.sleptMs).toEqual([]);
  });

  it('has nothing to find on an owner that holds no point of the slice', async () => {
    cluster.fill(60);
    await buildIndexes();
    const before = searches();
    expect((await cluster.run('warmUp', input())).result).toEqual({ notReady: [] });
    expect(searches()).toBe(before);
  });

  it('finds a sample of the slice where only every fiftieth point of an owner is of it', async () => {
    const owner = cluster.shards[2]!;
    const [moving, rest]: [string[], string[]] = [[], []];
    for (let n = 0; rest.length < 1_200; n++) {
      const id = `POINTDATA-${String(n).padStart(6, '0')}`;
      if (cluster.donorOf(id) === owner) rest.push(id);
      else if (cluster.ownerOf(id) === owner && moving.length * 49 < rest.length) moving.push(id);
    }
    owner.put(COLLECTION, ...[...moving, ...rest].map((id, n) => point(id, n)));
    await buildIndexes();
    hideFromSearches(moving);
    cluster.clock.onSleep = () => void (cluster.clock.skewMs += 60_000);
    const { result } = await cluster.run('warmUp', input({ receivers: [cluster.address(2)] }));
    expect(result).toEqual({ notReady: [COLLECTION] });
  });
});

describe('warmUp of a collection that a shard refuses to be asked about', () => {
  const CLIENT_SIDE = { ...SCHEMA, index: 'hnsw', vector_encryption: 'client_side' };

  beforeEach(async () => {
    await cluster.stop();
    cluster = await MovingCluster.start({ leaver: LEAVER, schema: CLIENT_SIDE });
  });

  it.each([{ mustFind: true }, { mustFind: false }])('ends as not known, where mustFind is $mustFind', async (more) => {
    // Twice, so that the index of the in-process shard has to be built.
    for (let time = 0; time < 2; time++) copied(900);
    expect((await cluster.run('warmUp', input(more))).result).toEqual({ notReady: [], notKnown: [COLLECTION] });
  });

  it('still tells of the others whether searches find them', async () => {
    for (const shard of cluster.shards) shard.create({ ...SCHEMA, name: 'plain' });
    copied(900);
    const { result } = await cluster.run('warmUp', input({ collections: [COLLECTION, 'plain'] }));
    expect(result).toEqual({ notReady: [], notKnown: [COLLECTION] });
  });

  it('fails where the key is refused, because that is not about the index', async () => {
    copied(60);
    const { faults } = cluster.shards[2]!;
    faults.add({ match: QUERY, fault: { kind: 'status', status: 403 } });
    faults.add({ match: { path: /\/fetch$/ }, fault: { kind: 'status', status: 403 } });
    const failure = await cluster.failure('warmUp', input());
    expect(failure.type).toBe('Forbidden');
  });
});
