/**
 * What is wrong with a row that shards hold which do not own it, and what a repair does about it. Decides on what the
 * holders answered just now. A holder that does not answer has failed the attempt before this (INV-8).
 */
import type { Finding, Holder } from '../../domain/findings';
import type { Row } from '../ports';
import { isSameRow } from '../row';

export interface Copy {
  readonly holder: Holder;
  readonly row: Row;
}

/** One finding per copy, in their order. `owned` is what the owner holds, null when it lacks the row. */
export function findingsOf(owned: Row | null, copies: readonly Copy[]): Finding[] {
  if (owned !== null) return copies.map(({ row }) => (isSameRow(owned, row) ? 'agreeing' : 'differing'));
  const [first] = copies;
  const agree = copies.every(({ row }) => isSameRow(first?.row ?? null, row));
  return copies.map(() => (agree ? 'only_here' : 'conflicting'));
}

export type Decision =
  /** The owner holds the row, so its value wins and the copies go (INV-5). */
  | { readonly kind: 'remove' }
  /** This row goes to the owner. The copies go once the owner shows it. */
  | { readonly kind: 'move'; readonly row: Row }
  /** Only an operator knows which value is right. */
  | { readonly kind: 'leave' };

/**
 * `copies` is not empty. `prefer`: whose value counts, first one first, where several differ and the owner has none.
 */
export function decide(owned: Row | null, copies: readonly Copy[], prefer: readonly Holder[]): Decision {
  if (owned !== null) return { kind: 'remove' };
  const [first] = copies;
  if (first === undefined) return { kind: 'leave' };
  if (copies.every(({ row }) => isSameRow(first.row, row))) return { kind: 'move', row: first.row };
  for (const preferred of prefer) {
    const copy = copies.find(({ holder }) => holder === preferred);
    if (copy !== undefined) return { kind: 'move', row: copy.row };
  }
  return { kind: 'leave' };
}
