/** What the Temporal Web UI shows of a running workflow: Markdown, made from the same facts as every other surface. */
import { samplesOf } from '../domain/bounded-text';
import type { ShardLoad } from '../domain/autoscale-decision';
import type { Standby } from '../domain/autoscale-state';
import type { Evaluation } from '../domain/autoscale-policy';
import type { ClusterState } from '../domain/cluster-state';
import type { OperationProgress } from '../domain/progress';
import { slowedInWords } from '../domain/slowed';
import { count, iso } from './wording';

export function clusterDetails(state: ClusterState): string {
  const { map, lock, notices } = state;
  const rows = map.shards.map(
    (shard) => `| ${shard.id} | ${shard.primary_url} | ${role(map.joining, map.leaving, shard.id)} |`,
  );
  return [
    `**Map version ${map.version}**, ${map.shards.length} shards, next id ${state.nextId}`,
    '',
    lock === null
      ? 'No operation is running.'
      : `Operation **${lock.operationId}** holds the lock (${lock.stage}) since ${iso(lock.sinceMs)}.`,
    '',
    ...notices.flatMap(({ lastSeenMs, message }) => [`⚠️ ${iso(lastSeenMs)}: ${message}`, '']),
    '| shard | address | role |',
    '| --- | --- | --- |',
    ...rows,
  ].join('\n');
}

function role(joining: readonly number[], leaving: readonly number[], id: number): string {
  if (joining.includes(id)) return 'joining';
  return leaving.includes(id) ? 'leaving' : 'owner';
}

export function progressDetails(progress: OperationProgress): string {
  const { waiting } = progress;
  const facts = [
    `**${progress.kind}**${subject(progress)}: **${progress.status}**, phase **${progress.phase}**`,
    '',
    `Points: **${count(progress.pointsDone)}** of about ${count(progress.pointsExpected)} (${count(progress.bytesDone)} bytes), ` +
      `${count(progress.ratePerSecond)} points/s, ETA ${progress.etaSeconds === null ? 'unknown' : `${progress.etaSeconds} s`}`,
    '',
    waiting === null
      ? `Next: ${progress.next}`
      : `⏳ **Waiting** since ${iso(waiting.sinceMs)}: ${waiting.reason}. It ends when ${waiting.endsWhen}.`,
    '',
    aboutCancel(progress),
    '',
    ...aboutPause(progress),
    ...aboutSlowed(progress),
    ...aboutAttention(progress),
    ...aboutSources(progress),
    '| phase | started | took | note |',
    '| --- | --- | --- | --- |',
  ];
  const rows = progress.phases.map((phase) => {
    const took = phase.endedAtMs === null ? '…' : `${((phase.endedAtMs - phase.startedAtMs) / 1000).toFixed(1)} s`;
    return `| ${phase.phase} | ${iso(phase.startedAtMs)} | ${took} | ${phase.note} |`;
  });
  return [...facts, ...rows].join('\n');
}

function aboutPause({ pause, limits }: OperationProgress): string[] {
  const told: string[] = [];
  if (pause !== undefined) {
    const { by, reason, sinceMs, untilMs, holds } = pause;
    const state = holds ? 'Paused' : 'Pauses at its next safe point';
    const end = untilMs === null ? 'it is resumed' : `${iso(untilMs)} has passed`;
    told.push(`⏸ **${state}** by ${by} since ${iso(sinceMs)}: ${reason}. It ends when ${end}.`, '');
  }
  if (limits !== undefined) {
    const { maxBytesPerS, maxRowsPerS, deleteShare } = limits;
    const rates = [
      ...(maxBytesPerS === null ? [] : [`${count(maxBytesPerS)} bytes/s`]),
      ...(maxRowsPerS === null ? [] : [`${count(maxRowsPerS)} rows/s`]),
      ...(deleteShare === null ? [] : [`deletes for ${deleteShare} of the time`]),
    ];
    told.push(`🐢 **Limited** to ${rates.join(', ')}.`, '');
  }
  return told;
}

function aboutSlowed({ slowed = [], limits }: OperationProgress): string[] {
  return slowed.flatMap((each) => [`🐌 **Slowed**: ${slowedInWords(each, limits)}.`, '']);
}

function aboutAttention({ outcome }: OperationProgress): string[] {
  const { attention = [] } = outcome ?? {};
  return attention.flatMap(({ what, points, mendedBy }) => [
    `⚠️ **Attention**: ${count(points)} ${what}. It is mended by \`${mendedBy}\`.`,
    '',
  ]);
}

function aboutSources({ sources = [] }: OperationProgress): string[] {
  if (sources.length === 0) return [];
  const rows = sources.slice(0, SOURCES_SHOWN_MAX).map((each) => {
    const stops = each.stopsMs.length === 0 ? '' : each.stopsMs.map((ms) => `${ms} ms`).join(', ');
    const expected = each.estimate === undefined ? '' : `${(each.estimate.stopMs / 1000).toFixed(1)} s`;
    return `| ${each.shardId} | ${each.source} ${each.url} | ${each.scans} | ${count(each.rowsPerSecond)} | ${expected} | ${stops} |`;
  });
  const more = sources.length - SOURCES_SHOWN_MAX;
  return [
    '| shard | read from | scans | rows/s | stop expected | stops |',
    '| --- | --- | --- | --- | --- | --- |',
    ...rows,
    ...(more > 0 ? [`| … | ${more} more | | | | |`] : []),
    '',
  ];
}

const SOURCES_SHOWN_MAX = 16;

function subject({ kind, shardIds }: OperationProgress): string {
  if (movesNoShard(kind)) return '';
  return ` of shard ${samplesOf(shardIds) || '(not numbered yet)'}`;
}

function aboutCancel({ kind, pointOfNoReturnPassed }: OperationProgress): string {
  if (movesNoShard(kind)) return 'It changes no map: a cancel ends it, and what is repaired stays repaired.';
  return pointOfNoReturnPassed
    ? 'Ownership has flipped: this operation only goes forward.'
    : 'Ownership has not flipped yet: a cancel undoes everything.';
}

function movesNoShard(kind: OperationProgress['kind']): boolean {
  return kind === 'check' || kind === 'repair';
}

export function evaluationDetails(evaluation: {
  verdict: Omit<Evaluation, 'atMs'>;
  loads: readonly ShardLoad[];
  standbys: readonly Standby[];
  dryRun: boolean;
}): string {
  const { verdict, loads, standbys, dryRun } = evaluation;
  const { reason, message, operationId } = verdict;
  const rows = loads.map(
    (load) => `| ${load.shardId} | ${load.points === null ? (load.problem ?? '') : count(load.points)} |`,
  );
  return [
    `**${reason}**${dryRun ? ' (dry run: nothing is changed)' : ''}: ${message}`,
    '',
    operationId === null ? 'Nothing was started.' : `Started **${operationId}**.`,
    '',
    `Standbys: ${samplesOf(standbys.map((each) => each.primary_url)) || 'none'}`,
    '',
    '| shard | points |',
    '| --- | --- |',
    ...rows,
  ].join('\n');
}
