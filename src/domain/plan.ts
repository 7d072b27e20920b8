/** What an operation would do, told before anybody starts it. Nothing here changes a state. */
import type { ClusterState, OperationKind } from './cluster-state';
import { announce, beginCheck, reserve, type LockRequest } from './lock-transitions';
import type { Phase, SourceProgress } from './progress';

/** The kinds that can be planned. */
export type PlannedKind = Exclude<OperationKind, 'recover'> | 'cancel';

/** Why it would be refused: a DomainErrorCode, or the code of the failure of a shard. */
export interface PlannedRefusal {
  readonly code: string;
  readonly detail: string;
}

export interface PlannedStep {
  readonly phase: Phase;
  readonly does: string;
}

/** One shard that takes part. Null: unknown before the operation looks (INV-8). */
export interface PlannedShard {
  readonly shardId: number;
  /** `read`: it is only read. */
  readonly role: 'donor' | 'receiver' | 'read';
  /** Null: its rows are not read. */
  readonly source: SourceProgress['source'] | null;
  readonly rows: number | null;
  readonly bytes: number | null;
  /** Of a donor what leaves it, of a receiver what it gets. About: placement shares ids out evenly. */
  readonly rowsToMove: number | null;
  readonly bytesToMove: number | null;
  readonly scans: number;
  /** How long its clients stand still for each scan. */
  readonly stopMs: number;
}

/** What the looks at shards and routers came to. */
export interface PlannedOperation {
  readonly steps: readonly PlannedStep[];
  /** At most SOURCES_SHOWN_MAX of those that are read, and all that join. */
  readonly shards: readonly PlannedShard[];
  readonly shardsLeftOut: number;
  /** Null: unknown before the operation has compared. */
  readonly rowsToMove: number | null;
  readonly bytesToMove: number | null;
  /** Rows that are read, over all scans. */
  readonly rowsRead: number;
  /** The first that stands in its way; null when nothing does. */
  readonly refusal: PlannedRefusal | null;
  readonly noticedBy: readonly string[];
  /** What only the operation itself can find out. */
  readonly notChecked: readonly string[];
}

export const NOTHING_PLANNED: PlannedOperation = {
  steps: [],
  shards: [],
  shardsLeftOut: 0,
  rowsToMove: null,
  bytesToMove: null,
  rowsRead: 0,
  refusal: null,
  noticedBy: [],
  notChecked: [],
};

/** No operation has this id: theirs are `<kind>-<key>`. */
const PLAN_ID = 'plan';

/**
 * The state as the operation would make it at its beginning, with its shards joining or leaving. Applied to nothing.
 * @throws DomainError as `reserve`, `announce` and `beginCheck` refuse
 */
export function stateOnceBegun(state: ClusterState, start: LockRequest | { readonly kind: 'check' }): ClusterState {
  if (start.kind === 'check') return beginCheck(state, { operationId: PLAN_ID, nowMs: 0 });
  const held = reserve(state, { operationId: PLAN_ID, request: start, nowMs: 0 });
  return start.kind === 'repair' ? held : announce(held, PLAN_ID);
}
