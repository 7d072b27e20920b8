/**
 * How activities are tried, as named profiles. Temporal retries a blip at once and by itself; what lasts longer comes back to
 * the workflow, which shows the reason and tries again with growing pauses (see operation-run.ts), so that nothing waits in
 * silence (INV-9).
 */
import { proxyActivities, type ActivityOptions } from '@temporalio/workflow';
import type { AutoscaleActivities } from '../../contract/evaluation-activities';
import type { CoordinatorActivities } from '../../contract/activities';
import type { LockGuard } from '../../contract/cluster';
import { ASKED_TO_WAIT } from '../../contract/move';
import type { WatchActivities } from '../../contract/watch';
import type { Timings } from '../../domain/limits';
import type { WorkLimits } from '../../domain/work-limits';

const BLIP: NonNullable<ActivityOptions['retry']> = {
  initialInterval: '100ms',
  backoffCoefficient: 3,
  maximumInterval: '1s',
  maximumAttempts: 3,
  nonRetryableErrorTypes: [ASKED_TO_WAIT],
};

/** Reads and writes points: long-lived, heartbeating, and cancelled only at its next safe point. */
const pointsProfile = (timings: Timings): ActivityOptions => ({
  startToCloseTimeout: timings.attemptMs,
  heartbeatTimeout: timings.heartbeatMs,
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
  retry: BLIP,
});

/** A scan of a large shard takes hours. Its writes are bounded by its heartbeats (see attempt.ts). */
const ROWS_LIFE = '48h';
/** A worker that died takes nothing from its own task queue. */
const OWN_QUEUE_PATIENCE_MS = 15_000;

const rowsProfile = (timings: Timings, worker: string | null): ActivityOptions => ({
  startToCloseTimeout: ROWS_LIFE,
  heartbeatTimeout: timings.heartbeatMs,
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
  retry: BLIP,
  ...(worker === null ? {} : { taskQueue: worker, scheduleToStartTimeout: OWN_QUEUE_PATIENCE_MS }),
});

/** Looks at things, or waits for them, for at most `patienceMs`. */
const patientProfile = (timings: Timings, patienceMs: number): ActivityOptions => ({
  startToCloseTimeout: patienceMs + 10_000,
  heartbeatTimeout: timings.heartbeatMs,
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
  retry: BLIP,
});

/** One update of the cluster workflow: answered in milliseconds, and harmless to repeat. */
const TRANSITION: ActivityOptions = {
  startToCloseTimeout: '10s',
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
  retry: BLIP,
};

/** Of the time of a look at all shards. They are asked a few at a time, and a thousand of them may have long lists of collections. */
const MS_OF_A_SHARD = 50;

/** Answers a waiting REST call; its findings are the caller's and never retried. Its own requests are bounded far below this. */
const preflightProfile = (shards: number): ActivityOptions => ({
  startToCloseTimeout: 12_000 + MS_OF_A_SHARD * shards,
  retry: BLIP,
});

/** Writes to shards, so its undo must not begin while it still runs. */
const identityProfile = (shards: number): ActivityOptions => ({
  ...preflightProfile(shards),
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
});

/**
 * A watch lives in one worker. A worker that has died takes nothing from its own task queue, so this waits for it only
 * as long as a restart of a busy worker may take.
 */
const WATCH: ActivityOptions = {
  startToCloseTimeout: '10s',
  scheduleToStartTimeout: '15s',
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
  retry: BLIP,
};
type RowActivity =
  | 'copyDonor'
  | 'compareDonor'
  | 'followDonor'
  | 'readForDrop'
  | 'dropFromDonor'
  | 'removeCopies'
  | 'countStrays'
  | 'cleanJoiner'
  | 'findMisplaced';

type IdentityActivity = 'identifyShards' | 'releaseShards';

