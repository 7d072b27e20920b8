import type { ScanReport } from '../../../contract/move';
import type { Shard } from '../../../domain/shard-map';
import { boundedText } from '../../../domain/bounded-text';
import { SOURCE_REASON_CHARS_MAX, SOURCES_SHOWN_MAX } from '../../../domain/limits';
import type { OperationRun } from '../../operation/run';

const STOPS_MAX = 8;

/** Shows where the rows of a shard were read from, how fast, and how long the shard stood still for it. */
export function noteScan(run: OperationRun, { id: shardId }: Pick<Shard, 'id'>, scan: ScanReport): void {
  const { progress } = run.state;
  const { source, sourceUrl: url, sourceReason: reason, stopMs, rowsRead, tookMs } = scan;
  const known = (progress.sources ?? []).find((each) => each.shardId === shardId);
  if (known === undefined && (progress.sources ?? []).length >= SOURCES_SHOWN_MAX) return;
  const shown = {
    shardId,
    source,
    url,
    reason: boundedText(reason, SOURCE_REASON_CHARS_MAX),
    scans: (known?.scans ?? 0) + 1,
    rowsRead,
    rowsPerSecond: Math.round((rowsRead / Math.max(tookMs, 1)) * 1000),
    stopsMs: [...(known?.stopsMs ?? []), stopMs].slice(-STOPS_MAX),
    ...(known?.estimate === undefined ? {} : { estimate: known.estimate }),
  };
  const others = (progress.sources ?? []).filter((each) => each.shardId !== shardId);
  progress.sources = [...others, shown].sort((a, b) => a.shardId - b.shardId);
  run.show();
}
