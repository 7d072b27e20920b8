import { boundedText, samplesOf } from '../../domain/bounded-text';
import { DomainError } from '../../domain/errors';
import { SOURCE_REASON_CHARS_MAX, SOURCES_SHOWN_MAX } from '../../domain/limits';
import type { SourceProgress } from '../../domain/progress';
import { sumOfPlans, type PlannedScans, type PlanScansInput } from '../../contract/move';
import type { Engine } from '../../rows/thread/engine';
import { inParallel } from '../frame/in-parallel';
import type { ActivityScope } from '../frame/run-activity';
import { runRowJob } from '../rows/row-scope';

const SHARDS_AT_ONCE = 16;

/**
 * Where each shard will be read from, and what that costs its clients. It writes to no collection of a client. To prove
 * that a follower is up to date, it writes a barrier into the identity of the shard, unless `isPlan`.
 * @throws DomainError ScanTooLong, which `isPlan` returns beside the plans
 */
export function planScans(engine: Engine) {
  return async (scope: ActivityScope, input: PlanScansInput): Promise<PlannedScans> => {
    const { isPlan = false } = input;
    const plans: SourceProgress[] = [];
    await inParallel(input.readers, SHARDS_AT_ONCE, async ({ shardId, scans, share }) => {
      const job = { shardId, scans, share, ...(isPlan ? { isPlan } : {}) };
      const { source, url, reason, estimate } = await runRowJob(scope, engine, {
        name: 'plan',
        input: job,
        move: input,
      });
      const none = { scans: 0, rowsRead: 0, rowsPerSecond: 0, stopsMs: [] };
      plans.push({ shardId, source, url, reason: boundedText(reason, SOURCE_REASON_CHARS_MAX), ...none, estimate });
    });
    plans.sort((a, b) => a.shardId - b.shardId);
    const refusal = longStops(plans, input.stopMaxMs);
    const planned = { plans: shownOf(plans), of: sumOfPlans(plans, input.readers) };
    if (isPlan) return { ...planned, plan: { ...rowsOf(plans, input.readers), refusal: asPlanned(refusal) } };
    if (refusal !== null) throw refusal;
    return planned;
  };
}

const stopOf = ({ estimate }: SourceProgress): number => estimate?.stopMs ?? 0;

function shownOf(plans: readonly SourceProgress[]): readonly SourceProgress[] {
  if (plans.length <= SOURCES_SHOWN_MAX) return plans;
  const longest = [...plans].sort((a, b) => stopOf(b) - stopOf(a) || a.shardId - b.shardId);
  return longest.slice(0, SOURCES_SHOWN_MAX).sort((a, b) => a.shardId - b.shardId);
}

function asPlanned(refusal: DomainError | null): { code: string; detail: string } | null {
  return refusal && { code: refusal.code, detail: boundedText(refusal.message) };
}

function rowsOf(
  plans: readonly SourceProgress[],
  readers: PlanScansInput['readers'],
): { rows: number; rowsRead: number } {
  const of = new Map(readers.map((each) => [each.shardId, each]));
  const sum = (weightOf: (shardId: number) => number): number =>
    plans.reduce((total, { shardId, estimate }) => total + (estimate?.rows ?? 0) * weightOf(shardId), 0);
  return { rows: Math.round(sum((id) => of.get(id)?.share ?? 0)), rowsRead: sum((id) => of.get(id)?.scans ?? 0) };
}

function longStops(plans: readonly SourceProgress[], stopMaxMs: number): DomainError | null {
  const long = plans.filter(({ estimate }) => (estimate?.stopMs ?? 0) > stopMaxMs);
  if (long.length === 0) return null;
  const named = long.map(({ shardId, source, estimate, reason }) => {
    const how = source === 'pages' ? `page by page (${reason})` : `from its primary (${reason})`;
    return `shard ${shardId} for about ${seconds(estimate?.stopMs ?? 0)} s per scan, which is read ${how}`;
  });
  const longest = Math.max(...long.map(({ estimate }) => estimate?.stopMs ?? 0));
  return new DomainError(
    'ScanTooLong',
    `expected no shard to stand still for more than ${seconds(stopMaxMs)} s, this would stop ${samplesOf(named, { separator: '; ' })}: ` +
      `give the shard a follower in its replica_urls, raise COORDINATOR_SCAN_STOP_MAX_MS, or send "accept_stop_s": ${seconds(longest)} with this call`,
  );
}

function seconds(ms: number): number {
  return Math.ceil(ms / 1000);
}
