import {
  OPERATION_KINDS,
  type OperationEnd,
  type OperationKind,
  type OperationRecord,
} from '../../domain/cluster-state';
import type { EndedOperations } from './facts';

/**
 * Counts operations as they end. The cluster remembers only the last ones, so their number in its state is no counter. What
 * had ended before this process began does not count: a restart would look like a burst of operations.
 */
export class EndTally implements EndedOperations {
  private readonly sinceMs: number;
  private known = new Set<string>();
  private readonly ends = new Map<string, number>();
  private readonly moved = new Map<OperationKind, number>(OPERATION_KINDS.map((kind) => [kind, 0]));

  constructor(sinceMs: number) {
    this.sinceMs = sinceMs;
  }

  /** `operations` as the state has them now. */
  note(operations: readonly OperationRecord[]): void {
    const ended = operations.filter(({ end }) => end !== null);
    for (const record of ended) {
      const { kind, end, endedAtMs, pointsMoved } = record;
      if (end === null || this.known.has(keyOf(record)) || (endedAtMs ?? 0) < this.sinceMs) continue;
      this.ends.set(`${kind} ${end}`, this.count(kind, end) + 1);
      this.moved.set(kind, this.pointsMoved(kind) + pointsMoved);
    }
    this.known = new Set(ended.map(keyOf));
  }

  count = (kind: OperationKind, end: OperationEnd): number => this.ends.get(`${kind} ${end}`) ?? 0;
  pointsMoved = (kind: OperationKind): number => this.moved.get(kind) ?? 0;
}

/** A recovery may run again under its id. */
const keyOf = ({ operationId, endedAtMs }: OperationRecord): string => `${operationId} ${endedAtMs ?? ''}`;
