import { CLUSTER_ENTRIES } from './entries/cluster';
import { CONTROL_ENTRIES } from './entries/control';
import { OPERATION_ENTRIES } from './entries/operations';
import { POLICY_ENTRIES } from './entries/policy';
import { SHARD_ENTRIES } from './entries/shards';
import type { RouteEntry } from './entry';

/** Every route of the API, by the part of the document that it stands in. */
export const ROUTES: Readonly<Record<string, readonly RouteEntry[]>> = {
  'The cluster': CLUSTER_ENTRIES,
  Shards: SHARD_ENTRIES,
  Operations: OPERATION_ENTRIES,
  'Routers, limits and webhooks': CONTROL_ENTRIES,
  'Policy and restore': POLICY_ENTRIES,
};
