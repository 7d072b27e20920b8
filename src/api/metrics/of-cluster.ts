/** Metrics of the map, the shards, the routers, the policy and the notices. */
import type { NoticeCode } from '../../domain/autoscale-state';
import { completePolicy, DECISION_REASONS, type AutoscalePolicy } from '../../domain/autoscale-policy';
import type { ClusterState } from '../../domain/cluster-state';
import type { ClusterNoticeCode } from '../../domain/notices';
import type { ShardMap } from '../../domain/shard-map';
import type { Facts } from './facts';
import { one, type MetricRow, type Sample } from './rows';

/** Each of them has a sample, also while there is no such notice: an alert needs a 0 to be over. */
const NOTICE_CODES = [
  'RouterServesSeeds',
  'UnknownRouter',
  'PointsKept',
  'ClockSkew',
  'NoEvaluation',
  'NoStandbyLeft',
  'StandbyUnusable',
  'CapReached',
  'ShardUnreadable',
  'GrowRefused',
] as const;
type Missing = Exclude<ClusterNoticeCode | NoticeCode, (typeof NOTICE_CODES)[number]>;
/** Does not compile when a code is missing above. */
const codes: [Missing] extends [never] ? readonly string[] : never = NOTICE_CODES;

export const CLUSTER_ROWS: readonly MetricRow[] = [
  {
    name: 'coordinator_state_answered',
    help: '1 when the cluster workflow answered the last question for its state, else 0.',
    show: ({ isAnswered }) => one(isAnswered),
  },
  {
    name: 'coordinator_state_age_seconds',
    help: 'How old the state is that this page shows; after a minute the page shows none.',
    show: ({ stateAgeMs }) => one(inSeconds(stateAgeMs)),
  },
  {
    name: 'coordinator_map_version',
    help: 'The version of the map that this API read last.',
    show: ({ map }) => one(map?.version ?? null),
  },
  {
    name: 'coordinator_map_age_seconds',
    help: 'How long ago this API began to read the map that it serves.',
    show: ({ map }) => one(inSeconds(map?.ageMs ?? null)),
  },
  {
    name: 'coordinator_map_fresh',
    help: '1 when this API could read the map when it last tried, else 0.',
    show: ({ isMapFresh }) => one(isMapFresh),
  },
  {
    name: 'coordinator_witness_age_seconds',
    help: 'How long ago the witness was last known to remember the map of the cluster.',
    show: ({ witnessAgeMs }) => one(inSeconds(witnessAgeMs)),
  },
  {
    name: 'coordinator_shards',
    help: 'Shards in the map, by role.',
    labels: ['role'],
    show: ({ state }) => (state === null ? [] : shardsByRole(state.map)),
  },
  {
    name: 'coordinator_shard_points',
    help: 'Points of a shard over all its collections; a shard that does not answer has no sample.',
    labels: ['shard'],
    show: (facts) => pointsOfShards(facts).map(({ shard, points }) => ({ labels: { shard }, value: points })),
  },
  {
    name: 'coordinator_shard_share_ratio',
    help: 'The part of all points that is on a shard, once every shard has told its points.',
    labels: ['shard'],
    show: shares,
  },
  {
    name: 'coordinator_shard_owned_share_ratio',
    help: 'The part of all ids that the map assigns to a shard.',
    labels: ['shard'],
    show: ({ state }) => (state === null ? [] : ownedShares(state.map)),
  },
  {
    name: 'coordinator_router_up',
    help: '1 when the router answered when this API last asked for its map, else 0.',
    labels: ['router'],
    show: (facts) => ofRouters(facts, ({ version }) => Number(version !== null)),
  },
  {
    name: 'coordinator_router_version',
    help: 'The version of the map that the router held when it was last asked.',
    labels: ['router'],
    show: (facts) => ofRouters(facts, ({ version }) => version),
  },
  {
    name: 'coordinator_router_lag_versions',
    help: 'How many versions the map of the router was behind when it was last asked.',
    labels: ['router'],
    show: (facts) =>
      ofRouters(facts, ({ version, mapVersion }) => (version === null ? null : Math.max(0, mapVersion - version))),
  },
  {
    name: 'coordinator_autoscale_enabled',
    help: '1 when the autoscale policy is enabled, else 0.',
    show: (facts) => ofPolicy(facts, ({ enabled }) => Number(enabled)),
  },
  {
    name: 'coordinator_autoscale_interval_seconds',
    help: 'The time between two evaluations of the autoscale policy.',
    show: (facts) => ofPolicy(facts, ({ intervalSecs }) => intervalSecs),
  },
  {
    name: 'coordinator_autoscale_high_water_points',
    help: 'The mark in points of one shard, above which the cluster grows; absent without such a mark.',
    show: (facts) => ofPolicy(facts, ({ highWaterPoints }) => orNone(highWaterPoints)),
  },
  {
    name: 'coordinator_autoscale_high_water_bytes',
    help: 'The mark in bytes of one shard, above which the cluster grows; absent without such a mark.',
    show: (facts) => ofPolicy(facts, ({ highWaterBytes }) => orNone(highWaterBytes)),
  },
  {
    name: 'coordinator_autoscale_decision',
    help: '1 for the reason that the newest evaluation of the autoscale policy gave, 0 for the others.',
    labels: ['reason'],
    show: ({ state }) => (state === null ? [] : decisions(state)),
  },
  {
    name: 'coordinator_autoscale_evaluated_timestamp_seconds',
    help: 'When the newest evaluation of the autoscale policy was made, in seconds since 1970.',
    show: ({ state }) => one(inSeconds(state?.autoscale.evaluations[0]?.atMs ?? null)),
  },
  {
    name: 'coordinator_autoscale_standbys',
    help: 'Standbys, by whether something speaks against them.',
    labels: ['usable'],
    show: ({ state }) => (state === null ? [] : standbys(state)),
  },
  {
    name: 'coordinator_notices',
    help: 'What an operator must notice, by code.',
    labels: ['code'],
    show: ({ state }) => (state === null ? [] : notices(state)),
  },
];

