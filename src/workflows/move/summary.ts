import type { OperationState } from '../../contract/operation-state';
import { count } from '../wording';
import { idsOf, type MoveKind } from './placement';

/** What came of a move, for people, when everything succeeded. */
export function summaryOf(kind: MoveKind, state: OperationState): string {
  const shards = idsOf(state.shards);
  const points = count(state.progress.pointsDone);
  if (kind === 'grow') return `shard ${shards} joined and took over ${points} points`;
  const notEmptied =
    state.notEmptied === null
      ? ''
      : `; it could not be emptied (${state.notEmptied}), so empty it before it is ever used again`;
  return `shard ${shards} left and gave away ${points} points${notEmptied}`;
}
