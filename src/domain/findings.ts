/** What a check or a repair found, as counts and a bounded number of samples. Holds no point id: a sample says where to look. */

/** A shard by its id, or one that is not in the map (any more) by its primary URL. */
export type Holder = string;

/** What one shard holds of a collection, beside what it owns. */
export interface HolderFindings {
  /** Points on this shard, owned or not. */
  readonly points: number;
  /** Not owned; the owner holds an equal one. */
  readonly agreeing: number;
  /** Not owned; the owner holds another value. */
  readonly differing: number;
  /** Not owned, and the owner lacks it; where several hold it, they agree. */
  readonly onlyHere: number;
  /** Not owned, and the owner lacks it, while several hold it with different values. */
  readonly conflicting: number;
}

export interface CollectionFindings {
  readonly collection: string;
  /** Distinct points. */
  readonly points: number;
  readonly byHolder: Readonly<Record<Holder, HolderFindings>>;
  readonly missingOn: readonly Holder[];
  /** Shards on which it has other settings than on most; its points were not compared then. */
  readonly otherSchemaOn: readonly Holder[];
}

/** Where one finding is: row `offset` of the shard's collection, in byte order of the ids (as `fetch` counts), when it was read. */
export interface FindingSample {
  readonly collection: string;
  readonly finding: 'agreeing' | 'differing' | 'only_here' | 'conflicting';
  readonly holder: Holder;
  readonly offset: number;
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
  readonly collections: readonly CollectionFindings[];
  /** At most FINDING_SAMPLES_MAX. */
  readonly samples: readonly FindingSample[];
  readonly mended: Mended;
}
