/** What the page of metrics is made of, as one look at the cluster found it. */
import type { ClusterState, OperationEnd, OperationKind, OperationRecord } from '../../domain/cluster-state';
import type { OperationProgress, SourceProgress } from '../../domain/progress';

/** What a router said when it was last asked. */
export interface SeenRouter {
  readonly url: string;
  /** Null: it did not answer. */
  readonly version: number | null;
  /** Of the cluster's map at that time. */
  readonly mapVersion: number;
}

/** The map that this process serves. */
export interface SeenMap {
  readonly version: number;
  readonly ageMs: number;
}

export interface RunningOperation {
  readonly record: OperationRecord;
  /** Null: its workflow did not answer. */
  readonly progress: OperationProgress | null;
}

/** Counted since this process began. */
export interface EndedOperations {
  readonly count: (kind: OperationKind, end: OperationEnd) => number;
  readonly pointsMoved: (kind: OperationKind) => number;
}

/** Unknown is null, or absent from a list, and never 0 (INV-8). */
export interface Facts {
  readonly nowMs: number;
  readonly state: ClusterState | null;
  /** Since the state was read. */
  readonly stateAgeMs: number | null;
  /** The newest look found the state. */
  readonly isAnswered: boolean;
  readonly map: SeenMap | null;
  /** The newest reading of the map came from Temporal. */
  readonly isMapFresh: boolean;
  readonly running: readonly RunningOperation[];
  /** How the operation that runs, or ran last, reads the shards. */
  readonly sources: readonly SourceProgress[];
  /** Points by shard id. */
  readonly points: ReadonlyMap<number, number>;
  readonly routers: readonly SeenRouter[];
  /** Since the witness was last known to remember the map. */
  readonly witnessAgeMs: number | null;
  readonly ended: EndedOperations;
}
