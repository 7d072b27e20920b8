/** What a lost cluster begins again with: everything that is left of it, and which part of that counts. */
import { adoptState, readState, type ClusterState } from './cluster-state';
import { isBehind, type WitnessedState, replaceWitnessedPart } from './witnessed';
import type { ShardMap } from './shard-map';

/** Where a last known state comes from. Of two that are equally new, the earlier one in this list knows more. */
export const RESTORE_SOURCES = ['cluster workflow', 'published workflow', 'published file', 'router'] as const;
export type RestoreSource = (typeof RESTORE_SOURCES)[number];

/** A state that is still known. A router knows neither the next id nor the lock. */
export interface KnownState {
  readonly source: RestoreSource;
  /** The workflow id, the path or the URL. */
  readonly where: string;
  readonly map: ShardMap;
  readonly nextId: number | null;
  readonly lock: WitnessedState['lock'];
  readonly identity?: WitnessedState['identity'];
  readonly epoch?: WitnessedState['epoch'];
  readonly routers?: WitnessedState['routers'];
}

/** INV-1: a map does not show ids that were given out and removed again, so this many are left out after a map without a next id. */
export const IDS_LEFT_OUT = 1_000;

/** The latest known state, or null when there is none. A state that was rewound, and has gone its own way since, does not count. */
export function newestKnown(known: readonly KnownState[]): KnownState | null {
  const rank = ({ source }: KnownState): number => RESTORE_SOURCES.indexOf(source);
  const records = known.filter(({ source }) => source === 'published workflow');
  const isRewound = ({ map, nextId }: KnownState): boolean =>
    records.some((record) => isBehind({ map, nextId: nextId ?? Infinity }, { ...record, nextId: record.nextId ?? 0 }));
  const [newest] = known
    .filter((each) => each.source !== 'cluster workflow' || !isRewound(each))
    .sort((a, b) => b.map.version - a.map.version || rank(a) - rank(b));
  return newest ?? null;
}

export interface RestoreRequest {
  /** The state to restore: the newest known one, or the one in the request. */
  readonly request: Omit<WitnessedState, 'nextId'> & { readonly nextId: number | null };
  /** All that is known, asked for or not: version and ids begin above it. */
  readonly known: readonly KnownState[];
  /** The highest version of all whose map cannot be used. */
  readonly versionSeen: number;
  /** The state of the ended cluster workflow, if it still answers: only it has records, answered keys and the autoscale policy. */
  readonly ended: ClusterState | null;
}

/** INV-1: one version above every version that anybody may hold, and only ids that were never given out. */
export function restoredState({ request, known, versionSeen, ended }: RestoreRequest): ClusterState {
  const version = Math.max(versionSeen, request.map.version, ...known.map(({ map }) => map.version));
  const nextIds = known.map((each) => Math.max(each.nextId ?? 0, nextIdAfter(each.map)));
  const leastNextId = Math.max(nextIdAfter(request.map), ended?.nextId ?? 0, ...nextIds);
  const nextId = request.nextId === null ? leastNextId + IDS_LEFT_OUT : Math.max(request.nextId, leastNextId);
  const base = (ended && readState(ended)) ?? adoptState({ next_id: 0, map: request.map });
  // INV-8: whose the shards are, and which routers there are, is known from whoever remembers it, whichever map was asked for.
  const identity = [request, ...known].find((each) => each.identity?.uid != null)?.identity;
  const routers = [request, ...known].find((each) => each.routers !== undefined)?.routers;
  const epoch = Math.max(0, request.epoch ?? 0, ...known.map((each) => each.epoch ?? 0));
  const { map, lock } = request;
  const restored = { map: { ...map, version: version + 1 }, nextId, lock, epoch, routers };
  return replaceWitnessedPart(base, identity === undefined ? restored : { ...restored, identity });
}

function nextIdAfter(map: ShardMap): number {
  return Math.max(0, ...map.shards.map((shard) => shard.id + 1));
}
