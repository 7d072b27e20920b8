/** How numbers and times are written for people. Without a locale: the sandbox has none to rely on. */

/** 12345 -> "12,345" */
export function count(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** "1 router", "12 routers". */
export function counted(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`;
}

/** "2026-11-27 01:15:00", in UTC. */
export function iso(ms: number): string {
  return new Date(ms).toISOString().replace('T', ' ').slice(0, 19);
}
