/** `check` and `repair`: points that do not lie where the map has them. */
import type { Command } from 'commander';
import { addresses, collect, scanBody, withStartOptions, type Address, type ScanOptions } from '../arguments';
import type { Context, Runner } from '../context';
import type { ExitCode } from '../exit';
import { startOperation, type StartOptions } from '../start';

interface RepairOptions extends StartOptions, ScanOptions {
  readonly collection?: readonly string[];
  readonly leftover?: readonly Address[];
  readonly prefer?: readonly string[];
}

export function addRepairCommands(program: Command, runner: Runner): void {
  withStartOptions(
    withTargets(program.command('check').description('look for points on a shard that does not own them')),
  ).action((options: RepairOptions, command: Command) =>
    runner.run(command, (context) => start(context, 'check', options)),
  );
  withStartOptions(
    withTargets(program.command('repair').description('move points to the shards that own them'))
      .option('--prefer <holder>', 'shard id or URL whose value counts where several differ (repeatable)', collect)
      .option('--yes', 'do not ask'),
  ).action((options: RepairOptions, command: Command) =>
    runner.run(command, (context) => start(context, 'repair', options)),
  );
}

function withTargets(command: Command): Command {
  return command
    .option('--collection <name>', 'only this collection (repeatable)', collect)
    .option('--leftover <url>', 'read this shard too, which is no longer in the map (repeatable)', addresses);
}

function start(context: Context, kind: 'check' | 'repair', options: RepairOptions): Promise<ExitCode> {
  const { collection, leftover, prefer } = options;
  const body = {
    ...(collection === undefined ? {} : { collections: collection }),
    ...(leftover === undefined ? {} : { leftovers: leftover }),
    ...(prefer === undefined ? {} : { prefer }),
    ...scanBody(options),
  };
  const question = kind === 'repair' ? 'Move points to their owners, and delete other copies?' : null;
  return startOperation(context, { kind, path: `/cluster/${kind}`, body, question }, options);
}
