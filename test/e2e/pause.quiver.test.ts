import type { OperationView } from '../../src/wire/coordinator-api';
import { ClusterUnderTest } from '../support/cluster-under-test';
import { expectGrown, expectNothingRefused, expectNothingWrong } from '../support/expectations';
import { describeWithQuiver } from '../support/real-quiver';
import { waitFor } from '../support/wait-for';

const ROWS_PER_S = 200;

describeWithQuiver('a grow that is slowed down, paused and resumed, over REST', () => {
  let cluster: ClusterUnderTest;

  beforeAll(async () => {
    cluster = await ClusterUnderTest.start({ temporal: null });
  });

  afterAll(() => cluster.dispose());

  async function ask(method: string, path: string, body: object = {}): Promise<OperationView> {
    const reply = await cluster.call(method, path, { body: JSON.stringify(body) });
    if (!reply.ok) throw new Error(`${method} ${path}: ${reply.status} ${await reply.text()}`);
    return (await reply.json()) as OperationView;
  }

  test('keeps to what it is told at any time, and loses nothing', async () => {
    await ask('PUT', '/cluster/limits', { max_rows_per_s: ROWS_PER_S });
    const { operationId, answered } = cluster.grow();
    await answered;
    const path = `/cluster/operations/${operationId}`;
    await waitFor('some points', async () => ((await cluster.operation(operationId))?.points_done ?? 0) > 0, 60_000);
    const slow = await cluster.operation(operationId);
    expect(slow).toMatchObject({ phase: 'copy', limits: { max_rows_per_s: ROWS_PER_S }, paused: null });

    expect((await ask('POST', `${path}/pause`, { reason: 'a test' })).paused).toMatchObject({ reason: 'a test' });
    const held = await waitFor('it stands still', async () => {
      const view = await cluster.operation(operationId);
      return view?.paused?.holds === true ? view : null;
    });
    expect(held).toMatchObject({ phase: 'copy', waiting: { ends_when: 'it is resumed' } });

    expect((await ask('PATCH', path, { max_rows_per_s: 1_000_000 })).limits.max_rows_per_s).toBe(1_000_000);
    expect((await ask('POST', `${path}/resume`)).paused).toBeNull();
    const operation = await cluster.ends(operationId);
    expect(operation).toMatchObject({ status: 'succeeded', paused: null, outcome: { points_kept: 0 } });
    const report = await cluster.verify('every');
    expectNothingWrong(report);
    expectNothingRefused(report);
    await expectGrown(cluster);
  });
});
