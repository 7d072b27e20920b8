/** What the benchmarks report, and how it is printed: as a table for a terminal and as Markdown. */

export type Verdict = 'met' | 'not met' | 'for information';

export interface Figure {
  /** What is measured. */
  readonly what: string;
  /** In words, with its unit; empty when the figure only informs. */
  readonly limit: string;
  /** In words, with its unit and, where several runs were made, which of them it is. */
  readonly measured: string;
  /** Measured over reference, where there is a reference in the same run. */
  readonly ratio: number | null;
  readonly verdict: Verdict;
  /** How it was measured and what it includes, as one or more sentences. */
  readonly how: string;
}

/** How long the caller of a grow may wait for its answer. */
export const ANSWER_MS_MAX = 300;

export const judge = (isMet: boolean): Verdict => (isMet ? 'met' : 'not met');

export const ms = (value: number): string =>
  value >= 10_000 ? `${(value / 1_000).toFixed(1)} s` : `${Math.round(value).toLocaleString('en')} ms`;
export const mib = (bytes: number): string => `${Math.round(bytes / 1_048_576)} MiB`;

/** With an even number of values the lower one of the middle two, so that it is always one that was measured. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted[Math.floor((sorted.length - 1) / 2)];
  if (middle === undefined) throw new Error('a median needs at least one value');
  return middle;
}

/** `median of 3: 1,200 · 1,240 · 1,310 ms`, or the single value. */
export function runs(values: readonly number[]): string {
  const [only] = values;
  if (values.length === 1 && only !== undefined) return ms(only);
  return `${ms(median(values))} (median of ${values.map((value) => ms(value)).join(' · ')})`;
}

const HEADINGS = ['what', 'limit', 'measured', 'ratio', ''] as const;

const row = (figure: Figure): readonly string[] => [
  figure.what,
  figure.limit,
  figure.measured,
  figure.ratio === null ? '' : figure.ratio.toFixed(figure.ratio < 0.2 ? 3 : 2),
  figure.verdict,
];

export function asText(figures: readonly Figure[]): string {
  const rows = [HEADINGS, ...figures.map(row)];
  const widths = HEADINGS.map((_heading, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  const lines = rows.map((cells) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  lines.splice(1, 0, widths.map((width) => '-'.repeat(width)).join('  '));
  return lines.join('\n');
}

/** The whole of docs/benchmarks.md. */
export function asMarkdown(figures: readonly Figure[], machine: string): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replace(/\|/g, '\\|')).join(' | ')} |`;
  const table = [line(HEADINGS), line(HEADINGS.map(() => '---')), ...figures.map((figure) => line(row(figure)))];
  const notes = figures.map((figure) => `- **${figure.what}.** ${figure.how}`);
  return `${PREFACE}\n${machine}\n\n${table.join('\n')}\n\n## How each was measured\n\n${notes.join('\n')}\n`;
}

const PREFACE = `# Benchmarks

Written by \`npm run bench -- --out docs/benchmarks.md\`: real Quiver 1.1.0 shards, a Temporal dev server with a database file and the
built coordinator, all on one machine and in one run, so that every ratio compares like with like. Shards, Temporal,
coordinator and load generator share its cores; absolute times say little about another machine, the ratios more. A
figure without a limit is there for information. With several runs the median counts.

`;
