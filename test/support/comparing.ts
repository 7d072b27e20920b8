/** A pass of a grow over donor 0, as the activity compareDonor makes it. */
import type { CompareDonorInput, CompareDonorResult } from '../../src/contract/move';
import { COLLECTION, point, type MovingCluster } from './moving-cluster';

export const CLEAN: Partial<CompareDonorResult> = {
  needsCut: false,
  differences: 0,
  settledByThemselves: 0,
  upserted: 0,
  deleted: 0,
  mayHaveWritten: false,
  lateWritesUntilMs: 0,
};
export const SETTLE_MS = 500;

type Change = Partial<CompareDonorInput>;

/** `ofTest`: the cluster of the test that runs. */
export function comparing(ofTest: () => MovingCluster) {
  const pass = (more: Change = {}): CompareDonorInput & { collections: string[] } => ({
    ...{ ...ofTest().donorInput(0), settleMs: SETTLE_MS, recut: true, scanReceivers: true },
    ...more,
    collections: [COLLECTION],
  });
  return {
    pass,
    run: async (more: Change = {}): Promise<CompareDonorResult> =>
      (await ofTest().run('compareDonor', pass(more))).result,
    copy: () => ofTest().run('copyDonor', { ...ofTest().donorInput(0), isRepeat: false }),
    /** Moving points on donor 0, and the same on the joiner. */
    copied: (count: number): string[] => {
      const { shards, joiner } = ofTest();
      const moving = ofTest().movingIds(count, 0);
      const points = moving.map((id, n) => point(id, n));
      for (const shard of [shards[0]!, joiner]) shard.put(COLLECTION, ...points);
      return moving;
    },
    /** What the donor holds of the slice is on the joiner, and nothing else of it. */
    expectSame: (): void => {
      const { shards, joiner } = ofTest();
      const donor = shards[0]!;
      const held = donor.ids(COLLECTION).filter((id) => ofTest().ownerOf(id) === joiner);
      expect(joiner.ids(COLLECTION)).toEqual(held);
      for (const id of held) expect(joiner.get(COLLECTION, id)).toBe(donor.get(COLLECTION, id));
    },
  };
}
