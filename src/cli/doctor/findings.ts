/** What `doctor` finds: one row for one thing that was looked at. */
import { count } from '../output/format';
import { table, type Cell, type Style } from '../output/table';

export type Level = 'ok' | 'unknown' | 'warning' | 'error';

export interface Finding {
  /** The kind of look, as in `shard`. */
  readonly check: string;
  /** What was looked at, as in `shard 2`. */
  readonly subject: string;
  readonly level: Level;
  readonly seen: string;
  /** What to do; null where nothing has to be done. */
  readonly remedy: string | null;
}

export interface Report {
  readonly healthy: boolean;
  readonly errors: number;
  readonly warnings: number;
  readonly findings: readonly Finding[];
}

type What = readonly [check: string, subject: string];

export const good = ([check, subject]: What, seen: string): Finding => ({
  check,
  subject,
  level: 'ok',
  seen,
  remedy: null,
});

export const bad = (level: Exclude<Level, 'ok'>, [check, subject]: What, seen: string, remedy: string): Finding => ({
  check,
  subject,
  level,
  seen,
  remedy,
});

export function reportOf(findings: readonly Finding[]): Report {
  const at = (level: Level): number => findings.filter((each) => each.level === level).length;
  return { healthy: at('error') === 0, errors: at('error'), warnings: at('warning'), findings };
}

export function reportText({ findings, errors, warnings }: Report, style: Style): string {
  const rows = findings.map((each): Cell[] => [MARKS[each.level], each.subject, each.seen]);
  const remedies = findings.flatMap(({ level, subject, remedy }) =>
    remedy === null ? [] : [`${MARKS[level]} ${subject}: ${remedy}\n`],
  );
  const summary = `${count(errors)} errors, ${count(warnings)} warnings`;
  const painted = errors > 0 ? style.bad(summary) : warnings > 0 ? style.notable(summary) : style.good(summary);
  return [
    table(['', 'LOOKED AT', 'SEEN'], rows, style),
    remedies.length === 0 ? '' : `\n${style.heading('What to do')}\n${remedies.join('')}`,
    `\n${painted}\n`,
  ].join('');
}

const MARKS: Record<Level, string> = { ok: 'ok', unknown: '?', warning: 'warn', error: 'FAIL' };