export interface Profiles {
  readonly identity: (summary: string, shards: number) => Pick<CoordinatorActivities, IdentityActivity>;
  readonly transition: (summary: string) => Pick<CoordinatorActivities, 'changeCluster' | 'recallOperation'>;
  readonly preflight: (
    summary: string,
    shards: number,
  ) => Pick<CoordinatorActivities, 'preflightGrow' | 'preflightDrain' | 'planScans' | 'lookAtShards'>;
  readonly patient: (summary: string, patienceMs: number) => Pick<CoordinatorActivities, 'awaitRouters' | 'warmUp'>;
  readonly points: (
    summary: string,
  ) => Omit<
    CoordinatorActivities,
    | 'changeCluster'
    | 'recallOperation'
    | 'preflightGrow'
    | 'preflightDrain'
    | 'planScans'
    | 'lookAtShards'
    | 'awaitRouters'
    | 'warmUp'
    | keyof WatchActivities
    | IdentityActivity
    | RowActivity
    | 'endSession'
  >;
  /** Scans of whole shards. `worker`: the one that keeps what is needed; null for any. */
  readonly rows: (summary: string, worker: string | null) => Pick<CoordinatorActivities, RowActivity>;
  readonly session: (summary: string, worker: string | null) => Pick<CoordinatorActivities, 'endSession'>;
  /** `worker`: what `openWatch` answered; null for any worker. */
  readonly watch: (summary: string, worker: string | null) => WatchActivities;
}

/**
 * The activities, by profile. The summary is what the Web UI shows beside each one. What reads or writes points confirms `lockGuard`
 * first; null for an operation that holds no lock.
 */
export function activityProfiles(
  timings: Timings,
  lockGuard: () => LockGuard | null = () => null,
  limits: () => WorkLimits | null = () => null,
): Profiles {
  return {
    transition: (summary) => proxyActivities<CoordinatorActivities>({ ...TRANSITION, summary }),
    preflight: (summary, shards) => proxyActivities<CoordinatorActivities>({ ...preflightProfile(shards), summary }),
    identity: (summary, shards) =>
      guarded(proxyActivities<CoordinatorActivities>({ ...identityProfile(shards), summary }), lockGuard),
    patient: (summary, patienceMs) =>
      proxyActivities<CoordinatorActivities>({ ...patientProfile(timings, patienceMs), summary }),
    watch: (summary, worker) =>
      proxyActivities<WatchActivities>({ ...WATCH, ...(worker === null ? {} : { taskQueue: worker }), summary }),
    rows: (summary, worker) =>
      guarded(proxyActivities<CoordinatorActivities>({ ...rowsProfile(timings, worker), summary }), lockGuard, limits),
    session: (summary, worker) =>
      proxyActivities<CoordinatorActivities>({ ...WATCH, ...(worker === null ? {} : { taskQueue: worker }), summary }),
    points: (summary) =>
      guarded(proxyActivities<CoordinatorActivities>({ ...pointsProfile(timings), summary }), lockGuard),
  };
}

type AnyActivity = (input: object) => Promise<unknown>;

/** Every input carries the guard, and the limits of its operation, as they are when the activity is asked for. */
function guarded<A extends object>(
  activities: A,
  lockGuard: () => LockGuard | null,
  limits: () => WorkLimits | null = () => null,
): A {
  return new Proxy(activities, {
    get: (target, name) => (input: object) => {
      const run = Reflect.get(target, name) as AnyActivity;
      const limited = limits();
      return run({ ...input, guard: lockGuard(), ...(limited === null ? {} : { limits: limited }) });
    },
  });
}

/** A look at the cluster or at shards. An evaluation is over within about a minute: the next one looks again anyway. */
const lookProfile = (shards: number): ActivityOptions => ({
  startToCloseTimeout: 10_000 + MS_OF_A_SHARD * shards,
  scheduleToCloseTimeout: 15_000 + MS_OF_A_SHARD * shards,
  retry: BLIP,
});

/** Waits for the preflight of the grow. A second attempt finds the grow that the first one started. */
const START: ActivityOptions = {
  startToCloseTimeout: '28s',
  scheduleToCloseTimeout: '45s',
  retry: { ...BLIP, maximumAttempts: 2 },
};

export interface EvaluationProfiles {
  readonly look: (summary: string, shards: number) => Omit<AutoscaleActivities, 'startGrow' | 'startDrain'>;
  readonly start: (summary: string) => Pick<AutoscaleActivities, 'startGrow' | 'startDrain'>;
}

/** The activities of an evaluation of the autoscale policy, by profile. */
export function evaluationProfiles(): EvaluationProfiles {
  return {
    look: (summary, shards) => proxyActivities<AutoscaleActivities>({ ...lookProfile(shards), summary }),
    start: (summary) => proxyActivities<AutoscaleActivities>({ ...START, summary }),
  };
}
