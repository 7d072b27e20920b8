/** What `doctor` learns of what the API and a worker see: Temporal, the worker's machine, and each shard as a worker reaches it. */
import { diagnosisSchema, type DiagnosisView } from '../../wire/diagnosis';
import { bytes, count, duration } from '../output/format';
import type { RestClient } from '../rest/client';
import { bad, good, type Finding } from './findings';
import { lookAtNode } from './local';
import { failed, SKEW_MS_MAX } from './remote';

/** With less, an ended operation soon cannot tell any more how it went, and no recovery can ask it. */
const RETENTION_S_MIN = 86_400;
/** A worker keeps the id of each point that it moves in so many bytes at most. */
const SPOOL_BYTES_PER_ROW = 64;
const SPOOL_FREE_BYTES_MIN = 256 * 1024 * 1024;

type Seen<Part extends keyof DiagnosisView> = DiagnosisView[Part];
type What = readonly [check: string, subject: string];

/** `rows`: of all shards together; null: nobody knows. */
export async function lookAtDiagnosis(client: RestClient, rows: () => Promise<number | null>): Promise<Finding[]> {
  try {
    const { value } = await client.call(diagnosisSchema, { path: '/cluster/doctor' });
    return [
      ...lookAtTemporal(value.temporal),
      ...lookAtPollers(value.temporal),
      skewFinding(['clock', 'clock of the API against Temporal'], value.api.clock_skew_ms),
      ...lookAtWorker(value, await rows()),
      ...value.shards.flatMap((shard) => lookAtShard(shard, value.scan_stop_max_ms)),
      ...lookAtTheRest(value),
    ];
  } catch (error) {
    return [failed(['diagnosis', 'what a worker sees'], error)];
  }
}

function lookAtTemporal({ namespace, version, retention_s, search_attributes, problem }: Seen<'temporal'>): Finding[] {
  const unknown = problem ?? 'it does not tell';
  const of = 'let the key of the API read the namespace, and look at its log';
  const server: What = ['temporal-version', 'version of Temporal'];
  const kept: What = ['retention', `retention of namespace ${namespace}`];
  const names = Object.entries(search_attributes).map(([name, isKnown]): Finding => {
    const what: What = ['search-attribute', `search attribute ${name}`];
    if (isKnown === null) return bad('unknown', what, unknown, of);
    if (isKnown) return good(what, 'known to the namespace');
    const remedy = `temporal operator search-attribute create --namespace ${namespace} --name ${name} --type Keyword, and restart the API`;
    return bad('warning', what, 'not known to the namespace, so the Web UI cannot filter by it', remedy);
  });
  return [
    version === null ? bad('unknown', server, unknown, of) : good(server, version),
    retention_s === null
      ? bad('unknown', kept, unknown, of)
      : retention_s >= RETENTION_S_MIN
        ? good(kept, duration(retention_s))
        : bad(
            'warning',
            kept,
            `${duration(retention_s)}, after which an ended operation cannot tell how it went`,
            `temporal operator namespace update --namespace ${namespace} --retention 72h`,
          ),
    ...names,
  ];
}

/** Temporal remembers for five minutes who asked for tasks. */
function lookAtPollers({ pollers, pollers_left_out, problem }: Seen<'temporal'>): Finding[] {
  const what: What = ['poller', 'workers'];
  if (pollers === null) {
    return [bad('unknown', what, problem ?? 'Temporal does not tell', 'look at the log of the API')];
  }
  const missing = (['workflows', 'activities'] as const).filter(
    (each) => !pollers.some(({ takes }) => takes.includes(each)),
  );
  if (missing.length > 0) {
    const seen = `none has asked for ${missing.join(' or ')} of this cluster in the last minutes`;
    return [bad('error', what, seen, 'start a worker, with the same COORDINATOR_CLUSTER and namespace as the API')];
  }
  const all = pollers.length + pollers_left_out;
  return [good(what, `${count(all)} ${all === 1 ? 'asks' : 'ask'} for tasks: ${namesOf(pollers, all)}`)];
}

const NAMES_SHOWN_MAX = 3;

function namesOf(pollers: readonly { identity: string }[], all: number): string {
  const names = pollers.slice(0, NAMES_SHOWN_MAX).map(({ identity }) => identity);
  return `${names.join(', ')}${all > names.length ? ` and ${count(all - names.length)} more` : ''}`;
}

function lookAtWorker({ worker, worker_problem }: DiagnosisView, rows: number | null): Finding[] {
  if (worker === null) {
    const remedy = 'start a worker of the version of the API, and look at its log';
    return [bad('error', ['worker', 'worker'], worker_problem ?? 'none has looked', remedy)];
  }
  const { host, node, clock_skew_ms, spool } = worker;
  return [
    good(['worker', 'worker'], `one on ${host} has looked`),
    { ...lookAtNode(node), subject: `Node of the worker on ${host}` },
    skewFinding(['clock', `clock of the worker on ${host} against Temporal`], clock_skew_ms),
    lookAtSpool(['spool', `spool disk on ${host}`], spool, rows),
  ];
}

function lookAtSpool(
  what: What,
  { folder, free_bytes }: { folder: string; free_bytes: number | null },
  rows: number | null,
): Finding {
  if (free_bytes === null)
    return bad('unknown', what, `${folder} cannot be looked at`, 'let the worker read the folder');
  const needed = Math.max(SPOOL_FREE_BYTES_MIN, (rows ?? 0) * SPOOL_BYTES_PER_ROW);
  const seen = `${bytes(free_bytes)} free for ${folder}`;
  if (free_bytes >= needed) return good(what, seen);
  const remedy = `free ${bytes(needed - free_bytes)}, or set COORDINATOR_SPOOL_DIR to a folder on a larger disk`;
  return bad('warning', what, `${seen}, and the ids of all rows need ${bytes(needed)}`, remedy);
}

