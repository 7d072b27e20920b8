/** Metrics of the operations: what runs now, and what has ended. */
import {
  OPERATION_KINDS,
  type ClusterState,
  type OperationEnd,
  type OperationKind,
  type OperationRecord,
} from '../../domain/cluster-state';
import type { OperationProgress, SourceProgress } from '../../domain/progress';
import type { Slowed } from '../../domain/slowed';
import type { Facts, RunningOperation } from './facts';
import type { MetricRow, Sample } from './rows';

const ENDS = ['succeeded', 'failed', 'cancelled', 'refused'] as const satisfies readonly OperationEnd[];
const OF_RUNNING = ['kind', 'phase'];
const OF_SLOWED = ['shard', 'by'];
const OF_SOURCE = ['shard', 'source'];

export const OPERATION_ROWS: readonly MetricRow[] = [
  {
    name: 'coordinator_operations',
    help: 'Operations that the cluster remembers, by kind and end; the end of one that runs is running.',
    labels: ['kind', 'end'],
    show: ({ state }) => (state === null ? [] : remembered(state)),
  },
  {
    name: 'coordinator_operations_ended_total',
    help: 'Operations that ended since this process began, by kind and end.',
    labels: ['kind', 'end'],
    isCounter: true,
    show: ({ ended }) =>
      OPERATION_KINDS.flatMap((kind) => ENDS.map((end) => ({ labels: { kind, end }, value: ended.count(kind, end) }))),
  },
  {
    name: 'coordinator_operation_points_moved_total',
    help: 'Points that operations moved which ended since this process began, by kind.',
    labels: ['kind'],
    isCounter: true,
    show: ({ ended }) => OPERATION_KINDS.map((kind) => ({ labels: { kind }, value: ended.pointsMoved(kind) })),
  },
  {
    name: 'coordinator_operation_running',
    help: '1 for an operation that runs, by kind and phase; the phase is unknown when its workflow does not answer.',
    labels: OF_RUNNING,
    show: ({ running }) => summed(running, () => 1),
  },
  {
    name: 'coordinator_operation_running_seconds',
    help: 'How long the operation runs.',
    labels: OF_RUNNING,
    show: ({ running, nowMs }) => largest(running, ({ record }) => secondsSince(record.startedAtMs, nowMs)),
  },
  {
    name: 'coordinator_operation_waiting_seconds',
    help: 'How long the operation has waited for one thing, 0 while it waits for nothing.',
    labels: OF_RUNNING,
    show: ({ running, nowMs }) =>
      ofProgress(running, ({ waiting }) => (waiting === null ? 0 : secondsSince(waiting.sinceMs, nowMs))),
  },
  {
    name: 'coordinator_operation_points_done',
    help: 'Points that this phase of the operation has done.',
    labels: OF_RUNNING,
    show: ({ running }) => ofProgress(running, ({ pointsDone }) => pointsDone),
  },
  {
    name: 'coordinator_operation_points_expected',
    help: 'Points that this phase of the operation is expected to do.',
    labels: OF_RUNNING,
    show: ({ running }) => ofProgress(running, ({ pointsExpected }) => pointsExpected),
  },
  {
    name: 'coordinator_operation_done_bytes',
    help: 'Bytes of JSON that this phase of the operation has done.',
    labels: OF_RUNNING,
    show: ({ running }) => ofProgress(running, ({ bytesDone }) => bytesDone),
  },
  {
    name: 'coordinator_operation_expected_bytes',
    help: 'Bytes of JSON that this phase of the operation is expected to do.',
    labels: OF_RUNNING,
    show: ({ running }) => ofProgress(running, ({ bytesExpected }) => bytesExpected),
  },
  {
    name: 'coordinator_operation_points_per_second',
    help: 'Points a second over this phase of the operation.',
    labels: OF_RUNNING,
    show: ({ running }) => ofProgress(running, ({ ratePerSecond }) => ratePerSecond),
  },
  {
    name: 'coordinator_operation_eta_seconds',
    help: 'Seconds to the end of this phase of the operation, as far as that is known.',
    labels: OF_RUNNING,
    show: ({ running }) => ofProgress(running, ({ etaSeconds }) => etaSeconds),
  },
  {
    name: 'coordinator_operation_failed_attempts',
    help: 'Steps of the operation that failed and were tried again.',
    labels: OF_RUNNING,
    show: ({ running }) => ofProgress(running, ({ failedAttempts }) => failedAttempts),
  },
  {
    name: 'coordinator_operation_past_no_return',
    help: '1 when the operation is past its point of no return, else 0.',
    labels: OF_RUNNING,
    show: ({ running }) => ofProgress(running, ({ pointOfNoReturnPassed }) => Number(pointOfNoReturnPassed)),
  },
  {
    name: 'coordinator_operation_slowed',
    help: '1 for what slows an operation down just now, by shard and cause; nothing while nothing does.',
    labels: OF_SLOWED,
    show: ({ running }) => ofSlowed(running, () => 1),
  },
  {
    name: 'coordinator_operation_slowed_rest_ratio',
    help: 'The share of the last seconds in which a step stood still for what slows it down, 0 to 1.',
    labels: OF_SLOWED,
    show: ({ running }) => ofSlowed(running, ({ restShare }) => restShare ?? null),
  },
  {
    name: 'coordinator_scan_stop_seconds',
    help: 'How long a shard stood still for its last scan, in the operation that runs or ran last.',
    labels: OF_SOURCE,
    show: (facts) => ofSources(facts, ({ stopsMs }) => inSeconds(stopsMs.at(-1))),
  },
  {
    name: 'coordinator_scan_stop_longest_seconds',
    help: 'The longest of the last stops of a shard, in the operation that runs or ran last.',
    labels: OF_SOURCE,
    show: (facts) =>
      ofSources(facts, ({ stopsMs }) => inSeconds(stopsMs.length === 0 ? undefined : Math.max(...stopsMs))),
  },
  {
    name: 'coordinator_scans',
    help: 'Scans of a shard in the operation that runs or ran last.',
    labels: OF_SOURCE,
    show: (facts) => ofSources(facts, ({ scans }) => scans),
  },
  {
    name: 'coordinator_scan_rows_read',
    help: 'Rows read from a shard in the operation that runs or ran last.',
    labels: OF_SOURCE,
    show: (facts) => ofSources(facts, ({ rowsRead }) => rowsRead),
  },
];

