/** What a lost cluster begins again with: everything that is left of it, and which part of that counts. */
import { adoptState, type ClusterState } from './cluster-state';
import { isBehind, type PublishedState, replacePublishedPart } from './witnessed';
import type { ShardMap } from './shard-map';

/** Where a last known state comes from. When two are equally new, the one that stands first here knows more. */
export const RESTORE_SOURCES = ['cluster workflow', 'published workflow', 'published file', 'router'] as const;
export type RestoreSource = (typeof RESTORE_SOURCES)[number];

/** A state that is still known. A router knows neither the next id nor the lock. */
export interface KnownState {
  readonly source: RestoreSource;
  /** The workflow id, the path or the URL. */
  readonly where: string;
  readonly map: ShardMap;
  readonly nextId: number | null;
  readonly lock: PublishedState['lock'];
}

/**
 * INV-1: a map does not show ids that were given out and removed again. So this many are left out after a map without a
 * next id.
 */
export const IDS_LEFT_OUT = 1_000;

/**
 * The latest known state, or null when none is. A state that was rewound, and has gone its own way since, does not
 * count.
 */
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
  /** The new state of the cluster: the newest known one, or one that a person gave. */
  readonly wanted: Omit<PublishedState, 'nextId'> & { readonly nextId: number | null };
  /** All that is known. Version and ids begin above it. */
  readonly known: readonly KnownState[];
  /** The highest version that anybody holds, also when the map to it is not known. */
  readonly versionSeen: number;
  /**
   * The state of the ended cluster workflow, while it can be read. Records, answered keys and the autoscale policy are
   * only there.
   */
  readonly ended: ClusterState | null;
}

/** INV-1: one version above everything that anybody may hold, and no id that anybody was given. */
export function restoredState({ wanted, known, versionSeen, ended }: RestoreRequest): ClusterState {
  const version = Math.max(versionSeen, wanted.map.version, ...known.map(({ map }) => map.version));
  const nextIds = known.map((each) => Math.max(each.nextId ?? 0, nextIdAfter(each.map)));
  const leastNextId = Math.max(nextIdAfter(wanted.map), ended?.nextId ?? 0, ...nextIds);
  const nextId = wanted.nextId === null ? leastNextId + IDS_LEFT_OUT : Math.max(wanted.nextId, leastNextId);
  const base = ended ?? adoptState({ next_id: 0, map: wanted.map });
  return replacePublishedPart(base, { map: { ...wanted.map, version: version + 1 }, nextId, lock: wanted.lock });
}

function nextIdAfter(map: ShardMap): number {
  return Math.max(0, ...map.shards.map((shard) => shard.id + 1));
}
