/** `restore` and `identities`: a cluster that was lost, and whose the shards are. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { restoreAnswerSchema, restoreBodySchema } from '../../wire/restore';
import { identitiesSchema } from '../../wire/shards';
import { describeIssues } from '../../wire/problem';
import type { Context, Runner } from '../context';
import { EXIT, usageError, type ExitCode } from '../exit';
import { mapText } from './cluster';

interface RestoreOptions {
  readonly lastKnown?: true;
  readonly state?: string;
  readonly yes?: true;
}

export function addRecoveryCommands(program: Command, runner: Runner): void {
  program
    .command('restore')
    .description('begin a lost cluster again, above every version that routers know')
    .option('--last-known', 'from the newest state that anybody knows')
    .option('--state <file>', 'from a JSON file {"next_id":…,"map":{…}}')
    .option('--yes', 'do not ask')
    .action((options: RestoreOptions, command: Command) => runner.run(command, (context) => restore(context, options)));
  const identities = program.command('identities').description('the marks that say whose the shards are');
  identities
    .command('remove')
    .description('take the marks off all shards; operations are refused from then on')
    .option('--yes', 'do not ask')
    .action(({ yes }: { yes?: true }, command: Command) =>
      runner.run(command, async (context) => {
        await context.confirm(
          'Take the marks off all shards? Operations are refused until they are adopted again.',
          yes,
        );
        return changeIdentities(context, 'DELETE');
      }),
    );
  identities
    .command('adopt')
    .description('let operations adopt the shards again')
    .action((_options: unknown, command: Command) =>
      runner.run(command, (context) => changeIdentities(context, 'POST')),
    );
}

async function restore(context: Context, { lastKnown, state, yes }: RestoreOptions): Promise<ExitCode> {
  if ((lastKnown === true) === (state !== undefined)) {
    throw usageError('restore: expected either --last-known or --state FILE, got both or none');
  }
  const body = state === undefined ? { last_known: true } : { state: readState(state) };
  const parsed = restoreBodySchema.safeParse(body);
  if (!parsed.success) throw usageError(`${state ?? 'the body'}: ${describeIssues(parsed.error)}`);
  await context.confirm('Begin the cluster again from this state?', yes);
  const { value, raw } = await context.client.call(restoreAnswerSchema, {
    method: 'POST',
    path: '/cluster/restore',
    body,
  });
  context.print(
    raw,
    (style) => `restored from ${value.source}, next id ${value.next_id}\n${mapText(value.map, style)}`,
  );
  if (value.note !== '') context.tell(value.note);
  return EXIT.done;
}

function readState(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw usageError(`--state: expected a readable file, got ${path} (${(error as NodeJS.ErrnoException).code ?? ''})`);
  }
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw usageError(`--state: expected JSON {"next_id":…,"map":{…}}, got something else in ${path}`);
  }
}

/** @returns failed when a shard may still bear its mark */
async function changeIdentities(context: Context, method: 'DELETE' | 'POST'): Promise<ExitCode> {
  const { value, raw } = await context.client.call(identitiesSchema, { method, path: '/cluster/identities' });
  context.print(raw, () => (value.removed ? 'the marks are off\n' : 'operations adopt the shards again\n'));
  for (const { id, reason } of value.left) context.io.stderr.write(`shard ${id} may still bear its mark: ${reason}\n`);
  return value.left.length === 0 ? EXIT.done : EXIT.failed;
}
