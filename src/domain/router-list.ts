/** How the cluster's list of routers changes: by the setting of an API at its start, and by hand. Also while an operation runs. */
import type { ClusterState } from './cluster-state';
import { DomainError } from './errors';
import { ROUTER_ENTRIES_MAX, ROUTER_ENTRY_CHARS_MAX } from './limits';
import { refusedEntries } from './router-entries';

export const REMOVAL_RISK =
  'a removed router is not asked any more: one that still runs may write by an old map, to shards that do not own what it writes. ' +
  'Remove only what is gone for good, and run POST /cluster/check after the operation';

/**
 * By an API at its start. What was changed by hand stays. A setting that is empty empties no list, and while an operation
 * holds the lock a setting only adds: a variable that was lost must not turn routers that write into none.
 */
export function seedRouters(state: ClusterState, entries: readonly string[]): ClusterState {
  const before = state.routers;
  if (before?.isByHand === true || entries.length === 0) return state;
  const all = state.lock === null ? entries : [...(before?.entries ?? []), ...entries];
  return { ...state, routers: { entries: bounded(all), isByHand: false } };
}

/** @throws DomainError InvalidRequest */
export function setRouters(state: ClusterState, entries: readonly string[]): ClusterState {
  return { ...state, routers: { entries: bounded(entries), isByHand: true } };
}

export interface RouterChange {
  readonly add: readonly string[];
  readonly remove: readonly string[];
  /** What the list is when nobody has given one yet. */
  readonly seed: readonly string[];
}

/** Adding what is in the list changes nothing. @throws DomainError InvalidRequest, UnknownRouterEntry */
export function changeRouters(state: ClusterState, { add, remove, seed }: RouterChange): ClusterState {
  const before = state.routers?.entries ?? seed;
  const missing = remove.find((entry) => !before.includes(entry));
  if (missing !== undefined) {
    throw new DomainError(
      'UnknownRouterEntry',
      `expected an entry of the list of routers, ${missing} is none: GET /cluster/routers shows them; a router that was found by a name goes with its DNS record`,
    );
  }
  return setRouters(state, [...before.filter((entry) => !remove.includes(entry)), ...add]);
}

function bounded(entries: readonly string[]): readonly string[] {
  const each = [...new Set(entries)];
  const long = each.find((entry) => entry.length > ROUTER_ENTRY_CHARS_MAX);
  if (long !== undefined)
    throw refusedEntries(`one of ${long.length} characters, and ${ROUTER_ENTRY_CHARS_MAX} is the most`);
  if (each.length > ROUTER_ENTRIES_MAX)
    throw refusedEntries(`${each.length} of them, and ${ROUTER_ENTRIES_MAX} is the most`);
  return each;
}
