/** What a shard can do to an operation, fault by fault, on in-process shards. */
import type { ClusterFixture } from '../support/cluster-fixture';
import { sample } from '../support/sample';
import { LOOKING, READING, WRITING, type Fault, type FaultMatch } from '../support/shard-faults';
import { useCluster } from '../support/use-cluster';

const POINTS = 3_000;
/** The shard that leaves, of three. */
const LEAVER = 1;
const TEST_TIMEOUT_MS = 120_000;

const deleting: FaultMatch = { method: 'DELETE', path: /docs\/points/ };
const droppingCollection: FaultMatch = { method: 'DELETE', path: /collections\/docs$/ };
const creatingCollection: FaultMatch = { method: 'POST', path: /collections$/ };
/** More than one attempt of a call, and fewer than an operation takes for good. */
const A_WHILE = { nth: 1, times: 4 };

type Case = readonly [string, FaultMatch, Fault];
const status = (code: number, retryAfter?: string): Fault =>
  retryAfter === undefined ? { kind: 'status', status: code } : { kind: 'status', status: code, retryAfter };
/** As gRPC numbers them. */
const [RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE] = [8, 13, 14];
const CUT_STREAM: Fault = { kind: 'cutStream', rows: 500 };

const OF_A_DONOR: readonly Case[] = [
  ['refuses connections for a while', { ...READING, ...A_WHILE }, { kind: 'refuse' }],
  ['hangs once when it deletes', { ...deleting, nth: 1 }, { kind: 'hang' }],
  ['is slow', READING, { kind: 'slow', ms: 200 }],
  ['is overloaded', { ...READING, nth: 2, times: 2 }, status(RESOURCE_EXHAUSTED)],
  ['is overloaded when it deletes, and says for how long', { ...deleting, nth: 1, times: 2 }, status(429, '1')],
  ['is overloaded when it deletes, and says nothing', { ...deleting, ...A_WHILE }, status(429)],
  ['fails', { ...READING, nth: 2, times: 4 }, status(INTERNAL)],
  ['cuts its stream in the middle', { ...READING, ...A_WHILE }, CUT_STREAM],
  ['ends its stream in the middle', { ...READING, ...A_WHILE }, { ...CUT_STREAM, status: UNAVAILABLE }],
  ['loses the reply to a delete', { ...deleting, nth: 1, times: 2 }, { kind: 'replyLost' }],
];
const OF_THE_JOINER: readonly Case[] = [
  ['refuses connections for a while', { ...WRITING, ...A_WHILE }, { kind: 'refuse' }],
  ['is unavailable for a while', { ...WRITING, ...A_WHILE }, status(UNAVAILABLE)],
  ['loses the reply to an upsert', { ...WRITING, nth: 1, times: 2 }, { kind: 'replyLost' }],
  ['loses the reply to the creation of a collection', { ...creatingCollection, nth: 2 }, { kind: 'replyLost' }],
  ['cannot be compared for a while', { ...LOOKING, ...A_WHILE }, { kind: 'refuse' }],
];
const OF_THE_LEAVER: readonly Case[] = [
  ['refuses connections for a while', { ...READING, nth: 2, times: 4 }, { kind: 'refuse' }],
  ['fails', { ...READING, ...A_WHILE }, status(INTERNAL)],
  ['cuts its stream in the middle', { ...READING, ...A_WHILE }, CUT_STREAM],
  ['loses the reply to the drop of a collection', { ...droppingCollection, nth: 1 }, { kind: 'replyLost' }],
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
