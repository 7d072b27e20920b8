import type { AutoscaleView } from '../../src/wire/autoscale';
import type { OperationList } from '../../src/wire/coordinator-api';
import { describeWithQuiver } from '../support/real-quiver';
import { waitFor } from '../support/wait-for';
import { ClusterUnderTest } from '../support/cluster-under-test';
import { expectGrown, expectNothingRefused, expectNothingWrong } from '../support/expectations';

const TEST_TIMEOUT_MS = 180_000;
const NO_LOAD_REACHES = 1_000_000;
/** The clients' points on two shards are above it, on three they still are: only the cooldown keeps the cluster from growing on. */
const BELOW_THE_LOAD = 500;

describeWithQuiver('a cluster that grows by policy while it is written to', () => {
  let cluster: ClusterUnderTest;

  beforeAll(async () => {
    cluster = await ClusterUnderTest.start({ temporal: null, env: { QUIVER_AUTOSCALE_INTERVAL_SECS: '1' } });
  });

  afterAll(() => cluster.dispose());

  const ask = async (method: string, path: string, body?: object): Promise<AutoscaleView> => {
    const reply = await cluster.call(method, path, body === undefined ? {} : { body: JSON.stringify(body) });
    const view = (await reply.json()) as AutoscaleView;
    expect({ path, status: reply.status, view }).toMatchObject({ status: 200 });
    return view;
  };
  const setMark = (points: number, cooldownSecs = 600): Promise<AutoscaleView> =>
    ask('PUT', '/cluster/autoscale', {
      enabled: true,
      high_water_points: points,
      interval_secs: 1,
      cooldown_secs: cooldownSecs,
    });
  const growBegins = (isAnother: (operationId: string) => boolean = () => true): Promise<string> =>
    waitFor('the policy begins a grow', async () => {
      const { evaluations } = await ask('GET', '/cluster/autoscale');
      const ids = evaluations.map(({ operation_id }) => operation_id).filter((id) => id !== null);
      return ids.find(isAnother) ?? null;
    });
  const evaluated = (reason: string): Promise<AutoscaleView> =>
    waitFor(`an evaluation that says ${reason}`, async () => {
      const view = await ask('GET', '/cluster/autoscale');
      return view.evaluations[0]?.reason === reason ? view : null;
    });
  const operations = async (): Promise<OperationList['operations']> =>
    ((await (await cluster.call('GET', '/cluster/operations')).json()) as OperationList).operations;

  test(
    'passes over a standby that is down, gets one back whose grow was cancelled, and grows by it once when nobody objects',
    async () => {
      await setMark(NO_LOAD_REACHES);
      await ask('POST', '/cluster/standbys', { primary_url: cluster.joiner.url });
      expect((await evaluated('below_mark')).notices).toEqual([]);

      await cluster.joiner.quiver.kill();
      await setMark(BELOW_THE_LOAD);
      const down = await evaluated('no_standby');
      expect(down.notices.map(({ code }) => code).sort()).toEqual(['NoStandbyLeft', 'StandbyUnusable']);
      expect(await operations()).toEqual([]);

      await cluster.joiner.quiver.start();
      const undone = await growBegins();
      expect((await ask('GET', '/cluster/autoscale')).standbys).toEqual([]);
      expect((await cluster.cancel(undone)).status).toBe(200);
      expect(await cluster.ends(undone)).toMatchObject({ status: 'cancelled' });
      const back = await evaluated('cooling_down');
      expect(back.standbys).toMatchObject([{ primary_url: cluster.joiner.url, unusable: null }]);

      await setMark(BELOW_THE_LOAD, 0);
      const grown = await growBegins((id) => id !== undone);
      await setMark(BELOW_THE_LOAD);
      expect(await cluster.ends(grown)).toMatchObject({ status: 'succeeded' });
      const cooling = await evaluated('cooling_down');
      expect(cooling).toMatchObject({ standbys: [], notices: [] });
      expect((await operations()).map(({ id }) => id)).toEqual([grown, undone]);

      const report = await cluster.verify('every');
      expectNothingWrong(report);
      expectNothingRefused(report);
      await expectGrown(cluster);
    },
    TEST_TIMEOUT_MS,
  );
});
