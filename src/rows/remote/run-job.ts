import { compareDonor } from '../jobs/compare';
import { copyDonor } from '../jobs/copy';
import type { MoveParts } from '../jobs/move-parts';
import { dropFromDonor, readForDrop } from '../jobs/drop';
import { followDonor } from '../jobs/follow';
import { findMisplaced } from '../jobs/misplaced';
import { planScans } from '../jobs/plan';
import { countStrays, removeFromReceiver } from '../jobs/remove';
import type { HeldRows } from '../owner-writer';
import type { Job } from '../ports';
import type { Sessions } from '../sessions';
import { Slowness } from '../slowness';
import type { RemoteClients } from './clients';
import { IndexPriming, type PrimingTurns } from './index-priming';
import type { RemoteJob } from './remote-job';
import { RemoteShard } from './remote-shard';
import type { ShardTarget } from './target';

/** Everything that the engine can be asked for. Inputs and results are plain JSON. */
const JOBS = {
  copy: copyDonor,
  compare: compareDonor,
  follow: followDonor,
  readForDrop,
  drop: dropFromDonor,
  remove: removeFromReceiver,
  countStrays,
  findMisplaced,
  plan: planScans,
};

export type JobName = keyof typeof JOBS;
export type JobInput<Name extends JobName> = Parameters<(typeof JOBS)[Name]>[1];
export type JobDone<Name extends JobName> = Awaited<ReturnType<(typeof JOBS)[Name]>>;

/** What the engine keeps in one process or thread. */
export interface EngineParts {
  readonly clients: RemoteClients;
  readonly sessions: Sessions;
  readonly spoolFolder: string;
  readonly held: HeldRows;
  readonly primingTurns: PrimingTurns;
}

export interface JobRequest<Name extends JobName = JobName> {
  readonly name: Name;
  readonly input: JobInput<Name>;
  /** Every shard that the job may ask for. */
  readonly targets: readonly ShardTarget[];
}

export async function runJob<Name extends JobName>(
  job: RemoteJob,
  { name, input, targets }: JobRequest<Name>,
  { clients, sessions, spoolFolder, held, primingTurns }: EngineParts,
): Promise<JobDone<Name>> {
  const shards = new Map<number | string, RemoteShard>();
  const shardOf = (id: number | string): RemoteShard => {
    let shard = shards.get(id);
    if (shard !== undefined) return shard;
    const target = targets.find((each) => each.id === id);
    if (target === undefined) throw new Error(`shard ${id} takes part in this move, but its address was not given`);
    shards.set(id, (shard = new RemoteShard(job, target, clients)));
    return shard;
  };
  const priming = new IndexPriming(job, (id) => shardOf(id).rest, primingTurns);
  const body = JOBS[name] as (job: Job, input: JobInput<Name>, parts: MoveParts) => Promise<JobDone<Name>>;
  try {
    return await body(notingSlowness(job), input, { shards: shardOf, sessions, spoolFolder, priming, held });
  } finally {
    for (const shard of shards.values()) shard.close();
  }
}

/** A drop reports nothing, and a job that reads writes nothing: whatever it does, it tells. */
function notingSlowness(job: RemoteJob): Job {
  const slowness = new Slowness(
    () => job.nowMs(),
    (slowed) => job.tellSlowed?.(slowed),
  );
  const report: Job['report'] = (progress) => {
    slowness.glance();
    job.report(progress);
  };
  return { ...job, slowness, report };
}
