/** What `doctor` learns from the coordinator. It asks no shard, router or Temporal itself: what counts is what the coordinator sees. */
import { clusterHealthSchema, noticeListSchema } from '../../wire/coordinator-api';
import { shardsViewSchema, type ShardsView } from '../../wire/shards';
import { problemSchema } from '../../wire/problem';
import { CliError } from '../exit';
import { count, duration } from '../output/format';
import { standstills } from '../output/progress';
import { ProblemError, UnreachableError, isOlder, type RestClient } from '../rest/client';
import { operationsSchema, routersSchema } from '../rest/shapes';
import { bad, good, type Finding } from './findings';

/** As the coordinator's own notice of a worker's clock has it. The header Date has whole seconds, so one more counts as none. */
export const SKEW_MS_MAX = 2_000;
const DATE_RESOLUTION_MS = 1_000;

const READY_REMEDIES: Readonly<Record<string, string>> = {
  TemporalUnreachable: 'start Temporal, and look at TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE and the keys for it',
  WorkflowTaskFails: "start workers of a build that knows the cluster's workflow (docs/guides/upgrade.md)",
  ClusterMissing: 'start an API with QUIVER_CLUSTER_SHARDS, or restore the cluster',
  ClusterClosed: 'quiver-coordinator restore --last-known',
  ClusterLost: 'quiver-coordinator restore --last-known',
};

const NOTICE_REMEDIES: Readonly<Record<string, string>> = {
  RouterServesSeeds: 'quiver-coordinator check --wait, and give the router a dead seed',
  UnknownRouter: 'quiver-coordinator routers add its address, or take its key away',
  ClockSkew: 'set the clock of that machine, restart the worker, and remove the notice',
  NoEvaluation: 'look at the Schedule in the Temporal Web UI',
  PointsKept: 'make the call that the notice names',
};

/** A router that no operation knows writes by an old map, and nothing else here loses data. */
const ERROR_NOTICES: readonly string[] = ['UnknownRouter'];

/** Is something there that answers? @returns null when nothing does; the findings end then */
export async function lookAtApi(client: RestClient, nowMs: () => number): Promise<Finding[] | null> {
  const what = ['api', 'API'] as const;
  const sentMs = nowMs();
  try {
    const { response, text } = await client.fetch({ path: '/healthz' });
    if (!response.ok || text !== 'ok') return null;
    return [good(what, `${client.url} answers`), lookAtClock(response.headers.get('date'), { sentMs, nowMs: nowMs() })];
  } catch (error) {
    if (error instanceof UnreachableError) return null;
    throw error;
  }
}

/** The answer was made somewhen between the request and now. Only what neither end explains is a skew. */
export function lookAtClock(date: string | null, { sentMs, nowMs }: { sentMs: number; nowMs: number }): Finding {
  const what = ['clock', 'clock of the API'] as const;
  const theirsMs = date === null ? Number.NaN : Date.parse(date);
  if (Number.isNaN(theirsMs)) return bad('unknown', what, 'the answer has no date', 'let proxies pass the header Date');
  const aheadMs = Math.max(0, theirsMs - nowMs);
  const behindMs = Math.max(0, sentMs - (theirsMs + DATE_RESOLUTION_MS));
  const skewMs = Math.max(aheadMs, behindMs);
  if (skewMs <= SKEW_MS_MAX) return good(what, `within ${SKEW_MS_MAX / 1_000} s of this machine's`);
  const seen = `${duration(skewMs / 1_000)} ${aheadMs > 0 ? 'ahead of' : 'behind'} this machine's`;
  return bad('warning', what, seen, 'synchronize the clocks of both machines');
}

/** Temporal and the workflow of the cluster, as the API sees them. */
export async function lookAtReadiness(client: RestClient): Promise<Finding> {
  const what = ['temporal', 'Temporal and cluster'] as const;
  const { response, text } = await client.fetch({ path: '/readyz' });
  if (response.ok) return good(what, 'the API is ready');
  const parsed = problemSchema.safeParse(jsonOf(text));
  if (!parsed.success) return bad('error', what, `not ready, status ${response.status}`, 'look at the log of the API');
  const { code, detail } = parsed.data;
  return bad('error', what, `${code}: ${detail}`, READY_REMEDIES[code] ?? 'look at the log of the API');
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}

/**
 * The shards, and which version the map has. The map itself is not asked for: whoever reads it counts as one who routes by it. `rows`: of
 * all shards together, null while one of them does not tell.
 */
export async function lookAtShards(
  client: RestClient,
): Promise<{ findings: Finding[]; rows: number | null; version: number | null }> {
  try {
    const [health, view] = await Promise.all([
      client.call(clusterHealthSchema, { path: '/cluster/health' }),
      client.call(shardsViewSchema, { path: '/cluster/shards' }),
    ]);
    const { shards, version } = view.value;
    const rows = shards.map((each) => each.rows);
    const sum = rows.reduce<number | null>((all, each) => (all === null || each === null ? null : all + each), 0);
    const map = good(['map', 'map'], `version ${version}`);
    return {
      findings: [map, ...shards.map((each) => lookAtShard(each, health.value[String(each.id)]))],
      rows: sum,
      version,
    };
  } catch (error) {
    return { findings: [failed(['map', 'map'], error)], rows: null, version: null };
  }
}

type Shard = ShardsView['shards'][number];

