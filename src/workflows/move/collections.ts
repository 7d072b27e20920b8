/** Which collections the receivers have, before and while points move. */
import type { CollectionInfo } from '../../contract/move';
import type { Shard } from '../../domain/shard-map';
import type { OperationRun } from '../operation/run';
import { idsOf, type MoveParties } from './placement';
import { donorState } from './rows/donors';

/**
 * Creates on the receivers what the donors have. Also right before each pass: clients may have created more meanwhile. Once the
 * receivers are announced, a client's own create may be half-way, so what is missing is looked at again before it is created.
 * What the operation has created is replaced where a client has created the collection anew, with other settings.
 */
export async function prepareCollections(
  run: OperationRun,
  parties: MoveParties,
  settle: { settleMs?: number; mayBeAway?: readonly number[] } = { settleMs: run.timings.settleMs },
): Promise<{ collections: readonly CollectionInfo[]; created: number }> {
  const { donors, receivers, canCreateCollections: mayCreate } = parties;
  const { state } = run;
  const failedBefore = state.progress.failedAttempts;
  // What a receiver had on its own is known from preflight alone.
  const had = mayCreate && state.preflight !== null ? { had: parties.before } : {};
  const result = run.waits.noted(
    await run.persist('preparing collections', () =>
      run.activities
        .points(`prepare collections on shard ${idsOf(receivers)}`)
        .prepareCollections({ donors, receivers, mayCreate, ...had, ...settle }),
    ),
  );
  const { created, replaced = 0 } = result;
  // A try that failed may have dropped what the next one found missing.
  if (replaced > 0 || (created > 0 && state.progress.failedAttempts > failedBefore)) expectNothingCopied(run, donors);
  return result;
}

/**
 * Before one donor is tried again. Another one that elects its leader meanwhile must not hold it up: what that one has
 * is looked at before its own next try, and before each pass.
 */
export function prepareForDonor(run: OperationRun, parties: MoveParties, donor: Shard): Promise<{ created: number }> {
  const mayBeAway = parties.donors.filter(({ id }) => id !== donor.id).map(({ id }) => id);
  return prepareCollections(run, parties, { settleMs: run.timings.settleMs, mayBeAway });
}

/** INV-4: points of a replaced collection went with it, also points that clients had written to both sides. */
function expectNothingCopied(run: OperationRun, donors: readonly Shard[]): void {
  run.state.replacements += 1;
  for (const donor of donors) {
    const known = donorState(run, donor);
    known.needsCut = true;
    known.mustScanReceivers = true;
  }
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
