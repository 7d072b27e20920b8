/** `op`: the operations, running and ended. */
import { InvalidArgumentError, type Command } from 'commander';
import { operationId, seconds, settingsOf, wholeNumber } from '../arguments';
import type { Context, Runner } from '../context';
import { CliError, EXIT, usageError, type ExitCode } from '../exit';
import { follow, howToGoOn, operationPath } from '../follow';
import { operationText, operationsTable } from '../output/operation-text';
import { operationSchema, operationsSchema, throttleSchema } from '../rest/shapes';
import { dryRun, type StartOptions } from '../start';

const ID = 'the operation, as op list shows it';
const ID_OR_RUNNING = 'the operation; without one, the running one';
const REASON_CHARACTERS_MAX = 200;

export function addOperationCommands(program: Command, runner: Runner): void {
  const op = program.command('op').description('operations: list, watch and steer them');
  op.command('list')
    .description('running and ended operations, newest first')
    .option('--limit <n>', 'at most so many', wholeNumber, 20)
    .action((options: { limit: number }, command: Command) =>
      runner.run(command, (context) => listOperations(context, options.limit)),
    );
  op.command('show')
    .description('everything about an operation')
    .argument('[id]', ID_OR_RUNNING, operationId)
    .action((id: string | undefined, _options: unknown, command: Command) =>
      runner.run(command, (context) => show(context, id)),
    );
  op.command('watch')
    .description('watch an operation to its end; Ctrl-C ends only the watching')
    .argument('[id]', ID_OR_RUNNING, operationId)
    .option('--timeout <seconds>', 'end the watching after this time, with exit code 5', seconds)
    .action((id: string | undefined, { timeout }: { timeout?: number }, command: Command) =>
      runner.run(command, async (context) => {
        const named = id ?? (await runningOperation(context));
        return follow(context, named, { timeoutS: timeout, goodEnds: ['succeeded'] });
      }),
    );
  op.command('cancel')
    .description('undo an operation that has not passed its flip')
    .argument('<id>', ID, operationId)
    .option('--wait', 'watch the undo to its end')
    .option('--timeout <seconds>', 'with --wait: end the watching after this time, with exit code 5', seconds)
    .option('--dry-run', 'show what would happen, and change nothing')
    .option('--yes', 'do not ask')
    .action((id: string, options: StartOptions, command: Command) =>
      runner.run(command, (context) => cancel(context, id, options)),
    );
  addSteeringCommands(op, runner);
}

function addSteeringCommands(op: Command, runner: Runner): void {
  op.command('pause')
    .description('stop an operation before its next safe point')
    .argument('<id>', ID, operationId)
    .requiredOption('--reason <text>', 'why, for those who look at it', pauseReason)
    .option('--until <time>', 'when it goes on by itself: RFC 3339, or a span like 90s, 30m, 2h', (text) => text)
    .action((id: string, options: { reason: string; until?: string }, command: Command) =>
      runner.run(command, (context) => {
        const until = options.until === undefined ? {} : { until: timeOf(options.until, context.io.nowMs()) };
        return steer(context, { id, verb: 'pause', body: { reason: options.reason, ...until } });
      }),
    );
  op.command('resume')
    .description('let a paused operation go on')
    .argument('<id>', ID, operationId)
    .action((id: string, _options: unknown, command: Command) =>
      runner.run(command, (context) => steer(context, { id, verb: 'resume' })),
    );
  op.command('throttle')
    .description('limit an operation that runs')
    .argument('<id>', ID, operationId)
    .argument('<field=value...>', `${Object.keys(throttleSchema.shape).join(', ')}; none takes a limit off`)
    .action((id: string, words: string[], _options: unknown, command: Command) =>
      runner.run(command, (context) =>
        steer(context, { id, verb: null, body: settingsOf(words, Object.keys(throttleSchema.shape)) }),
      ),
    );
}

async function listOperations(context: Context, limit: number): Promise<ExitCode> {
  const { value, raw } = await context.client.call(operationsSchema, { path: '/cluster/operations' });
  const { operations } = raw as { operations: unknown[] };
  context.print({ operations: operations.slice(0, limit) }, (style) =>
    operationsTable(value.operations.slice(0, limit), context.io.nowMs(), style),
  );
  return EXIT.done;
}

async function show(context: Context, id: string | undefined): Promise<ExitCode> {
  const path = operationPath(id ?? (await runningOperation(context)));
  const { value, raw } = await context.client.call(operationSchema, { path });
  context.print(raw, (style) => operationText(value, context.io.nowMs(), style));
  return EXIT.done;
}

/** @throws CliError when none runs */
async function runningOperation({ client }: Context): Promise<string> {
  const { value } = await client.call(operationsSchema, { path: '/cluster/operations' });
  const running = value.operations.find(({ status }) => status === 'running');
  if (running !== undefined) return running.id;
  throw new CliError(EXIT.failed, 'no operation runs: name one that quiver-coordinator op list shows');
}

async function cancel(context: Context, id: string, options: StartOptions): Promise<ExitCode> {
  const path = `${operationPath(id)}/cancel`;
  if (options.dryRun === true) return dryRun(context, { path, body: {} });
  await context.confirm(`Cancel ${id}, and undo what it did?`, options.yes);
  const { value, raw } = await context.client.call(operationSchema, { method: 'POST', path });
  if (options.wait === true) return follow(context, id, { timeoutS: options.timeout, goodEnds: ['cancelled'] });
  context.print(raw, (style) => operationText(value, context.io.nowMs(), style));
  context.tell(`${id} undoes itself. Watch it with: quiver-coordinator op watch ${id}`);
  return EXIT.done;
}

async function steer(
  context: Context,
  { id, verb, body }: { id: string; verb: 'pause' | 'resume' | null; body?: Record<string, unknown> },
): Promise<ExitCode> {
  const path = operationPath(id);
  const call =
    verb === null ? { method: 'PATCH' as const, path } : { method: 'POST' as const, path: `${path}/${verb}` };
  const { value, raw } = await context.client.call(operationSchema, { ...call, body });
  context.print(raw, (style) => operationText(value, context.io.nowMs(), style));
  if (verb !== null) context.tell(`${verb} of ${id} was accepted. ${howToGoOn(id)}`);
  return EXIT.done;
}

function pauseReason(text: string): string {
  if (text.trim() !== '' && text.length <= REASON_CHARACTERS_MAX) return text;
  throw new InvalidArgumentError(`Expected 1 to ${REASON_CHARACTERS_MAX} characters.`);
}

const SECONDS_BY_UNIT: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** RFC 3339. @throws CliError usage */
export function timeOf(text: string, nowMs: number): string {
  const [, amount = '', unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const span = SECONDS_BY_UNIT[unit];
  if (span !== undefined) return new Date(nowMs + Number(amount) * span * 1_000).toISOString();
  const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)$/.test(text);
  if (isTime && !Number.isNaN(Date.parse(text))) return new Date(text).toISOString();
  throw usageError(`--until: expected a time like 2026-01-02T03:04:05Z or a span like 30m, got "${text}"`);
}
