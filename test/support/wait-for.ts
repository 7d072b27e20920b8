import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 20;

/**
 * Waits until `fact` holds and returns what it gave. The error names the fact that never came, and why when `fact`
 * threw.
 */
export async function waitFor<T>(
  what: string,
  fact: () => T | Promise<T>,
  timeoutMs = 20_000,
): Promise<Exclude<T, false | null | undefined>> {
  const untilMs = Date.now() + timeoutMs;
  for (let lastError: unknown; ; await delay(POLL_MS)) {
    try {
      const value = await fact();
      if (value !== false && value !== null && value !== undefined) {
        return value as Exclude<T, false | null | undefined>;
      }
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    if (Date.now() > untilMs) throw new Error(`waited ${timeoutMs} ms in vain: ${what}`, { cause: lastError });
  }
}
