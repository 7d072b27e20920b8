import { ClusterFixture, startTemporal, type FixtureOptions, type TemporalForTests } from './cluster-fixture';

/** Gives each test of the file a cluster of its own, and stops it after the test. `begin` takes it over before the test. */
export function useCluster(
  label: string,
  options: FixtureOptions,
  begin: (cluster: ClusterFixture, temporal: TemporalForTests) => void,
): void {
  let temporal: TemporalForTests;
  let cluster: ClusterFixture;
  beforeAll(async () => {
    temporal = await startTemporal();
  });
  afterAll(async () => {
    await temporal.stop();
  });
  beforeEach(async () => {
    cluster = await ClusterFixture.start(temporal, label, options);
    begin(cluster, temporal);
  });
  afterEach(async () => {
    await cluster.stop();
  });
}
