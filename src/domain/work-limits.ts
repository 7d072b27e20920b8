/** How fast an operation may work, and when. */
import { DomainError } from './errors';

/** Null: no limit. */
export interface WorkLimits {
  /** Bytes of rows written to their owners in a second, by all steps of the operation together. */
  readonly maxBytesPerS: number | null;
  readonly maxRowsPerS: number | null;
  /** The share of the time that deletes on a shard may take, above 0 to 1. */
  readonly deleteShare: number | null;
}

/** What holds for every operation that has no limit of its own, and the hours in which operations work. */
export interface ClusterLimits extends WorkLimits {
  /** `HH:MM` in UTC. Both or none. A window may go over midnight. */
  readonly activeFrom: string | null;
  readonly activeTo: string | null;
}

export const NO_LIMITS: WorkLimits = { maxBytesPerS: null, maxRowsPerS: null, deleteShare: null };
export const NO_CLUSTER_LIMITS: ClusterLimits = { ...NO_LIMITS, activeFrom: null, activeTo: null };

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const TIME = /^(?:[01]\d|2[0-3]):[0-5]\d$/;

/** An operation's own limits come first, one by one. */
export function limitsOf(own: Partial<WorkLimits>, cluster: ClusterLimits | null): WorkLimits {
  return {
    maxBytesPerS: own.maxBytesPerS ?? cluster?.maxBytesPerS ?? null,
    maxRowsPerS: own.maxRowsPerS ?? cluster?.maxRowsPerS ?? null,
    deleteShare: own.deleteShare ?? cluster?.deleteShare ?? null,
  };
}

export function isUnlimited({ maxBytesPerS, maxRowsPerS, deleteShare }: WorkLimits): boolean {
  return maxBytesPerS === null && maxRowsPerS === null && deleteShare === null;
}

export function isNoLimit(limits: ClusterLimits): boolean {
  return isUnlimited(limits) && limits.activeFrom === null && limits.activeTo === null;
}

/** The lower one of each limit. Two windows cannot be compared, so a window stays as it is. */
export function stricter(before: ClusterLimits, other: ClusterLimits): ClusterLimits {
  const { activeFrom, activeTo } = before.activeFrom === null ? other : before;
  return {
    maxBytesPerS: lower(before.maxBytesPerS, other.maxBytesPerS),
    maxRowsPerS: lower(before.maxRowsPerS, other.maxRowsPerS),
    deleteShare: lower(before.deleteShare, other.deleteShare),
    activeFrom,
    activeTo,
  };
}

function lower(one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : Math.min(one, other);
}

/** @throws DomainError InvalidRequest */
export function requireLimits({ maxBytesPerS, maxRowsPerS, deleteShare }: Partial<WorkLimits>): void {
  requireRate('max_bytes_per_s', maxBytesPerS);
  requireRate('max_rows_per_s', maxRowsPerS);
  if (deleteShare == null || (deleteShare > 0 && deleteShare <= 1)) return;
  throw new DomainError('InvalidRequest', `delete_share must be above 0 and at most 1, or null; got ${deleteShare}`);
}

function requireRate(name: string, rate: number | null | undefined): void {
  if (rate == null || (Number.isSafeInteger(rate) && rate >= 1)) return;
  throw new DomainError('InvalidRequest', `${name} must be a whole number of 1 or more, or null; got ${rate}`);
}

/** @throws DomainError InvalidRequest */
export function requireClusterLimits(limits: ClusterLimits): void {
  requireLimits(limits);
  const { activeFrom, activeTo } = limits;
  if ((activeFrom === null) !== (activeTo === null)) {
    throw new DomainError('InvalidRequest', 'active_from and active_to belong together: give both, or null for both');
  }
  for (const time of [activeFrom, activeTo]) {
    if (time === null || TIME.test(time)) continue;
    throw new DomainError('InvalidRequest', `a time of day must be HH:MM in UTC, got ${JSON.stringify(time)}`);
  }
  if (activeFrom !== null && activeFrom === activeTo) {
    throw new DomainError(
      'InvalidRequest',
      'active_from and active_to are the same: a window has a length. Null for both: there is no window',
    );
  }
}

/** When the window opens next, in ms since the epoch. Null: it is open, or there is none. */
export function windowOpensAtMs(limits: ClusterLimits | null, nowMs: number): number | null {
  if (limits === null) return null;
  const { activeFrom, activeTo } = limits;
  if (activeFrom === null || activeTo === null) return null;
  const midnightMs = Math.floor(nowMs / DAY_MS) * DAY_MS;
  const [from, to, now] = [minutesOf(activeFrom) * MINUTE_MS, minutesOf(activeTo) * MINUTE_MS, nowMs - midnightMs];
  const isOpen = from < to ? now >= from && now < to : now >= from || now < to;
  if (isOpen) return null;
  return midnightMs + (now < from ? from : from + DAY_MS);
}

function minutesOf(time: string): number {
  const [hours = 0, minutes = 0] = time.split(':').map(Number);
  return hours * 60 + minutes;
}
