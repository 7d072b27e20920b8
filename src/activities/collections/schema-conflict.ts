import { ApplicationFailure } from '@temporalio/activity';
import type { ShardCollection } from '../../shards/http/shard-client';

export function refuseOtherSchema(existing: ShardCollection, schema: string, shardId: number): void {
  if (existing.schema === schema) return;
  throw ApplicationFailure.nonRetryable(
    `expected collection ${existing.name} on shard ${shardId} to be ${schema}, found ${existing.schema}: drop it there, or create it alike`,
    'SchemaConflict',
  );
}
