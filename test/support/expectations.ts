import { refusedCount, type RegisterReport } from './register-check';
import type { ClusterUnderTest, Member } from './cluster-under-test';

/** INV-3 and INV-6: whatever happened, every id reads as it was last acknowledged and lies on its owner only. */
export function expectNothingWrong(report: RegisterReport): void {
  const { examples, lost, resurrected, stale, altered, misplaced, unknown, wrongReads } = report;
  const found = { examples, lost, resurrected, stale, altered, misplaced, unknown, wrongReads };
  expect(found).toEqual({
    examples: [],
    lost: 0,
    resurrected: 0,
    stale: 0,
    altered: 0,
    misplaced: 0,
    unknown: 0,
    wrongReads: 0,
  });
}

/** Where no shard and no router died, no client may notice anything. */
export function expectNothingRefused(report: RegisterReport): void {
  expect({ writes: report.refusedWrites, reads: report.refusedReads }).toEqual({ writes: {}, reads: {} });
  expect(report.unsure + refusedCount(report.refusedWrites)).toBe(0);
}

export async function expectGrown(cluster: ClusterUnderTest): Promise<void> {
  const map = await cluster.currentMap();
  expect(map.joining).toEqual([]);
  expect(map.shards.map((shard) => shard.primary_url)).toEqual([
    ...cluster.donors.map((donor) => donor.url),
    cluster.joiner.url,
  ]);
  expect(cluster.map.faults).toEqual([]);
}

/** The drained shard is out of the map, and nothing is left on it that it could bring back. */
export async function expectDrained(cluster: ClusterUnderTest, member: Member): Promise<void> {
  const map = await cluster.currentMap();
  expect(map.leaving).toEqual([]);
  expect(map.shards.map((shard) => shard.primary_url)).not.toContain(member.url);
  expect(await cluster.collectionsOf(member)).toEqual([]);
  expect(cluster.map.faults).toEqual([]);
}
