/** The page of the command line, held against the commands themselves, both ways. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { createProgram } from '../../src/cli/program';
import { EXIT } from '../../src/cli/exit';
import { CLIENT_SETTINGS } from '../../src/config/client-settings';

const PAGE = readFileSync(join(__dirname, '../../docs/reference/cli.md'), 'utf8');
const silent = { write: () => true };
const PROGRAM = createProgram({ run: () => Promise.resolve() }, { stdout: silent, stderr: silent, version: '0' });

/** `op show [id]` and its long options, of each command that does something. */
function commandsOf(command: Command, path: readonly string[] = []): [string, string[]][] {
  return command.commands.flatMap((each) => {
    const words = [...path, each.name()];
    if (each.commands.length > 0) return commandsOf(each, words);
    const args = each.registeredArguments.map((argument) => {
      const text = `${argument.name()}${argument.variadic ? '...' : ''}`;
      return argument.required ? `<${text}>` : `[${text}]`;
    });
    const options = each.options.flatMap(({ long }) => long ?? []);
    return [[[...words, ...args].join(' '), options.sort()]] satisfies [string, string[]][];
  });
}

/** The rows of a table whose first heading is `heading`: the cells of each. */
function rowsOf(heading: string): string[][] {
  const tables = PAGE.split('\n\n').filter((block) => new RegExp(`^\\| ${heading} +\\|`).test(block));
  return tables.flatMap((block) =>
    block
      .split('\n')
      .slice(2)
      .filter((line) => line.startsWith('|'))
      .map((line) =>
        line
          .split('|')
          .slice(1, -1)
          .map((cell) => cell.trim()),
      ),
  );
}

const codeIn = (cell = ''): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);

describe('the page of the command line', () => {
  it('has a row for every command with its arguments and options, and for no other', () => {
    const told = rowsOf('command').map(([command, options]) => [codeIn(command).join(), codeIn(options).sort()]);
    const byName = (a: unknown, b: unknown): number => String(a).localeCompare(String(b));
    expect(told.sort(byName)).toEqual(commandsOf(PROGRAM).sort(byName));
  });

  it('has a row for every option of all commands', () => {
    const told = rowsOf('option').map(([option]) => codeIn(option).join());
    const own = [...PROGRAM.options.map(({ flags }) => flags), '-h, --help'];
    expect(told.sort()).toEqual(own.sort());
  });

  it('has the exit codes and the environment', () => {
    expect(rowsOf('code').map(([code]) => Number(code))).toEqual(Object.values(EXIT));
    const told = Object.fromEntries(rowsOf('variable').map(([name, meaning]) => [codeIn(name).join(), meaning]));
    const meanings = Object.entries(CLIENT_SETTINGS).map(([name, { meaning }]) => [name, meaning]);
    expect(told).toMatchObject(Object.fromEntries(meanings));
  });

  it('names every command that asks', () => {
    const asking = /These ask before they change anything: ([^]*?)\./.exec(PAGE)?.[1] ?? '';
    const told = codeIn(asking).map((each) => each.replace(' --allow-nonempty', ''));
    const own = commandsOf(PROGRAM).filter(([, options]) => options.includes('--yes'));
    expect(told.sort()).toEqual(own.map(([usage]) => usage.replace(/ [<[].*$/, '')).sort());
  });
});
