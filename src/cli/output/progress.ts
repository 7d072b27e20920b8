/** An operation that runs, in a line or two for the standard error. */
import type { Operation } from '../rest/shapes';
import { age, count, duration, fitted, plain } from './format';

const BAR_CELLS = 20;

/**
 * `grow-x copy [#####···············] 25% 10/40 rows 5/s ETA 6s`, and under it what it waits for. `width`: columns of the terminal;
 * null: as long as the text is.
 */
export function progressLines(
  operation: Operation,
  { nowMs, width }: { nowMs: number; width: number | null },
): string[] {
  const fit = (line: string): string => (width === null ? line : fitted(line, width - 1));
  const why = [...standstills(operation, nowMs), ...slowdowns(operation)];
  return [headLine(operation), ...why.map((line) => `  ${line}`)].map((line) => fit(plain(line)));
}

function headLine(operation: Operation): string {
  const { id, phase, points_done, points_expected, rate_points_per_s, eta_s } = operation;
  const share = shareOf(operation);
  const rows =
    points_expected === null || points_expected === 0 ? [] : [`${count(points_done)}/${count(points_expected)} rows`];
  const rate = rate_points_per_s === null || rate_points_per_s === 0 ? [] : [`${count(rate_points_per_s)}/s`];
  const eta = eta_s === null ? [] : [`ETA ${duration(eta_s)}`];
  const bar = share === null ? [] : [barOf(share), `${Math.floor(share * 100)}%`];
  return [id, phase ?? operation.status, ...bar, ...rows, ...rate, ...eta].join(' ');
}

/** Of the phase that runs, 0 to 1; null when it moves nothing. The expected points are an estimate, and may be exceeded. */
function shareOf({ points_done, points_expected }: Operation): number | null {
  if (points_expected === null || points_expected === 0) return null;
  return Math.min(1, points_done / points_expected);
}

export function barOf(share: number): string {
  const full = Math.round(share * BAR_CELLS);
  return `[${'#'.repeat(full)}${'·'.repeat(BAR_CELLS - full)}]`;
}

/** Why it does not go on, or will not. */
export function standstills(operation: Operation, nowMs: number): string[] {
  const { waiting, paused, cancel_requested } = operation;
  return [
    ...(paused === null || paused === undefined ? [] : [pauseLine(paused)]),
    ...(waiting === null
      ? []
      : [`waits for ${age(waiting.since, nowMs)}: ${waiting.reason}; ends when ${waiting.ends_when}`]),
    ...(cancel_requested === true && operation.status === 'running'
      ? ['a cancel was asked for: it undoes itself']
      : []),
  ];
}

function pauseLine({ reason, until, holds }: NonNullable<Operation['paused']>): string {
  const end = until === null ? 'until it is resumed' : `until ${until}`;
  return `${holds ? 'paused' : 'pauses at the next safe point'}: ${reason}; ${end}`;
}

/** A live line tells so many causes. `op show` tells all of them. */
const SLOWDOWNS_MAX = 3;

function slowdowns({ slowed = [] }: Operation): string[] {
  const lines = slowed.slice(0, SLOWDOWNS_MAX).map(({ text }) => `slowed: ${text}`);
  const more = slowed.length - lines.length;
  return more === 0 ? lines : [...lines, `slowed by ${more} more`];
}

/** What a log of lines says again only when it changes. */
export function newsOf(operation: Operation): string {
  const { phase, status, waiting, paused, cancel_requested, slowed = [] } = operation;
  const hasBar = shareOf(operation) !== null;
  const causes = slowed.map(({ by, shard_id }) => [by, shard_id]);
  const held = [waiting?.reason, paused?.reason, paused?.holds, cancel_requested];
  return JSON.stringify([phase, status, hasBar, ...held, causes]);
}
