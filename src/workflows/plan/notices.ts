/** Who would notice an operation, and what a plan cannot know of it. */
import type { PlanInput } from '../../contract/messages';
import type { LaggingRouter } from '../../contract/move';
import { samplesOf } from '../../domain/bounded-text';
import type { PlannedShard } from '../../domain/plan';
import type { SourceProgress } from '../../domain/progress';
import { count } from '../wording';

type Kind = 'grow' | 'drain' | 'check' | 'repair';

interface Told {
  readonly lagging: { readonly lagging: readonly LaggingRouter[]; readonly more?: number };
  readonly shards: readonly PlannedShard[];
  readonly plans: readonly SourceProgress[];
}

export function noticedBy({ kind }: { kind: Kind }, input: PlanInput, told: Told): string[] {
  return [...stops(told), ...searches(kind, input), ...writers(kind), ...routers(kind, input, told)];
}

function stops({ plans }: Told): string[] {
  return plans.flatMap(({ shardId, source, reason, estimate }) => {
    const { stopMs = 0, scans = 0 } = estimate ?? {};
    if (stopMs === 0) return [];
    const times = scans === 1 ? 'once' : `${count(scans)} times`;
    return [
      `clients of shard ${shardId}: it stands still ${times} for about ${lasting(stopMs)}, read as ${source} because ${reason}`,
    ];
  });
}

function searches(kind: Kind, { timings: { warmUpMs } }: PlanInput): string[] {
  if (kind === 'grow') {
    const within = `at most ${seconds(warmUpMs)} s`;
    return [`searches: the donors answer for what moves until the index of the joiner has caught up, ${within}`];
  }
  if (kind === 'drain') {
    return [
      `searches: they may miss what moved if the indexes of the new owners take longer than ${seconds(warmUpMs)} s`,
    ];
  }
  return [];
}

function writers(kind: Kind): string[] {
  if (kind === 'grow' || kind === 'drain') {
    return ['clients that write: until the flip a write to a point that moves goes to two shards'];
  }
  return [];
}

function routers(kind: Kind, { routerUrls, timings }: PlanInput, { lagging: { lagging, more = 0 } }: Told): string[] {
  if (kind === 'check') return [];
  if (routerUrls.length === 0) {
    return [
      `routers: none is listed, so the operation waits ${seconds(timings.graceMs)} s and trusts that they hold the map`,
    ];
  }
  const behind = lagging.map(({ url, reason }) => `the router ${url}: ${reason}`);
  return more === 0 ? behind : [...behind, `${count(more)} more routers`];
}

/** What an operation finds out only by writing, or by reading rows. `plans`: null, when a refusal stood in the way. */
export function notChecked({ kind }: { kind: Kind }, plans: readonly SourceProgress[] | null): string[] {
  const known = NOT_CHECKED[kind];
  if (plans === null) return [...known, 'how shards would be read: a refusal stood in the way'];
  const assumed = plans.filter(({ source }) => source === 'follower').map(({ shardId }) => shardId);
  if (assumed.length === 0) return [...known];
  return [
    ...known,
    `that followers are up to date (shard ${samplesOf(assumed)}): that takes a write to their primaries`,
  ];
}

const NOT_CHECKED: Record<Kind, readonly string[]> = {
  grow: ['that the joiner takes the claim, and that its replica_urls are its own: that takes a write to it'],
  drain: ['points of the shard on other shards (MisplacedPoints): the drain reads for that'],
  check: [],
  repair: ['how much is misplaced: run a check'],
};

function lasting(ms: number): string {
  return ms < 1000 ? `${count(ms)} ms` : `${seconds(ms)} s`;
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1).replace(/\.0$/, '');
}
