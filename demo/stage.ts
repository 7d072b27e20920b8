/** What every demo stands on: steps that are shown while they run, and the end of all that was started, however it goes. */
import type { DemoOptions } from './options';
import { seconds, STEP_COLUMNS, TIME_COLUMNS, type Terminal } from './terminal';

export class Stage {
  readonly terminal: Terminal;
  readonly options: DemoOptions;
  private readonly cleanups: (() => Promise<unknown>)[] = [];
  private cleaning: Promise<void> | null = null;

  constructor(terminal: Terminal, options: DemoOptions) {
    this.terminal = terminal;
    this.options = options;
  }

  title(text: string): void {
    this.lines(['', `  ${this.terminal.paint('bold', text)}`, '']);
  }

  note(line: string): void {
    this.terminal.print(`    ${this.terminal.paint('dim', line)}`);
  }

  lines(lines: readonly string[]): void {
    for (const line of lines) this.terminal.print(line);
  }

  /** A step that is shown while it runs, with what `below` draws, and stays as one line with the time it took. */
  async step<T>(
    name: string,
    work: (say: (what: string) => void) => Promise<{ result: T; note: string }>,
    below: () => readonly string[] = () => [],
  ): Promise<T> {
    const { terminal } = this;
    const startedAtMs = performance.now();
    const line = (mark: string, text: string): string => {
      const time = seconds(performance.now() - startedAtMs).padStart(TIME_COLUMNS);
      return `  ${mark} ${name.padEnd(STEP_COLUMNS)}${time}   ${terminal.paint('dim', text)}`;
    };
    let saying = '';
    terminal.show(() => [line(terminal.spinner(), saying), ...below()]);
    const { result, note } = await work((what) => (saying = what));
    terminal.hide();
    terminal.print(line(terminal.paint('green', '✔'), note));
    return result;
  }

  /** To be ended with the demo. */
  owns(end: () => Promise<unknown>): void {
    this.cleanups.push(end);
  }

  /** Ends what was started, newest first. Safe to call at any moment, and twice. */
  cleanUp(): Promise<void> {
    this.cleaning ??= this.cleanUpOnce();
    return this.cleaning;
  }

  private async cleanUpOnce(): Promise<void> {
    this.terminal.hide();
    for (;;) {
      const end = this.cleanups.pop();
      if (end === undefined) return;
      // One part that does not end properly must not keep the others from ending.
      await end().catch((error: unknown) => this.terminal.print(`  could not end a part: ${String(error)}`));
    }
  }
}
