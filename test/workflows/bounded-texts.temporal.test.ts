import { FAST, type ClusterFixture } from '../support/cluster-fixture';
import { json, StubShard } from '../support/stub-shard';
import { useCluster } from '../support/use-cluster';
import { TEXT_CHARS_MAX } from '../../src/domain/limits';

let cluster: ClusterFixture;
useCluster('bounded', { points: 20 }, (started) => {
  cluster = started;
});

/** Every text of a JSON value. */
function textsOf(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsOf) : [];
}

describe('100 routers that stay behind', () => {
  let router: StubShard;
  beforeEach(async () => {
    router = await new StubShard((response) => json(response, { version: 1 })).start();
  });
  afterEach(() => router.stop());

  it('undo a grow with messages that name three of them, so that no state grows with the others', async () => {
    const routerUrls = Array.from({ length: 100 }, (_, n) => `${router.url}/a/router/number-${n}`);
    const change = { routerUrls, timings: { ...FAST, routerPatienceMs: 300 } };
    await cluster.announce('a', change);
    await expect(cluster.operation('a').result()).rejects.toMatchObject({
      cause: { type: 'RoutersLagging', message: expect.stringContaining('and 97 more') },
    });
    const progress = await cluster.progress('a');
    expect(progress.outcome?.message).toMatch(
      /characters left out.*router.number-2 \(holds version 1, expected 3\) and 97 more$/,
    );
    expect(progress.phases.at(-1)).toMatchObject({ phase: 'undo', note: expect.stringContaining('and 97 more') });
    const { operations } = await cluster.state();
    for (const text of textsOf([progress, operations])) expect(text.length).toBeLessThanOrEqual(TEXT_CHARS_MAX);
    expect(JSON.stringify(progress).length).toBeLessThan(10_000);
    const { events = [] } = await cluster.operation('a').fetchHistory();
    const completed = events?.flatMap((event) => event.activityTaskCompletedEventAttributes?.result?.payloads ?? []);
    expect(Math.max(...(completed ?? []).map(({ data }) => data?.length ?? 0))).toBeLessThan(10_000);
  });
});