type SeenShard = Seen<'shards'>[number];

/** One line where all is well. Else one for each thing that is not. */
function lookAtShard(shard: SeenShard, scanStopMaxMs: number): Finding[] {
  const faults = [
    ...healthFaults(shard),
    ...keyFaults(shard),
    ...identityFaults(shard),
    ...readingFaults(shard, scanStopMaxMs),
  ];
  if (faults.length > 0) return faults;
  const { id, followers, source, rows, stop_ms, identity } = shard;
  const parts = [
    'admin key',
    identity.seen === 'absent' ? 'no identity yet' : 'its identity',
    `gRPC`,
    `${count(followers.length)} ${followers.length === 1 ? 'follower' : 'followers'}`,
    `${count(rows)} rows, read from ${source === 'follower' ? 'a follower' : 'its primary'}`,
    `a scan stops it for ${count(stop_ms)} ms`,
  ];
  return [good(['shard-of-worker', `shard ${id} from the worker`], parts.join(', '))];
}

function healthFaults({ id, problem, clock_skew_ms }: SeenShard): Finding[] {
  const clock = skewFinding(['clock', `clock of shard ${id} against the worker`], clock_skew_ms);
  return [
    ...(problem === null
      ? []
      : [
          bad(
            'error',
            ['shard-of-worker', `shard ${id} from the worker`],
            problem,
            'start it, or open the way from the worker to it',
          ),
        ]),
    ...(problem === null && clock.level !== 'ok' ? [clock] : []),
  ];
}

function keyFaults({ id, problem: silence, key: { role, is_scoped, problem } }: SeenShard): Finding[] {
  const what: What = ['key', `key of shard ${id}`];
  const setting = 'QUIVER_CLUSTER_SHARD_KEY or COORDINATOR_SHARD_KEY_FILE';
  if (role === 'refused') {
    return [bad('error', what, 'the shard takes none of the keys of the worker', `let ${setting} have a key of it`)];
  }
  if (is_scoped === true) {
    const remedy = 'take the scope off this key on the shard: a move reads and writes every collection';
    return [bad('error', what, 'the key is good for some collections only', remedy)];
  }
  if (role === 'read' || role === 'write') {
    const remedy = 'give this key the role admin on the shard';
    return [bad('error', what, `the key has the role ${role}, and a move needs admin`, remedy)];
  }
  // A shard that answers nothing has its own finding.
  if (role !== null || silence !== null) return [];
  return [bad('unknown', what, problem ?? 'the shard does not tell', 'look at the log of the shard')];
}

function identityFaults({ id, problem: silence, identity: { seen, problem } }: SeenShard): Finding[] {
  const what: What = ['identity', `identity of shard ${id}`];
  if (seen === 'other') {
    const remedy = 'correct its address by PATCH, or give it its own volume back';
    return [bad('error', what, problem ?? 'it is another shard', remedy)];
  }
  if (seen !== null || silence !== null) return [];
  return [bad('unknown', what, problem ?? 'the shard does not tell', 'see the other findings of this shard')];
}

function readingFaults(shard: SeenShard, scanStopMaxMs: number): Finding[] {
  const { id, problem: silence, grpc, followers, rows, source, stop_ms } = shard;
  const behind = followers.flatMap(({ url, problem }) =>
    problem === null
      ? []
      : [
          bad(
            'warning',
            ['follower', `follower ${url} of shard ${id}`],
            problem,
            'repair it, or take it out by PATCH: reads go to the primary meanwhile',
          ),
        ],
  );
  if (silence !== null) return behind;
  const noGrpc = bad(
    'warning',
    ['grpc', `gRPC of shard ${id}`],
    `${grpc.url}: ${grpc.problem ?? ''}`,
    'let the worker reach it, or tell its address by PATCH as grpc_url: else rows are read page by page',
  );
  const long = bad(
    'warning',
    ['scan', `scan of shard ${id}`],
    `it would stand still for about ${duration((stop_ms ?? 0) / 1_000)}, read by ${source ?? 'nobody'}`,
    'give it a follower in replica_urls, or start operations with --accept-stop',
  );
  const noRows = bad(
    'unknown',
    ['rows', `rows of shard ${id}`],
    'the shard does not tell',
    'see its other findings, and its log',
  );
  return [
    ...behind,
    ...(grpc.problem === null ? [] : [noGrpc]),
    ...(stop_ms !== null && stop_ms > scanStopMaxMs ? [long] : []),
    ...(rows === null ? [noRows] : []),
  ];
}

function lookAtTheRest({ shards_left_out, shards_not_asked }: DiagnosisView): Finding[] {
  const left = good(['shard-of-worker', 'more shards'], `${count(shards_left_out)} as well as those that are listed`);
  const late = bad(
    'unknown',
    ['shard-of-worker', 'more shards'],
    `${count(shards_not_asked)} were not asked: the time was too short`,
    'see to those that do not answer, and run doctor again',
  );
  return [...(shards_left_out === 0 ? [] : [left]), ...(shards_not_asked === 0 ? [] : [late])];
}

function skewFinding(what: What, skewMs: number | null): Finding {
  if (skewMs === null) return bad('unknown', what, 'nobody could compare it', 'see the other findings');
  if (Math.abs(skewMs) <= SKEW_MS_MAX) return good(what, `within ${SKEW_MS_MAX / 1_000} s`);
  const seen = `${duration(Math.abs(skewMs) / 1_000)} ${skewMs > 0 ? 'ahead' : 'behind'}`;
  return bad('warning', what, seen, 'synchronize the clocks of both machines');
}
