/** `routers`: who routes requests by the map, and which version each one holds. */
import type { Command } from 'commander';
import type { Context, Runner } from '../context';
import { EXIT, type ExitCode } from '../exit';
import { age, count, plain } from '../output/format';
import { table, type Cell, type Style } from '../output/table';
import type { Call } from '../rest/client';
import { routersSchema, type Routers } from '../rest/shapes';

const ENTRY = 'http://host:port, dns+http://name:port or dnssrv+http://name';
const PATH = '/cluster/routers';

export function addRouterCommands(program: Command, runner: Runner): void {
  const routers = program.command('routers').description('routers: which version each holds, and who else polls');
  routers
    .command('list', { isDefault: true })
    .description('every router and poller (without a verb, the same)')
    .action((_options: unknown, command: Command) => runner.run(command, (context) => ask(context, { path: PATH })));
  routers
    .command('add')
    .description('have operations wait for these routers too')
    .argument('<entry...>', ENTRY)
    .action((entries: string[], _options: unknown, command: Command) =>
      runner.run(command, (context) => ask(context, { method: 'PATCH', path: PATH, body: { add: entries } })),
    );
  routers
    .command('remove')
    .description('have no operation wait for these routers')
    .argument('<entry...>', ENTRY)
    .option('--yes', 'do not ask')
    .action((entries: string[], { yes }: { yes?: true }, command: Command) =>
      runner.run(command, async (context) => {
        await context.confirm(
          `Remove ${entries.join(', ')}? A router that still runs and holds an old map would write to the wrong shards.`,
          yes,
        );
        return ask(context, { method: 'PATCH', path: PATH, body: { remove: entries } });
      }),
    );
  routers
    .command('set')
    .description('replace the whole list of routers')
    .argument('<entry...>', ENTRY)
    .option('--yes', 'do not ask')
    .action((entries: string[], { yes }: { yes?: true }, command: Command) =>
      runner.run(command, async (context) => {
        await context.confirm(`Replace the whole list of routers by ${entries.join(', ')}?`, yes);
        return ask(context, { method: 'PUT', path: PATH, body: { entries } });
      }),
    );
}

async function ask(context: Context, call: Call): Promise<ExitCode> {
  const { value, raw } = await context.client.call(routersSchema, call);
  context.print(raw, (style) => routersText(value, context.io.nowMs(), style));
  if (value.risk != null) context.io.stderr.write(`${plain(value.risk)}\n`);
  return EXIT.done;
}

function routersText({ entries, routers, pollers }: Routers, nowMs: number, style: Style): string {
  const known = routers.map((each): Cell[] => [each.url, each.entry, each.version, count(each.lag), each.error]);
  const seen = pollers.map((each): Cell[] => [
    each.address,
    each.key_id,
    age(each.last_poll, nowMs),
    each.version,
    each.explained_by ?? 'NOBODY: add its router',
  ]);
  return [
    `entries: ${entries.length === 0 ? 'none' : entries.join(' ')}\n`,
    known.length === 0 ? '' : `\n${table(['ROUTER', 'ENTRY', 'VERSION', 'LAG', 'ERROR'], known, style)}`,
    seen.length === 0 ? '' : `\n${table(['POLLER', 'KEY', 'LAST POLL', 'VERSION', 'EXPLAINED BY'], seen, style)}`,
  ].join('');
}
