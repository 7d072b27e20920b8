/**
 * The time by which deadlines inside a process are kept, in ms since the epoch. It never goes back:
 *
 * 1. A clock that is set back makes no deadline longer: time goes on from where it was.
 * 2. A clock that is set forward ends deadlines early, which costs a retry. It may have been the machine that slept, and
 *    an attempt that slept must not write (INV-3).
 */
const sinceBootMs = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000;

let bootedAtMs = Date.now() - sinceBootMs();

export function steadyNowMs(): number {
  const uptimeMs = sinceBootMs();
  bootedAtMs = Math.max(bootedAtMs, Date.now() - uptimeMs);
  return Math.floor(bootedAtMs + uptimeMs);
}

/** What the threads of a process have in common, so that one's deadlines hold in another. */
export function steadyBase(): number {
  return bootedAtMs;
}

/** In a thread, before anything asks for the time. */
export function takeSteadyBase(base: number): void {
  bootedAtMs = base;
}