function shardsByRole({ shards, joining, leaving }: ShardMap): Sample[] {
  const counts = {
    owner: shards.length - joining.length - leaving.length,
    joining: joining.length,
    leaving: leaving.length,
  };
  return Object.entries(counts).map(([role, value]) => ({ labels: { role }, value }));
}

/** Those of the map only: a shard that has left is asked no more. */
function pointsOfShards({ state, points }: Facts): { shard: string; points: number }[] {
  const shards = state?.map.shards ?? [];
  return shards.flatMap(({ id }) => {
    const known = points.get(id);
    return known === undefined ? [] : [{ shard: String(id), points: known }];
  });
}

function shares(facts: Facts): Sample[] {
  const known = pointsOfShards(facts);
  const sum = known.reduce((all, { points }) => all + points, 0);
  if (sum === 0 || known.length < (facts.state?.map.shards.length ?? 0)) return [];
  return known.map(({ shard, points }) => ({ labels: { shard }, value: points / sum }));
}

/** Rendezvous hashing gives each owner the same part. */
function ownedShares({ shards, joining, leaving }: ShardMap): Sample[] {
  const isOwner = (id: number): boolean => !joining.includes(id) && !leaving.includes(id);
  const owners = shards.filter(({ id }) => isOwner(id)).length;
  return shards.map(({ id }) => ({ labels: { shard: String(id) }, value: isOwner(id) ? 1 / owners : 0 }));
}

function ofRouters({ routers }: Facts, value: (router: Facts['routers'][number]) => number | null): Sample[] {
  return routers.map((router) => ({ labels: { router: hostOf(router.url) }, value: value(router) }));
}

/** Host and port only: a URL may carry a user and a password. */
function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : 'unreadable';
}

function ofPolicy({ state }: Facts, value: (policy: AutoscalePolicy) => number | null): readonly Sample[] {
  return one(state === null ? null : value(completePolicy(state.autoscale.policy)));
}

function decisions({ autoscale }: ClusterState): Sample[] {
  const newest = autoscale.evaluations[0]?.reason;
  return DECISION_REASONS.map((reason) => ({ labels: { reason }, value: Number(reason === newest) }));
}

function standbys({ autoscale }: ClusterState): Sample[] {
  const unusable = autoscale.standbys.filter((each) => each.unusable !== null).length;
  return [
    { labels: { usable: 'true' }, value: autoscale.standbys.length - unusable },
    { labels: { usable: 'false' }, value: unusable },
  ];
}

function notices({ notices: ofCluster, autoscale }: ClusterState): Sample[] {
  const all = [...ofCluster, ...autoscale.notices].map(({ code }) => code);
  const count = (code: string): number => all.filter((each) => each === code).length;
  return codes.map((code) => ({ labels: { code }, value: count(code) }));
}

const inSeconds = (ms: number | null): number | null => (ms === null ? null : ms / 1_000);
const orNone = (mark: number): number | null => (mark === 0 ? null : mark);
