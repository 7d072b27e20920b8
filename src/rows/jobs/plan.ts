/** What reading a shard will cost, before anybody reads it. */
import type { SourceEstimate } from '../../domain/progress';
import type { Job, SourceKind } from '../ports';
import type { MoveParts } from './move-parts';

export interface PlanJob {
  readonly shardId: number | string;
  readonly scans: number;
  /** Share of its rows that will be asked for by id. */
  readonly share: number;
  /** Nothing may be written, so a follower is taken for up to date, and who the shard is was asked before. */
  readonly isPlan?: boolean;
}

export interface PlanDone {
  readonly source: SourceKind;
  readonly url: string;
  readonly reason: string;
  readonly estimate: SourceEstimate;
}

/** Measured on Quiver 1.1.0: a sealed row of 64 dimensions costs 22 to 27 µs in a scan. */
const SCAN_MICROS_PER_ROW = 27;
/** The same on dimensions: reading a page of the file costs by bytes beyond that. */
const SCAN_MICROS_PER_KIB = 12;
const ROW_OVERHEAD_BYTES = 150;
const PAGE_ROWS = 10_000;

export async function planScans(_job: Job, input: PlanJob, { shards }: MoveParts): Promise<PlanDone> {
  const shard = shards(input.shardId);
  const { isPlan = false } = input;
  if (!isPlan) await shard.confirmIdentity();
  const { kind, url, reason } = await shard.source({ isPlan });
  const { rows, bytes } = await shard.size();
  const measured = shard.scanMicrosPerRow();
  const scanMs = scanStopMs({ rows, bytes }, measured);
  const pages = Math.max(1, Math.ceil(rows / PAGE_ROWS));
  return {
    source: kind,
    url,
    reason,
    estimate: {
      rows,
      bytes,
      scans: kind === 'pages' ? input.scans * pages : input.scans,
      questions: Math.round(rows * input.share),
      // A follower that stands still stops no client.
      stopMs: kind === 'follower' ? 0 : scanMs,
      memoryBytes: bytes + rows * ROW_OVERHEAD_BYTES,
    },
  };
}

/** How long a primary stands still for one scan. `measuredMicros`: of the slowest row of its last one; null without one. */
export function scanStopMs(
  { rows, bytes }: { rows: number; bytes: number },
  measuredMicros: number | null = null,
): number {
  const kib = rows === 0 ? 0 : bytes / rows / 1024;
  const perRow = Math.max(SCAN_MICROS_PER_ROW + kib * SCAN_MICROS_PER_KIB, measuredMicros ?? 0);
  return Math.ceil((rows * perRow) / 1000);
}
