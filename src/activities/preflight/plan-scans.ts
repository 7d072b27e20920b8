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
 * Where each shard will be read from, and what that costs its clients. Changes nothing.
 * @throws DomainError ScanTooLong
 */
export function planScans(engine: Engine) {
  return async (scope: ActivityScope, input: PlanScansInput): Promise<PlannedScans> => {
    const plans: SourceProgress[] = [];
    await inParallel(input.readers, SHARDS_AT_ONCE, async ({ shardId, scans, share }) => {
      const job = { shardId, scans, share };
      const { source, url, reason, estimate } = await runRowJob(scope, engine, {
        name: 'plan',
        input: job,
        move: input,
      });
      const none = { scans: 0, rowsRead: 0, rowsPerSecond: 0, stopsMs: [] };
      plans.push({ shardId, source, url, reason: boundedText(reason, SOURCE_REASON_CHARS_MAX), ...none, estimate });
    });
    plans.sort((a, b) => a.shardId - b.shardId);
    refuseLongStops(plans, input.stopMaxMs);
    return { plans: shownOf(plans), of: sumOfPlans(plans, input.readers) };
  };
}

const stopOf = ({ estimate }: SourceProgress): number => estimate?.stopMs ?? 0;

function shownOf(plans: readonly SourceProgress[]): readonly SourceProgress[] {
  if (plans.length <= SOURCES_SHOWN_MAX) return plans;
  const longest = [...plans].sort((a, b) => stopOf(b) - stopOf(a) || a.shardId - b.shardId);
  return longest.slice(0, SOURCES_SHOWN_MAX).sort((a, b) => a.shardId - b.shardId);
}

function refuseLongStops(plans: readonly SourceProgress[], stopMaxMs: number): void {
  const long = plans.filter(({ estimate }) => (estimate?.stopMs ?? 0) > stopMaxMs);
  if (long.length === 0) return;
  const named = long.map(({ shardId, source, estimate, reason }) => {
    const how = source === 'pages' ? `page by page (${reason})` : `from its primary (${reason})`;
    return `shard ${shardId} for about ${seconds(estimate?.stopMs ?? 0)} s per scan, which is read ${how}`;
  });
  const longest = Math.max(...long.map(({ estimate }) => estimate?.stopMs ?? 0));
  throw new DomainError(
    'ScanTooLong',
    `expected no shard to stand still for more than ${seconds(stopMaxMs)} s, this would stop ${samplesOf(named, { separator: '; ' })}: ` +
      `give the shard a follower in its replica_urls, raise COORDINATOR_SCAN_STOP_MAX_MS, or send "accept_stop_s": ${seconds(longest)} with this call`,
  );
}

function seconds(ms: number): number {
  return Math.ceil(ms / 1000);
}
