/**
 * What is wrong with a point that shards hold which do not own it, and what a repair does about it. Decides on what the
 * holders answered just now. A holder that does not answer has failed the attempt before this (INV-8).
 */
import type { Finding, Holder } from '../../domain/findings';
import { isSamePoint } from '../rows/same-point';

export interface Copy {
  readonly holder: Holder;
  readonly raw: Buffer;
}

/** One finding per copy, in their order. `owned` is what the owner holds, null when it lacks the point. */
export function findingsOf(owned: Buffer | null, copies: readonly Copy[]): Finding[] {
  if (owned !== null) return copies.map(({ raw }) => (isSamePoint(owned, raw) ? 'agreeing' : 'differing'));
  const [first] = copies;
  const agree = copies.every(({ raw }) => isSamePoint(first?.raw ?? null, raw));
  return copies.map(() => (agree ? 'only_here' : 'conflicting'));
}

export type Decision =
  /** The owner holds the point, so its value wins and the copies go (INV-5). */
  | { readonly kind: 'remove' }
  /** These bytes go to the owner. The copies go once the owner shows the point. */
  | { readonly kind: 'move'; readonly raw: Buffer }
  /** Only an operator knows which value is right. */
  | { readonly kind: 'leave' };

/**
 * `copies` is not empty. `prefer`: whose value counts, first one first, where several differ and the owner has none.
 */
export function decide(owned: Buffer | null, copies: readonly Copy[], prefer: readonly Holder[]): Decision {
  if (owned !== null) return { kind: 'remove' };
  const [first] = copies;
  if (first === undefined) return { kind: 'leave' };
  if (copies.every(({ raw }) => isSamePoint(first.raw, raw))) return { kind: 'move', raw: first.raw };
  for (const preferred of prefer) {
    const copy = copies.find(({ holder }) => holder === preferred);
    if (copy !== undefined) return { kind: 'move', raw: copy.raw };
  }
  return { kind: 'leave' };
}
