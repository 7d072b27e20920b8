/** Tables and lists on the standard output. */
import { plain } from './format';

export type Cell = string | number | null;
export interface Style {
  readonly heading: (text: string) => string;
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly notable: (text: string) => string;
  readonly quiet: (text: string) => string;
}

const sgr = (code: number) => (text: string) => `\u001b[${code}m${text}\u001b[0m`;
const same = (text: string): string => text;

export function styleOf(hasColour: boolean): Style {
  if (!hasColour) return { heading: same, good: same, bad: same, notable: same, quiet: same };
  return { heading: sgr(1), good: sgr(32), bad: sgr(31), notable: sgr(33), quiet: sgr(2) };
}

/** Columns are as wide as their widest cell. The last one is never padded, so that no line ends in blanks. */
export function table(headings: readonly string[], rows: readonly (readonly Cell[])[], style: Style): string {
  const texts = rows.map((row) => headings.map((_, column) => shown(row[column] ?? null)));
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...texts.map((row) => (row[column] ?? '').length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => (column === cells.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd();
  return [style.heading(line(headings)), ...texts.map(line)].map((each) => `${each}\n`).join('');
}

/** `name  value`, one a line. A value of several lines is indented. */
export function list(entries: readonly (readonly [string, Cell])[], style: Style): string {
  const width = Math.max(0, ...entries.map(([name]) => name.length));
  return entries.map(([name, value]) => `${style.heading(name.padEnd(width))}  ${shown(value)}\n`).join('');
}

function shown(value: Cell): string {
  return value === null || value === '' ? '-' : plain(String(value));
}
