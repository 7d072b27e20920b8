import { sumOfPlans, type Move, type PlanScansInput } from '../../../contract/move';
import { DEFAULT_SCAN_STOP_MAX_MS } from '../../../domain/limits';
import type { OperationRequest, OperationSettings, ScanRequest } from '../../../contract/requests';
import type { OperationRun } from '../../operation/run';
import { counted } from '../../wording';

/** What the caller and the settings say about reading shards. */
export interface ScanChoice {
  readonly settings: Pick<OperationSettings, 'scanStopMaxMs'>;
  readonly request: OperationRequest;
}

/** Before anything is announced: where each shard will be read from, and for how long its clients will stand still. */
export async function planScans(
  run: OperationRun,
  { settings, request }: ScanChoice,
  { move, readers }: { move: Move; readers: PlanScansInput['readers'] },
): Promise<string> {
  const { progress } = run.state;
  const { sources, acceptStopMs }: ScanRequest = 'dead' in request ? {} : request;
  const stopMaxMs = acceptStopMs ?? settings.scanStopMaxMs ?? DEFAULT_SCAN_STOP_MAX_MS;
  const planned = await run.activities
    .preflight(`where are ${readers.length} shards read from, and at what cost?`, readers.length)
    .planScans({ ...move, sources: sources ?? null, readers, stopMaxMs });
  const { plans } = planned;
  const { shards, followers, stopMs, bytes } = planned.of ?? sumOfPlans(plans, readers);
  progress.sources = plans;
  if (shards > plans.length) progress.sourcesLeftOut = shards - plans.length;
  run.show();
  const stop = stopMs === 0 ? 'nobody stands still' : `a scan stops a shard for about ${(stopMs / 1000).toFixed(1)} s`;
  const reading = `${counted(shards, 'shard')} to read, ${followers} of them from followers; ${stop}`;
  return [reading, ...loadAdvice(bytes)].join('; ');
}

const GIB = 1024 ** 3;

/** Loading S bytes makes a shard rewrite its files again and again, by default about S²/3.5 GiB inside its write lock. */
export function loadAdvice(bytes: number): string[] {
  if (bytes < GIB) return [];
  const size = (bytes / GIB).toFixed(1);
  return [
    `about ${size} GiB are loaded, so start the shards that take them with QUIVER_CHECKPOINT_BYTES of 2 to 4 GiB`,
  ];
}
