import { ApplicationFailure } from '@temporalio/activity';
import { isAlike, shownSchema, type FullCollection } from './full-list';

export function refuseOtherSchema(existing: FullCollection, wanted: readonly FullCollection[], shardId: number): void {
  const other = wanted.find((each) => !isAlike(each, existing));
  if (other === undefined) return;
  throw ApplicationFailure.nonRetryable(
    `expected collection ${existing.name} on shard ${shardId} to be ${shownSchema(other)}, found ${shownSchema(existing)}: drop it there, or create it alike`,
    'SchemaConflict',
  );
}
