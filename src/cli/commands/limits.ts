/** `limits`: how fast operations may work when they are told nothing else, and at which hours. */
import type { Command } from 'commander';
import { settingsOf } from '../arguments';
import type { Context, Runner } from '../context';
import { EXIT, type ExitCode } from '../exit';
import { throttleText } from '../output/operation-text';
import { list } from '../output/table';
import type { Call } from '../rest/client';
import { limitsSchema } from '../rest/shapes';

const PATH = '/cluster/limits';
const FIELDS = Object.keys(limitsSchema.shape);

export function addLimitsCommands(program: Command, runner: Runner): void {
  const limits = program.command('limits').description('limits of all operations, and their maintenance window');
  limits
    .command('show', { isDefault: true })
    .description('the limits as they are (without a verb, the same)')
    .action((_options: unknown, command: Command) => runner.run(command, (context) => ask(context, { path: PATH })));
  limits
    .command('set')
    .description('change some limits; the others stay')
    .argument('<field=value...>', `${FIELDS.join(', ')}; none takes a limit off; times are UTC, as 22:00`)
    .action((words: string[], _options: unknown, command: Command) =>
      runner.run(command, (context) => set(context, settingsOf(words, FIELDS))),
    );
}

/** REST replaces all of them, so the others are read first. */
async function set(context: Context, changes: Record<string, unknown>): Promise<ExitCode> {
  const { value } = await context.client.call(limitsSchema, { path: PATH });
  return ask(context, { method: 'PUT', path: PATH, body: { ...value, ...changes } });
}

async function ask(context: Context, call: Call): Promise<ExitCode> {
  const { value, raw } = await context.client.call(limitsSchema, call);
  const { active_from, active_to } = value;
  const window = active_from === null || active_to === null ? 'always' : `from ${active_from} to ${active_to} UTC`;
  context.print(raw, (style) =>
    list(
      [
        ['limits', throttleText(value)],
        ['operations work', window],
      ],
      style,
    ),
  );
  return EXIT.done;
}
