/**
 * What a check or a repair found, as counts and a bounded number of samples. Holds no point id: a sample says where to
 * look.
 */
import { FINDING_ROWS_MAX, FINDING_SAMPLES_MAX } from './limits';
import type { ShardAddress } from './shard-map';

/** A shard of the map by its id, or a leftover (a shard that is no longer in the map) by its primary URL. */
export type Holder = string;

/** What a shard that does not own a point may hold of it. */
export type Finding =
  /** The owner holds an equal one. */
  | 'agreeing'
  /** The owner holds another value. */
  | 'differing'
  /** The owner lacks it. Where several others hold it, they agree. */
  | 'only_here'
  /** The owner lacks it, while several others hold it with different values. */
  | 'conflicting';

/** What one shard holds of a collection: all its points, and by finding those that it does not own. */
export interface HolderFindings {
  readonly points: number;
  readonly agreeing: number;
  readonly differing: number;
  readonly onlyHere: number;
  readonly conflicting: number;
}

/** By holder. A shard that holds nothing of it is left out. */
export type FindingsByHolder = Readonly<Record<Holder, HolderFindings>>;

/**
 * Why the points of a collection were not compared.
 * - `other_schema`: shards have it with different settings.
 * - `multivector`: documents of several vectors that gRPC does not show, or too many of them.
 * - `only_on_leftovers`: no shard of the map has it. Clients dropped it, or it never was theirs.
 */
export type NotCompared = 'other_schema' | 'multivector' | 'only_on_leftovers';

export interface CollectionFindings {
  readonly collection: string;
  readonly notCompared: NotCompared | null;
  /** Shards of the map that lack it, also when the repair has created it there since. */
  readonly missingOn: readonly Holder[];
  /** Shards on which it has other settings than on most. */
  readonly otherSchemaOn: readonly Holder[];
  /** Distinct points. */
  readonly points: number;
  readonly byHolder: FindingsByHolder;
}

/**
 * Where one finding was when it was read: row `offset` of the shard's collection, in byte order of the ids (as `fetch`
 * counts).
 */
export interface FindingSample {
  readonly collection: string;
  readonly finding: Finding;
  readonly holder: Holder;
  readonly offset: number;
}

/** Over all collections, listed or not. */
export interface FindingTotals {
  readonly collections: number;
  readonly collectionsMissing: number;
  readonly collectionsNotCompared: number;
  readonly points: number;
  readonly agreeing: number;
  readonly differing: number;
  readonly onlyHere: number;
  readonly conflicting: number;
}

/** What one reading of all collections found. */
export interface PassFindings {
  readonly totals: FindingTotals;
  /** In full up to FINDING_ROWS_MAX; the rest is in `totals` only. */
  readonly collections: readonly CollectionFindings[];
  /** At most FINDING_SAMPLES_MAX. Of a repair only what it leaves in place: what it repairs is no longer there. */
  readonly samples: readonly FindingSample[];
}

/** What a repair did; zeros in a check. */
export interface Mended {
  readonly collectionsCreated: number;
  /** Points written to the owner that only others held. */
  readonly moved: number;
  /** Copies removed from shards that do not own them. */
  readonly removed: number;
}

export interface Findings {
  /** Of a check: what there is. Of a repair: what there was when it began. */
  readonly found: PassFindings;
  readonly mended: Mended;
  /** What a successful repair left, because only an operator can decide on it. Null in a check. */
  readonly left: PassFindings | null;
}

export const NOTHING_HELD: HolderFindings = { points: 0, agreeing: 0, differing: 0, onlyHere: 0, conflicting: 0 };
export const NOTHING_MENDED: Mended = { collectionsCreated: 0, moved: 0, removed: 0 };
export const NOTHING_FOUND: PassFindings = {
  totals: {
    collections: 0,
    collectionsMissing: 0,
    collectionsNotCompared: 0,
    points: 0,
    agreeing: 0,
    differing: 0,
    onlyHere: 0,
    conflicting: 0,
  },
  collections: [],
  samples: [],
};

/** The field of HolderFindings that counts a finding. */
export const COUNTED_AS: Record<Finding, Exclude<keyof HolderFindings, 'points'>> = {
  agreeing: 'agreeing',
  differing: 'differing',
  only_here: 'onlyHere',
  conflicting: 'conflicting',
};

export function holderOf(shard: { readonly id: number } | ShardAddress): Holder {
  return 'id' in shard ? String(shard.id) : shard.primary_url;
}

export function addByHolder(a: FindingsByHolder, b: FindingsByHolder): FindingsByHolder {
  const sum: Record<Holder, HolderFindings> = { ...a };
  for (const [holder, more] of Object.entries(b)) sum[holder] = addHeld(sum[holder] ?? NOTHING_HELD, more);
  return sum;
}

export function addHeld(a: HolderFindings, b: HolderFindings): HolderFindings {
  return {
    points: a.points + b.points,
    agreeing: a.agreeing + b.agreeing,
    differing: a.differing + b.differing,
    onlyHere: a.onlyHere + b.onlyHere,
    conflicting: a.conflicting + b.conflicting,
  };
}

/** Adds a collection that is read to its end. */
export function withCollection(
  pass: PassFindings,
  collection: CollectionFindings,
  samples: readonly FindingSample[],
): PassFindings {
  const { totals } = pass;
  const held = Object.values(collection.byHolder).reduce(addHeld, NOTHING_HELD);
  const rows = (each: CollectionFindings): number => 1 + Object.keys(each.byHolder).length;
  const listed = pass.collections.reduce((sum, each) => sum + rows(each), 0);
  const hasRoom = listed + rows(collection) <= FINDING_ROWS_MAX;
  return {
    totals: {
      collections: totals.collections + 1,
      collectionsMissing: totals.collectionsMissing + (collection.missingOn.length > 0 ? 1 : 0),
      collectionsNotCompared: totals.collectionsNotCompared + (collection.notCompared === null ? 0 : 1),
      points: totals.points + collection.points,
      agreeing: totals.agreeing + held.agreeing,
      differing: totals.differing + held.differing,
      onlyHere: totals.onlyHere + held.onlyHere,
      conflicting: totals.conflicting + held.conflicting,
    },
    collections: hasRoom ? [...pass.collections, collection] : pass.collections,
    samples: [...pass.samples, ...samples].slice(0, FINDING_SAMPLES_MAX),
  };
}

/** True when every point is where the map says and all collections are alike. */
export function isClean({ totals }: PassFindings): boolean {
  const { collectionsMissing, collectionsNotCompared, agreeing, differing, onlyHere, conflicting } = totals;
  return collectionsMissing + collectionsNotCompared + agreeing + differing + onlyHere + conflicting === 0;
}

/** Half a sentence for an operator. */
export function describePass(pass: PassFindings): string {
  const { totals } = pass;
  const parts: [number, string][] = [
    [totals.collectionsMissing, 'collections missing on a shard'],
    [totals.collectionsNotCompared, 'collections that could not be compared'],
    [totals.onlyHere, 'points only on a shard that does not own them'],
    [totals.agreeing, 'copies beside an equal one on the owner'],
    [totals.differing, 'copies beside another value on the owner'],
    [totals.conflicting, 'copies with different values that the owner lacks'],
  ];
  const wrong = parts.filter(([count]) => count > 0).map(([count, what]) => `${withCommas(count)} ${what}`);
  return wrong.length === 0 ? 'everything is where it belongs' : wrong.join(', ');
}

function withCommas(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}
