/** What a demo shows: lines that stay, and below them a few that are drawn anew. Plain lines and no colours where no person looks on. */

/** Of the name of a step, and of the time that it takes. */
export const STEP_COLUMNS = 21;
export const TIME_COLUMNS = 7;

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const FRAME_MS = 80;
const BAR_CELLS = 24;
const MOVING_CELLS = 4;
const COLUMNS_DEFAULT = 100;
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';
const CLEAR_REST_OF_LINE = '\u001b[K';
const CLEAR_BELOW = '\u001b[J';

const STYLES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;
export type Style = keyof typeof STYLES;

export class Terminal {
  readonly isLive: boolean;
  private readonly hasColours: boolean;
  private readonly out: NodeJS.WriteStream;
  private drawnLines = 0;
  private draw: (() => readonly string[]) | null = null;
  private timer: NodeJS.Timeout | null = null;

  constructor(out: NodeJS.WriteStream) {
    this.out = out;
    this.isLive = out.isTTY && process.env['TERM'] !== 'dumb';
    this.hasColours = this.isLive && (process.env['NO_COLOR'] ?? '') === '';
  }

  paint(style: Style, text: string): string {
    return this.hasColours ? `\u001b[${STYLES[style]}m${text}\u001b[0m` : text;
  }

  /** A line that stays. */
  print(line = ''): void {
    this.write(this.eraseLive() + line + '\n' + this.live());
  }

  /** From now on `draw` says what stands below the lines that stay. Nothing happens where no person looks on. */
  show(draw: () => readonly string[]): void {
    this.draw = draw;
    if (!this.isLive || this.timer !== null) return;
    this.write(HIDE_CURSOR);
    this.timer = setInterval(() => this.refresh(), FRAME_MS);
    this.refresh();
  }

  hide(): void {
    this.draw = null;
    if (this.timer === null) return;
    clearInterval(this.timer);
    this.timer = null;
    this.write(this.eraseLive() + SHOW_CURSOR);
  }

  spinner(): string {
    return this.paint('cyan', FRAMES[Math.floor(Date.now() / FRAME_MS) % FRAMES.length] ?? '');
  }

  /** Drawn over what stood there, in one write and without clearing first: nothing flickers. */
  private refresh(): void {
    this.write(this.eraseLive() + this.live());
  }

  private live(): string {
    if (!this.isLive || this.draw === null) return '';
    const lines = this.draw().map((line) => cut(line, (this.out.columns || COLUMNS_DEFAULT) - 1));
    this.drawnLines = lines.length;
    return lines.map((line) => `${line}${CLEAR_REST_OF_LINE}\n`).join('') + CLEAR_BELOW;
  }

  /** Back to the first live line. The lines themselves are overwritten by what follows. */
  private eraseLive(): string {
    if (this.drawnLines === 0) return '';
    const up = `\u001b[${this.drawnLines}A\r`;
    this.drawnLines = 0;
    return this.timer === null || this.draw === null ? up + CLEAR_BELOW : up + CLEAR_REST_OF_LINE;
  }

  private write(text: string): void {
    if (text !== '') this.out.write(text);
  }
}

/** A bar with eighths of a cell, so that it moves smoothly. */
export function bar(fraction: number): string {
  const eighths = Math.round(Math.min(Math.max(fraction, 0), 1) * BAR_CELLS * 8);
  const filled = '█'.repeat(Math.floor(eighths / 8)) + (EIGHTHS[eighths % 8] ?? '');
  return filled + '░'.repeat(BAR_CELLS - filled.length);
}

/** For work of which nobody knows how much there is. */
export function movingBar(nowMs: number): string {
  const turns = BAR_CELLS - MOVING_CELLS;
  const step = Math.floor(nowMs / FRAME_MS) % (2 * turns);
  const at = step < turns ? step : 2 * turns - step;
  return '░'.repeat(at) + '█'.repeat(MOVING_CELLS) + '░'.repeat(turns - at);
}

/** Cuts at a number of visible characters; colours take no room. */
export function cut(line: string, columns: number): string {
  let visible = 0;
  let result = '';
  for (const [part] of line.matchAll(ESCAPE_OR_CHARACTER)) {
    if (!part.startsWith('\u001b')) visible += 1;
    if (visible <= columns || part.startsWith('\u001b')) result += part;
  }
  return result;
}

const ESCAPE_OR_CHARACTER = /\u001b\[[0-9;]*m|./gu;

export interface Column {
  readonly title: string;
  readonly align: 'left' | 'right';
}

/** A table with a rule under its head and above its last row, as lines. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const widths = columns.map(({ title }, at) => Math.max(title.length, ...rows.map((row) => (row[at] ?? '').length)));
  const line = (cells: readonly string[]): string =>
    columns
      .map(({ align }, at) => {
        const cell = cells[at] ?? '';
        return align === 'left' ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0);
      })
      .join('   ');
  const rule = widths.map((width) => '─'.repeat(width)).join('───');
  return [line(columns.map(({ title }) => title)), rule, ...rows.slice(0, -1).map(line), rule, line(rows.at(-1) ?? [])];
}

/** 12345 -> "12,345" */
export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