function lookAtShard({ id, role, rows, primary_url, identity }: Shard, answers: boolean | undefined): Finding {
  const what = ['shard', `shard ${id}`] as const;
  if (answers === false) {
    return bad('error', what, `${primary_url} does not answer /healthz`, 'start it, or tell its new address by PATCH');
  }
  if (rows === null) {
    const remedy = 'let its key be one of QUIVER_CLUSTER_SHARD_KEY, and look at the log of the shard';
    return bad('warning', what, `${primary_url} answers, and does not tell its rows`, remedy);
  }
  const mark = identity.epoch === null ? 'no identity yet' : `epoch ${identity.epoch}`;
  return good(what, `${role}, ${count(rows)} rows, ${mark}`);
}

export async function lookAtRouters(client: RestClient, mapVersion: number | null): Promise<Finding[]> {
  try {
    const { value } = await client.call(routersSchema, { path: '/cluster/routers' });
    const strangers = value.pollers.filter(({ explained_by }) => explained_by === null);
    const none = bad(
      'warning',
      ['router', 'routers'],
      'none is known, so operations wait for the grace instead of asking',
      'quiver-coordinator routers add http://…',
    );
    return [
      ...(value.routers.length === 0 ? [none] : []),
      ...value.routers.map(({ url, version, error }) => lookAtRouter({ url, version, error }, mapVersion)),
      // A person may have looked once. Who polls on becomes a notice, and that is an error.
      ...strangers.map(({ address, key_id }) =>
        bad(
          'warning',
          ['router', `poller ${address}`],
          `asked for the map with key ${key_id ?? 'none'}, and no entry explains it`,
          'if it is a router: quiver-coordinator routers add its address',
        ),
      ),
    ];
  } catch (error) {
    return [failed(['router', 'routers'], error)];
  }
}

function lookAtRouter(
  { url, version, error }: { url: string; version: number | null; error: string | null },
  mapVersion: number | null,
): Finding {
  const what = ['router', `router ${url}`] as const;
  if (error !== null || version === null) {
    return bad('error', what, error ?? 'does not tell its version', 'start it, or remove it if it is gone for good');
  }
  // A cluster begins at version 1.
  if (version === 0) {
    const remedy = 'look whether it reaches the coordinator, and give it a dead seed';
    return bad('error', what, 'version 0: it has no map yet and serves its seeds', remedy);
  }
  if (mapVersion !== null && version > mapVersion) {
    const remedy = 'point it to this coordinator and restart it, or restore the cluster';
    return bad(
      'error',
      what,
      `version ${version}, and the map has ${mapVersion}: it follows another coordinator`,
      remedy,
    );
  }
  if (mapVersion !== null && version < mapVersion) {
    const remedy = 'look whether it reaches the coordinator, and with which key';
    return bad('warning', what, `version ${version}, and the map has ${mapVersion}`, remedy);
  }
  return good(what, `version ${version}`);
}

export async function lookAtNotices(client: RestClient): Promise<Finding[]> {
  try {
    const { value } = await client.call(noticeListSchema, { path: '/cluster/notices' });
    if (value.notices.length === 0) return [good(['notice', 'notices'], 'none')];
    return value.notices.map(({ code, message }) =>
      bad(
        ERROR_NOTICES.includes(code) ? 'error' : 'warning',
        ['notice', `notice ${code}`],
        message,
        NOTICE_REMEDIES[code] ?? 'see Notices in docs/operating.md',
      ),
    );
  } catch (error) {
    return [failed(['notice', 'notices'], error)];
  }
}

/** Whether one waits or stands still, and how long shards stood still for the newest one. */
export async function lookAtOperations(client: RestClient, nowMs: number): Promise<Finding[]> {
  const what = ['operation', 'operations'] as const;
  try {
    const { value } = await client.call(operationsSchema, { path: '/cluster/operations' });
    const running = value.operations.find(({ status }) => status === 'running');
    const stopsMs = (value.operations[0]?.sources ?? []).flatMap(({ stops_ms }) => stops_ms);
    const stops =
      stopsMs.length === 0 ? [] : [good(['scan', 'stop of a scan'], `${count(Math.max(...stopsMs))} ms at most`)];
    if (running === undefined) return [good(what, 'none runs'), ...stops];
    const held = standstills(running, nowMs);
    if (held.length === 0) return [good(what, `${running.id} goes on`), ...stops];
    return [
      bad('warning', ['operation', running.id], held.join('; '), 'end what it waits for, or cancel it'),
      ...stops,
    ];
  } catch (error) {
    return [failed(what, error)];
  }
}

/** A look that did not succeed. What an older coordinator cannot tell is unknown, and no fault (INV-8). */
export function failed(what: readonly [string, string], error: unknown): Finding {
  if (!(error instanceof CliError)) throw error;
  if (!(error instanceof ProblemError)) return bad('error', what, error.message, 'see the other findings');
  if (isOlder(error)) return bad('unknown', what, 'this coordinator is older than this command', 'upgrade it');
  const isOfKey = error.status === 401 || error.status === 403;
  const remedy = isOfKey
    ? 'set COORDINATOR_KEY or COORDINATOR_KEY_FILE to a key with the role read'
    : 'see Temporal and cluster';
  return bad('error', what, error.message, remedy);
}

/** For the tests that hold the tables against the codes of the API. */
export const REMEDIES = { ready: READY_REMEDIES, notices: NOTICE_REMEDIES };
