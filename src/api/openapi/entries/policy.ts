import { ADDRESSES, CHANGES } from '../codes';
import type { RouteEntry } from '../entry';

/** The autoscale policy with its standbys, and the restore of a cluster. */
export const POLICY_ENTRIES: readonly RouteEntry[] = [
  {
    method: 'get',
    path: '/cluster/autoscale',
    role: 'read',
    summary: 'the policy, its standbys, evaluations, forecast and notices',
    answer: 'Autoscale',
    // The first reader writes the policy of the settings down.
    refusals: CHANGES,
  },
  {
    method: 'put',
    path: '/cluster/autoscale',
    role: 'admin',
    summary: 'replaces the policy; a field that is left out gets its default, and `{"enabled":false}` alone stops it',
    body: 'PolicyBody',
    answer: 'Autoscale',
    refusals: CHANGES,
  },
  {
    method: 'post',
    path: '/cluster/autoscale/evaluate',
    role: 'admin',
    summary: 'evaluates the policy now; a dry run changes and records nothing',
    parameters: ['idempotencyKey'],
    body: 'EvaluateBody?',
    answer: 'Evaluated',
    refusals: [...CHANGES, 'EvaluationFailed'],
  },
  {
    method: 'post',
    path: '/cluster/standbys',
    role: 'admin',
    summary: 'adds a standby, which the policy may grow by',
    parameters: ['idempotencyKey'],
    body: 'StandbyBody',
    answer: 'Autoscale',
    refusals: [
      ...CHANGES,
      ...ADDRESSES,
      'StandbyKnown',
      'ShardAlreadyInMap',
      'ShardClaimed',
      'ShardOfAnotherCluster',
      'DonorUnreachable',
    ],
  },
  {
    method: 'delete',
    path: '/cluster/standbys',
    role: 'admin',
    summary: 'removes a standby, named in the query or in the body',
    parameters: ['standbyUrl'],
    body: 'RemoveStandbyBody?',
    answer: 'Autoscale',
    refusals: [...CHANGES, 'InvalidShardUrl', 'UnknownStandby'],
  },
  {
    method: 'post',
    path: '/cluster/restore',
    role: 'admin',
    summary: 'begins a cluster again whose workflow has ended or is gone',
    parameters: ['idempotencyKey'],
    body: 'RestoreBody',
    answer: 'Restored',
    refusals: [...CHANGES, ...ADDRESSES, 'ClusterExists', 'NoKnownState'],
  },
];
