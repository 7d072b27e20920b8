import type { AutoscaleView } from '../../src/wire/autoscale';
import type { OperationList } from '../../src/wire/coordinator-api';
import { describeWithQuiver } from '../support/real-quiver';
import { waitFor } from '../support/wait-for';
import { ClusterUnderTest } from './cluster-under-test';
import { expectGrown, expectNothingRefused, expectNothingWrong } from './expectations';

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
  const setMark = (points: number): Promise<AutoscaleView> =>
    ask('PUT', '/cluster/autoscale', {
      enabled: true,
      high_water_points: points,
      interval_secs: 1,
      cooldown_secs: 600,
    });
  const evaluated = (reason: string): Promise<AutoscaleView> =>
    waitFor(`an evaluation that says ${reason}`, async () => {
      const view = await ask('GET', '/cluster/autoscale');
      return view.evaluations[0]?.reason === reason ? view : null;
    });
  const operations = async (): Promise<OperationList['operations']> =>
    ((await (await cluster.call('GET', '/cluster/operations')).json()) as OperationList).operations;

  test('passes over a standby that is down, and grows by it once when it is up and the load above the mark', async () => {
    await setMark(NO_LOAD_REACHES);
    await ask('POST', '/cluster/standbys', { primary_url: cluster.joiner.url });
    expect((await evaluated('below_mark')).notices).toEqual([]);

    await cluster.joiner.quiver.kill();
    await setMark(BELOW_THE_LOAD);
    const down = await evaluated('no_standby');
    expect(down.notices.map(({ code }) => code).sort()).toEqual(['NoStandbyLeft', 'StandbyUnusable']);
    expect(await operations()).toEqual([]);

    await cluster.joiner.quiver.start();
    const growing = await waitFor('the grow', async () => {
      const { evaluations } = await ask('GET', '/cluster/autoscale');
      return evaluations.find(({ operation_id }) => operation_id !== null) ?? null;
    });
    expect(await cluster.ends(growing.operation_id ?? '')).toMatchObject({ status: 'succeeded' });
    const cooling = await evaluated('cooling_down');
    expect(cooling).toMatchObject({ standbys: [], notices: [] });
    expect((await operations()).map(({ id }) => id)).toEqual([growing.operation_id]);

    const report = await cluster.verify('every');
    expectNothingWrong(report);
    expectNothingRefused(report);
    await expectGrown(cluster);
  });
});