function remembered({ operations }: ClusterState): Sample[] {
  const count = (kind: OperationKind, end: OperationRecord['end']): number =>
    operations.filter((each) => each.kind === kind && each.end === end).length;
  return OPERATION_KINDS.flatMap((kind) =>
    [null, ...ENDS].map((end) => ({ labels: { kind, end: end ?? 'running' }, value: count(kind, end) })),
  );
}

const labelsOf = ({ record, progress }: RunningOperation) => ({
  kind: record.kind,
  phase: progress?.phase ?? 'unknown',
});

/** Several checks may run at once, in one phase: one sample stands for all of them. */
function combined(
  running: readonly RunningOperation[],
  value: (each: RunningOperation) => number | null,
  combine: (a: number, b: number) => number,
): Sample[] {
  const samples = new Map<string, Sample>();
  for (const each of running) {
    const labels = labelsOf(each);
    const key = Object.values(labels).join(' ');
    const [known, more] = [samples.get(key)?.value ?? null, value(each)];
    samples.set(key, { labels, value: known === null || more === null ? (known ?? more) : combine(known, more) });
  }
  return [...samples.values()];
}

const summed = (running: readonly RunningOperation[], value: (each: RunningOperation) => number | null): Sample[] =>
  combined(running, value, (a, b) => a + b);

const largest = (running: readonly RunningOperation[], value: (each: RunningOperation) => number | null): Sample[] =>
  combined(running, value, Math.max);

const ofProgress = (
  running: readonly RunningOperation[],
  value: (progress: OperationProgress) => number | null,
): Sample[] => largest(running, ({ progress }) => (progress === null ? null : value(progress)));

/** Several steps may spare one shard: the largest value stands for all of them. */
function ofSlowed(running: readonly RunningOperation[], value: (slowed: Slowed) => number | null): Sample[] {
  const samples = new Map<string, Sample>();
  for (const slowed of running.flatMap(({ progress }) => progress?.slowed ?? [])) {
    const labels = { shard: slowed.shardId === null ? 'unknown' : String(slowed.shardId), by: slowed.by };
    const key = Object.values(labels).join(' ');
    const [known, more] = [samples.get(key)?.value ?? null, value(slowed)];
    samples.set(key, { labels, value: known === null || more === null ? (known ?? more) : Math.max(known, more) });
  }
  return [...samples.values()];
}

function ofSources({ sources }: Facts, value: (source: SourceProgress) => number | null): Sample[] {
  return sources.map((each) => ({
    labels: { shard: String(each.shardId), source: each.source },
    value: value(each),
  }));
}

const inSeconds = (ms: number | undefined): number | null => (ms === undefined ? null : ms / 1_000);
const secondsSince = (sinceMs: number, nowMs: number): number => Math.max(0, nowMs - sinceMs) / 1_000;
