/** What a shard can do to an operation, fault by fault, on in-process shards. */
import type { ClusterFixture } from '../support/cluster-fixture';
import { sample } from '../support/sample';
import type { Fault, FaultMatch } from '../support/shard-faults';
import { useCluster } from '../support/use-cluster';

const POINTS = 3_000;
/** The shard that leaves, of three. */
const LEAVER = 1;
const TEST_TIMEOUT_MS = 120_000;

const fetching: FaultMatch = { method: 'POST', path: /fetch/ };
const upserting: FaultMatch = { method: 'POST', path: /points/ };
const deleting: FaultMatch = { method: 'DELETE', path: /points/ };

type Case = readonly [string, FaultMatch, Fault];
const status = (code: number, retryAfter?: string): Fault =>
  retryAfter === undefined ? { kind: 'status', status: code } : { kind: 'status', status: code, retryAfter };

const OF_A_DONOR: readonly Case[] = [
  ['refuses connections for a while', { ...fetching, nth: 1, times: 6 }, { kind: 'refuse' }],
  ['hangs once', { ...fetching, nth: 1 }, { kind: 'hang' }],
  ['is slow', fetching, { kind: 'slow', ms: 200 }],
  ['is overloaded and says for how long', { ...fetching, nth: 2, times: 2 }, status(429, '1')],
  ['is overloaded and says nothing', { ...fetching, nth: 2, times: 4 }, status(429)],
  ['fails with a 500', { ...fetching, nth: 2, times: 4 }, status(500)],
  ['cuts pages in the middle', { ...fetching, nth: 1, times: 4 }, { kind: 'cutBody' }],
  ['loses the reply to a delete', { ...deleting, nth: 1, times: 2 }, { kind: 'replyLost' }],
];
const OF_THE_JOINER: readonly Case[] = [
  ['refuses connections for a while', { ...upserting, nth: 1, times: 6 }, { kind: 'refuse' }],
  ['is unavailable for a while', { ...upserting, nth: 1, times: 4 }, status(503)],
  ['loses the reply to an upsert', { ...upserting, nth: 1, times: 2 }, { kind: 'replyLost' }],
  ['cuts pages in the middle', { ...fetching, nth: 1, times: 4 }, { kind: 'cutBody' }],
];
const OF_THE_LEAVER: readonly Case[] = [
  ['refuses connections for a while', { nth: 12, times: 6 }, { kind: 'refuse' }],
  ['fails with a 500', { method: 'POST', nth: 4, times: 4 }, status(500)],
  ['cuts pages in the middle', { path: /fetch/, nth: 3, times: 2 }, { kind: 'cutBody' }],
  ['loses the reply to a delete', { ...deleting, nth: 2 }, { kind: 'replyLost' }],
];

const titled = (table: string, rows: readonly Case[]) =>
  sample(table, rows).map(([title, match, fault]) => ({ title, match, fault }));

let cluster: ClusterFixture;
const contents = () =>
  new Map(
    [...cluster.donors, cluster.joiner].flatMap((shard) =>
      shard.collections().includes('docs') ? shard.ids('docs').map((id) => [id, shard.get('docs', id)] as const) : [],
    ),
  );

describe('a grow', () => {
  useCluster('grow-faults', { points: POINTS }, (started) => (cluster = started));

  async function expectGrownWith(shard: 'donor' | 'joiner', match: FaultMatch, fault: Fault): Promise<void> {
    const before = contents();
    const active = (shard === 'donor' ? cluster.donors[0]! : cluster.joiner).faults.add({ match, fault });
    await cluster.announce('a');
    await cluster.operation('a').result();
    expect(active.hits).toBeGreaterThan(0);
    expect(await cluster.misplaced('docs')).toEqual([]);
    expect(contents()).toEqual(before);
    expect((await cluster.map()).shards).toHaveLength(3);
  }

  it.each(titled('faults of a donor', OF_A_DONOR))(
    'ends with every point on its owner when a donor $title',
    ({ match, fault }) => expectGrownWith('donor', match, fault),
    TEST_TIMEOUT_MS,
  );

  it.each(titled('faults of the joiner', OF_THE_JOINER))(
    'ends with every point on its owner when the joiner $title',
    ({ match, fault }) => expectGrownWith('joiner', match, fault),
    TEST_TIMEOUT_MS,
  );
});

describe('a drain', () => {
  useCluster('drain-faults', { points: POINTS, shards: 3 }, (started) => (cluster = started));

  it.each(titled('faults of the leaver', OF_THE_LEAVER))(
    'ends with every point on its owner when the leaver $title',
    async ({ match, fault }) => {
      const before = contents();
      const leaver = cluster.donors[LEAVER]!;
      const active = leaver.faults.add({ match, fault });
      await cluster.announceDrain('a', LEAVER);
      await cluster.operation('a', 'drain').result();
      expect(active.hits).toBeGreaterThan(0);
      expect(leaver.collections()).toEqual([]);
      expect(await cluster.misplaced('docs')).toEqual([]);
      expect(contents()).toEqual(before);
    },
    TEST_TIMEOUT_MS,
  );
});
