/** `grow` and `drain`: what changes who owns which points. */
import type { Command } from 'commander';
import { addresses, scanBody, shardId, withStartOptions, type Address, type ScanOptions } from '../arguments';
import type { Context, Runner } from '../context';
import type { ExitCode } from '../exit';
import { startOperation, type StartOptions } from '../start';

type MoveOptions = StartOptions & ScanOptions;
type GrowOptions = MoveOptions & { readonly allowNonempty?: true };

export function addMoveCommands(program: Command, runner: Runner): void {
  withStartOptions(
    program
      .command('grow')
      .description('add shards, and move to them the points that they own from then on')
      .argument('<url...>', 'addresses of the new shards, each as URL or URL,REPLICA,…', addresses)
      .option('--allow-nonempty', 'take shards that hold points already, and overwrite those')
      .option('--yes', 'with --allow-nonempty: do not ask'),
  ).action((shards: readonly Address[], options: GrowOptions, command: Command) =>
    runner.run(command, (context) => grow(context, shards, options)),
  );
  withStartOptions(
    program
      .command('drain')
      .description('move all points off a shard, and remove it from the map')
      .argument('<id>', 'the shard that leaves', shardId)
      .option('--yes', 'do not ask'),
  ).action((id: number, options: MoveOptions, command: Command) =>
    runner.run(command, (context) => drain(context, id, options)),
  );
}

function grow(context: Context, shards: readonly Address[], options: GrowOptions): Promise<ExitCode> {
  const isNonemptyAllowed = options.allowNonempty === true;
  const [only] = shards;
  const named = shards.length === 1 ? only : { shards };
  const body = { ...named, ...(isNonemptyAllowed ? { allow_nonempty: true } : {}), ...scanBody(options) };
  const urls = shards.map(({ primary_url }) => primary_url).join(', ');
  const question = isNonemptyAllowed ? `Grow by ${urls}, and overwrite or delete points that are there?` : null;
  return startOperation(context, { kind: 'grow', path: '/cluster/shards/grow', body, question }, options);
}

function drain(context: Context, id: number, options: MoveOptions): Promise<ExitCode> {
  const question = `Move all points off shard ${id}, and remove it from the map?`;
  const start = { kind: 'drain', path: `/cluster/shards/${id}/drain`, body: scanBody(options), question } as const;
  return startOperation(context, start, options);
}
