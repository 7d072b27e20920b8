/** A request as a state remembers it: enough to tell a repeat from a key that is used for something else. */
import { IdHasher } from './hrw';

/** Of two texts that differ, all but certainly two digests that do. No secret depends on it. */
export function digestOf(text: string): string {
  const hasher = new IdHasher();
  hasher.hash(new TextEncoder().encode(text));
  const digest = [hasher.hashHigh, hasher.hashLow].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('');
  return `${text.length} characters, ${digest}`;
}

/** The same for every order of its fields. */
export function requestDigest(request: unknown): string {
  return digestOf(JSON.stringify(request, (_name, value: unknown) => (isRecord(value) ? sorted(value) : value)));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function sorted(value: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
