/** Inputs and results of the activities of a check and of a repair. Plain JSON and small: they stay in a history. */
import type { CollectionFindings, FindingsByHolder, FindingSample, Holder } from '../domain/findings';
import type { ShardAddress } from '../domain/shard-map';
import type { MayWriteLate, Move } from './move';

/** The shards that a check or a repair reads: those of the map, and leftovers, which own nothing. */
export interface RepairParties extends Move {
  readonly leftovers: readonly ShardAddress[];
}

/** A collection as a check or a repair found it. */
export interface InspectedCollection extends Pick<
  CollectionFindings,
  'collection' | 'notCompared' | 'missingOn' | 'otherSchemaOn'
> {
  /** Rows that its holders report, together. */
  readonly rows: number;
}

/** Where the merge over all holders stands; see WalkCursor. */
export interface HolderCursor {
  readonly streams: readonly {
    readonly holder: Holder;
    readonly offset: number;
    readonly lastIdDigest: string | null;
  }[];
}
export interface CompareInput extends RepairParties {
  readonly collection: string;
  readonly cursor: HolderCursor | null;
  /** Null in a check, which only looks. */
  readonly mend: { readonly settleMs: number; readonly prefer: readonly Holder[] } | null;
}
export interface CompareResult extends MayWriteLate {
  /** Null: the collection has been walked to its end. */
  readonly cursor: HolderCursor | null;
  /** The walk began again: what was `seen` of this collection before does not count. */
  readonly restarted: boolean;
  readonly rowsRead: number;
  /** What a walk that began again would see again. */
  readonly seen: { readonly points: number; readonly byHolder: FindingsByHolder };
  /** Samples of what was seen. */
  readonly samples: readonly FindingSample[];
  /** What was found and repaired, so that no walk sees it again. */
  readonly mended: {
    readonly byHolder: FindingsByHolder;
    readonly moved: number;
    readonly removedByHolder: Readonly<Record<Holder, number>>;
  };
  /** An earlier attempt may have written something that nobody counted. */
  readonly mayHaveWritten: boolean;
}
