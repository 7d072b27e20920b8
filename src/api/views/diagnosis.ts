import type { Diagnosis } from '../../client/diagnosis-client';
import type { SeenShard } from '../../domain/diagnosis';
import type { DiagnosisView } from '../../wire/diagnosis';
import { isoOrNull } from './times';

export function viewOfDiagnosis(
  { temporal, apiSkewMs, seen, tookMs }: Diagnosis,
  scanStopMaxMs: number,
): DiagnosisView {
  const { retentionMs, pollers } = temporal;
  const isTold = 'worker' in seen;
  return {
    took_ms: tookMs,
    scan_stop_max_ms: scanStopMaxMs,
    temporal: {
      namespace: temporal.namespace,
      version: temporal.version,
      retention_s: retentionMs === null ? null : Math.round(retentionMs / 1_000),
      search_attributes: { ...temporal.searchAttributes },
      pollers:
        pollers?.map(({ identity, takes, lastSeenMs }) => ({
          identity,
          takes: [...takes],
          last_seen: isoOrNull(lastSeenMs),
        })) ?? null,
      pollers_left_out: temporal.pollersLeftOut,
      problem: temporal.problem,
    },
    api: { clock_skew_ms: apiSkewMs === null ? null : Math.round(apiSkewMs) },
    worker: isTold ? viewOfWorker(seen) : null,
    worker_problem: isTold ? null : seen.problem,
    shards: isTold ? seen.shards.map(viewOfShard) : [],
    shards_left_out: isTold ? seen.shardsLeftOut : 0,
    shards_not_asked: isTold ? seen.shardsNotAsked : 0,
  };
}

type Told = Extract<Diagnosis['seen'], { readonly worker: unknown }>;

function viewOfWorker({ worker, workerSkewMs }: Told): DiagnosisView['worker'] {
  const { host, node, spoolFolder, spoolFreeBytes } = worker;
  const spool = { folder: spoolFolder, free_bytes: spoolFreeBytes };
  return { host, node, clock_skew_ms: Math.round(workerSkewMs), spool };
}

function viewOfShard(shard: SeenShard): DiagnosisView['shards'][number] {
  const { key, identity, grpc, followers, clockSkewMs } = shard;
  return {
    id: shard.shardId,
    problem: shard.problem,
    clock_skew_ms: clockSkewMs === null ? null : Math.round(clockSkewMs),
    key: { role: key.role, is_scoped: key.isScoped, problem: key.problem },
    identity: { seen: identity.seen, problem: identity.problem },
    grpc: { url: grpc.url, problem: grpc.problem },
    followers: followers.map(({ url, problem }) => ({ url, problem })),
    rows: shard.rows,
    bytes: shard.bytes,
    source: shard.source,
    stop_ms: shard.stopMs,
  };
}
