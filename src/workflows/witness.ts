/**
 * What the cluster workflow has last made public, kept outside of its history: a reset of that workflow rewinds its map and not this one, and
 * when it was terminated this one still knows the last version.
 *
 * 1. The Update `publish` keeps the later of two states and answers with it. It is synchronous and refuses nothing, so a publish
 *    that arrives late, or twice, or from two processes at once, never lowers the record.
 * 2. The Query `published` answers the record, and which record it is (`lineage`).
 * 3. It runs no activity and waits for nothing. Before its history gets long it continues as new with the record.
 *
 * What survives a crash: everything that a publish was answered for.
 */
import { allHandlersFinished, condition, continueAsNew, setHandler, workflowInfo } from '@temporalio/workflow';
import { laterPublished, type PublishedState } from '../domain/witnessed';
import { HISTORY_EVENTS_MAX } from '../domain/limits';
import { publishedQuery, publishUpdate, type PublishedInput, type PublishedRecord } from '../contract/messages';

export async function published(input: PublishedInput): Promise<void> {
  let kept: PublishedState | null = input.kept;
  // The same in every run that follows the first one, and another one after a namespace was wiped.
  const lineage = workflowInfo().firstExecutionRunId;
  const record = (): PublishedRecord => ({ state: kept, lineage });
  setHandler(publishedQuery, record);
  setHandler(publishUpdate, (offered) => {
    kept = laterPublished(kept, offered);
    return record();
  });

  await condition(() => historyIsLong(input) && allHandlersFinished());
  await continueAsNew<typeof published>({ ...input, kept });
}

function historyIsLong({ historyEventsMax = HISTORY_EVENTS_MAX }: PublishedInput): boolean {
  const info = workflowInfo();
  return info.continueAsNewSuggested || info.historyLength > historyEventsMax;
}
