/** `autoscale` and `standbys`: the policy that grows and shrinks the cluster, and the shards that it may take. */
import type { Command } from 'commander';
import { autoscaleViewSchema, evaluateAnswerSchema, policyBodySchema, type AutoscaleView } from '../../wire/autoscale';
import { addresses, httpUrl, settingsOf, type Address } from '../arguments';
import type { Context, Runner } from '../context';
import { EXIT, type ExitCode } from '../exit';
import { age, count, duration } from '../output/format';
import { list, table, type Cell, type Style } from '../output/table';
import type { Call } from '../rest/client';

const FIELDS = Object.keys(policyBodySchema.shape);
const PATH = '/cluster/autoscale';
const STANDBYS = '/cluster/standbys';
const EVALUATIONS_SHOWN = 5;

export function addAutoscaleCommands(program: Command, runner: Runner): void {
  const autoscale = program.command('autoscale').description('the autoscale policy and what it decides');
  autoscale
    .command('show', { isDefault: true })
    .description('policy, standbys, forecast and the last decisions (without a verb, the same)')
    .action((_options: unknown, command: Command) =>
      runner.run(command, (context) => ask(context, { path: PATH }, policyText)),
    );
  autoscale
    .command('set')
    .description('change some fields of the policy; the others stay')
    .argument('<field=value...>', FIELDS.join(', '))
    .action((words: string[], _options: unknown, command: Command) =>
      runner.run(command, (context) => set(context, settingsOf(words, FIELDS))),
    );
  autoscale
    .command('evaluate')
    .description('decide now, and act on it')
    .option('--dry-run', 'only decide')
    .option('-y, --yes', 'do not ask')
    .action((options: { dryRun?: true; yes?: true }, command: Command) =>
      runner.run(command, async (context) => {
        const isDry = options.dryRun === true;
        if (!isDry) await context.confirm('Decide now, and grow or drain if the policy says so?', options.yes);
        return evaluate(context, isDry);
      }),
    );
  addStandbyCommands(program, runner);
}

function addStandbyCommands(program: Command, runner: Runner): void {
  const standbys = program.command('standbys').description('empty shards that the policy may grow the cluster by');
  standbys
    .command('list', { isDefault: true })
    .description('the standbys, the next one first (without a verb, the same)')
    .action((_options: unknown, command: Command) =>
      runner.run(command, (context) => ask(context, { path: PATH }, standbysText, standbysOf)),
    );
  standbys
    .command('add')
    .description('add a standby')
    .argument('<url>', 'its address, as URL or URL,REPLICA,…', (text: string) => addresses(text))
    .action(([address]: readonly Address[], _options: unknown, command: Command) =>
      runner.run(command, (context) =>
        ask(context, { method: 'POST', path: STANDBYS, body: address }, standbysText, standbysOf),
      ),
    );
  standbys
    .command('remove')
    .description('take a standby off the list; nothing on it changes')
    .argument('<url>', 'its primary address', httpUrl)
    .option('--yes', 'do not ask')
    .action((url: string, { yes }: { yes?: true }, command: Command) =>
      runner.run(command, async (context) => {
        await context.confirm(`Remove the standby ${url}?`, yes);
        const path = `${STANDBYS}?primary_url=${encodeURIComponent(url)}`;
        return ask(context, { method: 'DELETE', path }, standbysText, standbysOf);
      }),
    );
}

const standbysOf = (raw: unknown): unknown => ({ standbys: (raw as { standbys: unknown }).standbys });

async function ask(
  context: Context,
  call: Call,
  text: (view: AutoscaleView, nowMs: number, style: Style) => string,
  part: (raw: unknown) => unknown = (raw) => raw,
): Promise<ExitCode> {
  const { value, raw } = await context.client.call(autoscaleViewSchema, call);
  context.print(part(raw), (style) => text(value, context.io.nowMs(), style));
  return EXIT.done;
}

/** REST replaces the whole policy, so the rest of it is read first. */
async function set(context: Context, changes: Record<string, unknown>): Promise<ExitCode> {
  const { value } = await context.client.call(autoscaleViewSchema, { path: PATH });
  const body = { ...value.policy, ...changes };
  return ask(context, { method: 'PUT', path: PATH, body }, policyText);
}

async function evaluate(context: Context, isDry: boolean): Promise<ExitCode> {
  const path = `${PATH}/evaluate`;
  const { value, raw } = await context.client.call(evaluateAnswerSchema, {
    method: 'POST',
    path,
    body: { dry_run: isDry },
  });
  context.print(raw, (style) =>
    list(
      [
        ['decided', isDry ? `${value.reason} (dry run)` : value.reason],
        ['why', value.message],
        ['fullest shard', `${count(value.points_max)} rows`],
        ['operation', value.operation_id],
        ['refused as', value.refusal],
      ],
      style,
    ),
  );
  return EXIT.done;
}

function policyText(view: AutoscaleView, nowMs: number, style: Style): string {
  const { policy, forecast, evaluations, notices } = view;
  const days = forecast?.days_until_mark ?? null;
  const head: [string, Cell][] = [
    ...Object.entries(policy).map(([field, value]): [string, Cell] => [field, String(value)]),
    ['next evaluation', view.next_evaluation_at],
    ['cooldown left', duration(view.cooldown_left_secs)],
    ['growth', forecast === null ? null : `${count(forecast.points_per_day)} rows a day in the fullest shard`],
    ['mark reached', days === null ? null : `in ${days} days`],
    ...notices.map(({ code, message }): [string, Cell] => ['notice', `${code}: ${message}`]),
  ];
  const rows = evaluations
    .slice(0, EVALUATIONS_SHOWN)
    .map((each): Cell[] => [age(each.at, nowMs), each.reason, count(each.points_max), each.message]);
  return [
    list(head, style),
    `\n${standbysText(view, nowMs, style)}`,
    rows.length === 0 ? '' : `\n${table(['AGO', 'DECISION', 'FULLEST', 'WHY'], rows, style)}`,
  ].join('');
}

function standbysText({ standbys }: AutoscaleView, nowMs: number, style: Style): string {
  if (standbys.length === 0) return 'no standbys\n';
  const rows = standbys.map(({ primary_url, replica_urls, added_at, unusable }): Cell[] => [
    primary_url,
    replica_urls.join(' '),
    age(added_at, nowMs),
    unusable === null ? 'usable' : `unusable: ${unusable.reason}`,
  ]);
  return table(['STANDBY', 'REPLICAS', 'AGE', 'STATE'], rows, style);
}
