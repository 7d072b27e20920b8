/**
 * The witness: it remembers the highest version of the cluster's state that was served. It stands outside of the cluster workflow's history.
 * So a reset of that workflow rewinds its map and not the witness, and after its end the witness still knows the last version. The workflow
 * is registered as `published`, which running clusters know.
 *
 * 1. The Update `publish` keeps the later of two states and answers with it. It is synchronous and refuses nothing, so an update that
 *    arrives late, or twice, or from two processes at once, never lowers the record.
 * 2. The Query `published` answers the record, and which record it is (`lineage`).
 * 3. It runs no activity and waits for nothing. Before its history gets long it continues as new with the record.
 *
 * What survives a crash: every state for which an update was answered.
 */
import { allHandlersFinished, condition, continueAsNew, setHandler, workflowInfo } from '@temporalio/workflow';
import { laterWitnessed, type WitnessedState } from '../domain/witnessed';
import { HISTORY_EVENTS_MAX } from '../domain/limits';
import { witnessQuery, witnessUpdate, type WitnessInput, type WitnessRecord } from '../contract/messages';

export async function witness(input: WitnessInput): Promise<void> {
  let kept: WitnessedState | null = input.kept;
  // The same in all runs of one chain, and another one after a namespace was wiped.
  const lineage = workflowInfo().firstExecutionRunId;
  const record = (): WitnessRecord => ({ state: kept, lineage });
  setHandler(witnessQuery, record);
  setHandler(witnessUpdate, (offered) => {
    kept = laterWitnessed(kept, offered);
    return record();
  });

  await condition(() => historyIsLong(input) && allHandlersFinished());
  await continueAsNew<typeof witness>({ ...input, kept });
}

function historyIsLong({ historyEventsMax = HISTORY_EVENTS_MAX }: WitnessInput): boolean {
  const info = workflowInfo();
  return info.continueAsNewSuggested || info.historyLength > historyEventsMax;
}
