/** A job of the engine as an activity runs it: its time is that of the attempt, its shards are those of the move. */
import { ApplicationFailure } from '@temporalio/activity';
import type { ShardAddress } from '../../domain/shard-map';
import type { WorkLimits } from '../../domain/work-limits';
import type { Move } from '../../contract/move';
import { CollectionMissing, CollectionOfOtherKind } from '../../rows/ports';
import { ShardLostRows } from '../../rows/jobs/compare';
import type { Engine, EngineJob } from '../../rows/thread/engine';
import type { JobDone, JobInput, JobName } from '../../rows/remote/run-job';
import type { ShardTarget } from '../../rows/remote/target';
import { SpoolError } from '../../rows/spool/spool';
import { LimitWatch } from './limit-watch';
import { StepTelling } from './step-telling';
import { collectionInFlux, type ActivityErrorCode } from '../frame/failures';
import type { ActivityScope } from '../frame/run-activity';

/** Runs jobs on the shards of `move`, and on leftovers by their URL. */
export async function runRowJob<Name extends JobName>(
  { attempt, tellStep, readLimits }: ActivityScope,
  engine: Engine,
  run: {
    name: Name;
    input: JobInput<Name>;
    move: Move;
    leftovers?: readonly ShardAddress[];
    renewWatch?: () => Promise<number | null>;
  },
): Promise<JobDone<Name>> {
  const told = tellStep === null ? null : new StepTelling(attempt.nowMs(), shardIdOf(run.input), tellStep);
  const watch = new LimitWatch(limitsIn(run.move), readLimits);
  const job: EngineJob = {
    signal: attempt.signal,
    nowMs: () => attempt.nowMs(),
    sleep: (ms) => attempt.sleep(ms),
    report: (progress) => {
      attempt.show(progress);
      told?.report(progress, attempt.nowMs());
    },
    tellSlowed: (slowed) => {
      // Behind its end nobody would take back what it tells.
      if (!attempt.signal.aborted) told?.slowed(slowed, attempt.nowMs());
    },
    reading: attempt.reading,
    write: (send) => attempt.write(send),
    mayWriteUntilMs: () => attempt.mayWriteUntilMs,
    limits: () => watch.limits,
    ...(run.renewWatch === undefined ? {} : { renewWatch: run.renewWatch }),
    noteWrites: (lateWritesUntilMs) => {
      attempt.noteWrites(lateWritesUntilMs);
    },
  };
  const { name, input, move, leftovers = [] } = run;
  watch.start();
  try {
    return await engine.run(job, { name, input, targets: targetsOf(move, leftovers) });
  } catch (error) {
    throw asFailure(error);
  } finally {
    watch.stop();
  }
}

/** Every input carries them as they were when the step was asked for (activity-profiles.ts). */
function limitsIn(input: Move): WorkLimits | undefined {
  return (input as Move & { readonly limits?: WorkLimits }).limits;
}

function shardIdOf(input: object): number | null {
  if ('donorId' in input) return input.donorId as number;
  return 'receiverId' in input ? (input.receiverId as number) : null;
}

function targetsOf({ shards, identity, sources }: Move, leftovers: readonly ShardAddress[]): ShardTarget[] {
  const ofShards = shards.map(({ id, ...address }): ShardTarget => {
    const expected = identity == null ? null : { ...identity, shardId: id };
    return { id, ...addressOf(address), identity: expected, source: sources?.[id] ?? null };
  });
  const ofLeftovers = leftovers.map((address): ShardTarget => {
    return { id: address.primary_url, ...addressOf(address), identity: null, source: null };
  });
  return [...ofShards, ...ofLeftovers];
}

function addressOf({
  primary_url,
  replica_urls,
  grpc_url,
}: ShardAddress): Omit<ShardTarget, 'id' | 'identity' | 'source'> {
  return { primary_url, replica_urls, ...(grpc_url === undefined ? {} : { grpc_url }) };
}

function asFailure(error: unknown): unknown {
  if (error instanceof CollectionMissing) return collectionInFlux(error.collection, `shard ${error.shardId} lacks it`);
  if (error instanceof CollectionOfOtherKind) {
    return collectionInFlux(error.collection, `shard ${error.shardId} has it with vectors of another length`);
  }
  if (error instanceof SpoolError) {
    return ApplicationFailure.retryable(error.message, 'SpoolFull' satisfies ActivityErrorCode);
  }
  if (error instanceof ShardLostRows) return ApplicationFailure.nonRetryable(error.message, 'ShardLostData');
  return error;
}
