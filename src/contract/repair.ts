/** Inputs and results of the activities of a check and of a repair. Plain JSON and small: they stay in a history. */
import type { CollectionFindings, Holder, PassFindings } from '../domain/findings';
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

export interface FindMisplacedInput extends RepairParties {
  readonly collections: readonly InspectedCollection[];
  /** Null in a check, which only looks. */
  readonly mend: { readonly settleMs: number; readonly prefer: readonly Holder[] } | null;
}
export interface FindMisplacedResult extends MayWriteLate {
  readonly found: PassFindings;
  /** What a repair left as it is. */
  readonly left: PassFindings;
  readonly rowsRead: number;
  readonly moved: number;
  readonly removedByHolder: Readonly<Record<Holder, number>>;
  readonly stopMsByHolder: Readonly<Record<Holder, number>>;
  /** An earlier attempt may have written something that nobody counted. */
  readonly mayHaveWritten: boolean;
}
