/** What the benchmarks report, and how it is printed: as lines for a terminal, as Markdown and as JSON. */

export interface Figure {
  /** What is measured. */
  readonly what: string;
  /** In words, with units. */
  readonly measured: string;
  /** In words; empty when the figure only informs. */
  readonly goal: string;
  /** Null: for information. */
  readonly isMet: boolean | null;
  /** How it was measured and what it includes, as one or more sentences. */
  readonly how: string;
  /** What it was computed from, for those who compare runs. */
  readonly values: Readonly<Record<string, number | string | readonly number[]>>;
}

export const ms = (value: number): string =>
  value >= 10_000 ? `${(value / 1_000).toFixed(1)} s` : `${Math.round(value).toLocaleString('en')} ms`;
export const mib = (bytes: number): string => `${Math.round(bytes / 1_048_576)} MiB`;
export const rowsText = (rows: number): string => rows.toLocaleString('en');
export const ratioText = (ratio: number): string => ratio.toFixed(ratio < 0.2 ? 3 : 2);

const verdictOf = ({ isMet }: Figure): string => (isMet === null ? 'for information' : isMet ? 'met' : 'not met');

export const asLine = (figure: Figure): string =>
  `${figure.what}: ${figure.measured}${figure.goal === '' ? '' : `; goal ${figure.goal}`}: ${verdictOf(figure)}`;

const BEGIN = '<!-- bench: begin -->';
const END = '<!-- bench: end -->';

/** The document with its figures replaced, everything else as it was. */
export function replaceFigures(document: string, figures: readonly Figure[], machine: string): string {
  const [before, rest] = document.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new Error(`expected ${BEGIN} and ${END} in the document`);
  const line = (...cells: string[]): string => `| ${cells.map((cell) => cell.replace(/\|/g, '\\|')).join(' | ')} |`;
  const table = [
    line('what', 'measured', 'goal', ''),
    line('---', '---', '---', '---'),
    ...figures.map((figure) => line(figure.what, figure.measured, figure.goal, verdictOf(figure))),
  ];
  const notes = figures.map(({ what, how }) => `- **${what}.** ${how}`);
  const body = `${machine}\n\n${table.join('\n')}\n\n## How each was measured\n\n${notes.join('\n')}`;
  return `${before}${BEGIN}\n\n${body}\n\n${END}${after}`;
}
