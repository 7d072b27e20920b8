import { unknownToThisVersion } from './errors';

/**
 * By which rules a transition changes the cluster's state. A history is replayed by the code of today, so a changed rule
 * would rewrite what it did in the past. Therefore a change raises this number, and its code asks which rules a
 * transition was made for (`rulesOf`). What is new in a transition needs no number: its fields say so.
 */
export const RULES = 1;

/** Of a transition that may come from another build. One that names none is of release 0.3.0 or earlier. */
export function rulesOf({ rules = 1 }: { readonly rules?: number | undefined }): number {
  return rules;
}

/** An older worker must not apply its own rules in silence. @throws DomainError InvalidRequest */
export function refuseLaterRules(transition: { readonly rules?: number | undefined }): void {
  const rules = rulesOf(transition);
  if (!(rules <= RULES)) throw unknownToThisVersion('rules', String(rules));
}
