import { ADDRESSES, BY_HAND, READS, STARTS } from '../codes';
import type { RouteEntry } from '../entry';

/** Of a change by hand that brings an address into the map. */
const BRINGS = [
  ...BY_HAND,
  ...ADDRESSES,
  'ShardAlreadyInMap',
  'WrongShard',
  'ShardOfAnotherCluster',
  'DonorUnreachable',
] as const;
/** Of one that brings a new shard. */
const ADDS = [...BRINGS, 'JoinInProgress', 'LeaveInProgress', 'ShardClaimed'] as const;

/** The shards: shown, changed by hand, grown and drained, and the marks on them. */
export const SHARD_ENTRIES: readonly RouteEntry[] = [
  {
    method: 'get',
    path: '/cluster/shards',
    role: 'read',
    summary: 'each shard with role, addresses, identity and rows',
    answer: 'ShardList',
    refusals: READS,
  },
  {
    method: 'post',
    path: '/cluster/shards',
    role: 'admin',
    summary: 'adds an owner at once, moves nothing',
    parameters: ['idempotencyKey'],
    body: 'AddShardBody',
    answer: 'ShardMap',
    refusals: ADDS,
  },
  {
    method: 'post',
    path: '/cluster/shards/joining',
    role: 'admin',
    summary: 'adds a joining shard, copies nothing',
    parameters: ['idempotencyKey'],
    body: 'AddShardBody',
    answer: 'ShardMap',
    refusals: ADDS,
  },
  {
    method: 'post',
    path: '/cluster/shards/grow',
    role: 'admin',
    summary: 'starts a grow by one shard or several, and answers when they are joining',
    parameters: ['idempotencyKey', 'dryRun'],
    body: 'GrowBody',
    answer: 'MapOrPlan',
    answerHeaders: ['Location'],
    refusals: STARTS,
  },
  {
    method: 'post',
    path: '/cluster/shards/{id}/promote',
    role: 'admin',
    summary: 'makes a joining shard an owner',
    parameters: ['shardId', 'idempotencyKey'],
    answer: 'ShardMap',
    refusals: [...BY_HAND, 'UnknownShard', 'NotJoining'],
  },
  {
    method: 'post',
    path: '/cluster/shards/{id}/drain',
    role: 'admin',
    summary: 'starts a drain, and answers when the shard is leaving',
    parameters: ['shardId', 'idempotencyKey', 'dryRun'],
    body: 'DrainBody?',
    answer: 'MapOrPlan',
    answerHeaders: ['Location'],
    refusals: STARTS,
  },
  {
    method: 'patch',
    path: '/cluster/shards/{id}',
    role: 'admin',
    summary: 'replaces the address of the same shard; what the body leaves out stays',
    parameters: ['shardId', 'idempotencyKey'],
    body: 'ReplaceAddressBody',
    answer: 'ShardMap',
    refusals: [...BRINGS, 'UnknownShard', 'ShardLostData'],
  },
  {
    method: 'delete',
    path: '/cluster/shards/{id}',
    role: 'admin',
    summary: 'removes the shard at once, moves nothing',
    parameters: ['shardId'],
    answer: 'ShardMap',
    refusals: [...BY_HAND.filter((code) => code !== 'IdempotencyKeyReused'), 'UnknownShard', 'LastShard'],
  },
  {
    method: 'delete',
    path: '/cluster/identities',
    role: 'admin',
    summary: 'takes the marks off all shards; operations are refused from then on',
    answer: 'Identities',
    refusals: BY_HAND.filter((code) => code !== 'IdempotencyKeyReused'),
  },
  {
    method: 'post',
    path: '/cluster/identities',
    role: 'admin',
    summary: 'lets operations adopt the shards again',
    parameters: ['idempotencyKey'],
    answer: 'Identities',
    refusals: BY_HAND,
  },
];
