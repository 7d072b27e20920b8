/** A grow and a drain as the suites on real Quiver see them: one table, so that each fault is one suite over both. */
import type { Phase } from '../../src/domain/progress';
import { DRAIN } from '../../src/workflows/drain';
import { GROW } from '../../src/workflows/grow';
import type { MoveScript } from '../../src/workflows/move/context';
import { rowsAfterFlip, rowsUntilFlip } from '../../src/workflows/operation/script';
import type { ClusterUnderTest, OperationCall } from './cluster-under-test';
import { expectDrained, expectGrown } from './expectations';

export interface OperationUnderTest {
  readonly kind: 'grow' | 'drain';
  /** Shards that the cluster begins with. */
  readonly shards: number;
  readonly phases: readonly Phase[];
  readonly phasesBeforeFlip: readonly Phase[];
  readonly phasesAfterFlip: readonly Phase[];
  readonly begin: (cluster: ClusterUnderTest) => OperationCall;
  readonly expectDone: (cluster: ClusterUnderTest) => Promise<void>;
  /** Beside the map and the points, which are the same for both. */
  readonly expectUndone: (cluster: ClusterUnderTest) => Promise<void>;
}

const LEAVER = 1;

function phasesOf(script: MoveScript) {
  const names = (rows: MoveScript): Phase[] => rows.map((row) => row.phase);
  return {
    phases: names(script),
    phasesBeforeFlip: names(rowsUntilFlip(script).filter((row) => row.isFlip !== true)),
    phasesAfterFlip: names(rowsAfterFlip(script)),
  };
}

export const GROW_UNDER_TEST: OperationUnderTest = {
  kind: 'grow',
  shards: 2,
  ...phasesOf(GROW),
  begin: (cluster) => cluster.grow(),
  expectDone: (cluster) => expectGrown(cluster),
  expectUndone: async (cluster) => expect(await cluster.joinersCollections()).toEqual([]),
};

export const DRAIN_UNDER_TEST: OperationUnderTest = {
  kind: 'drain',
  shards: 3,
  ...phasesOf(DRAIN),
  begin: (cluster) => cluster.drain(LEAVER),
  expectDone: async (cluster) => {
    const leaver = cluster.donors[LEAVER];
    if (leaver === undefined) throw new Error('the cluster has three donors');
    await expectDrained(cluster, leaver);
  },
  expectUndone: () => Promise.resolve(),
};

export const OPERATIONS_UNDER_TEST: readonly OperationUnderTest[] = [GROW_UNDER_TEST, DRAIN_UNDER_TEST];
