/** Which collections the receivers have, before and while points move. */
import type { CollectionInfo } from '../../contract/move';
import type { OperationRun } from '../operation/run';
import { idsOf, type MoveParties } from './placement';

/**
 * Creates on the receivers what the donors have. Also right before each pass: clients may have created more meanwhile. Once the
 * receivers are announced, a client's own create may be half-way, so what is missing is looked at again before it is created.
 */
export async function prepareCollections(
  run: OperationRun,
  parties: MoveParties,
  settle: { settleMs?: number } = { settleMs: run.timings.settleMs },
): Promise<{ collections: readonly CollectionInfo[]; created: number }> {
  const { donors, receivers, canCreateCollections: mayCreate } = parties;
  return run.waits.noted(
    await run.persist('preparing collections', () =>
      run.activities
        .points(`prepare collections on shard ${idsOf(receivers)}`)
        .prepareCollections({ donors, receivers, mayCreate, ...settle }),
    ),
  );
}

/** Removes from the receivers the collections that clients have dropped meanwhile. Returns how many. */
export async function removeOrphans(run: OperationRun, parties: MoveParties): Promise<number> {
  const { donors, receivers, before: keep } = parties;
  const { settleMs } = run.timings;
  const { removed } = run.waits.noted(
    await run.persist('removing collections that were dropped meanwhile', () =>
      run.activities
        .points(`look for collections that clients have dropped`)
        .removeOrphanCollections({ donors, receivers, keep, settleMs }),
    ),
  );
  return removed;
}
