import { CHANGES, READS } from '../codes';
import type { RouteEntry } from '../entry';

const ROUTER_CHANGES = [...CHANGES, 'AddressNotAllowed', 'InvalidShardUrl'] as const;

/** How operations work, which routers they ask, and who is told of what they do. */
export const CONTROL_ENTRIES: readonly RouteEntry[] = [
  {
    method: 'get',
    path: '/cluster/limits',
    role: 'read',
    summary: 'how fast operations work, and at which hours',
    answer: 'Limits',
    refusals: READS,
  },
  {
    method: 'put',
    path: '/cluster/limits',
    role: 'admin',
    summary: 'replaces the limits and the hours, also for what runs',
    body: 'LimitsBody',
    answer: 'Limits',
    refusals: CHANGES,
  },
  {
    method: 'get',
    path: '/cluster/routers',
    role: 'read',
    summary: 'the list of routers, the map that each of them holds, and who polls',
    answer: 'Routers',
    refusals: READS,
  },
  {
    method: 'put',
    path: '/cluster/routers',
    role: 'admin',
    summary: 'replaces the list of routers, also for what runs',
    body: 'PutRoutersBody',
    answer: 'Routers',
    refusals: ROUTER_CHANGES,
  },
  {
    method: 'patch',
    path: '/cluster/routers',
    role: 'admin',
    summary: 'adds entries to the list of routers, and takes some out',
    parameters: ['idempotencyKey'],
    body: 'PatchRoutersBody',
    answer: 'Routers',
    refusals: [...ROUTER_CHANGES, 'UnknownRouterEntry'],
  },
  {
    method: 'get',
    path: '/cluster/hooks',
    role: 'admin',
    summary: 'the webhooks, without their secrets',
    answer: 'HookList',
    refusals: READS,
  },
  {
    method: 'put',
    path: '/cluster/hooks',
    role: 'admin',
    summary: 'replaces all webhooks',
    body: 'HooksBody',
    answer: 'HookList',
    refusals: [...CHANGES, 'AddressNotAllowed', 'HooksKeyMissing'],
  },
  {
    method: 'delete',
    path: '/cluster/hooks',
    role: 'admin',
    summary: 'removes all webhooks',
    answer: 'HookList',
    refusals: CHANGES,
  },
];
