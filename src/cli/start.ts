/** Starts an operation, or asks what it would do. */
import { randomUUID } from 'node:crypto';
import type { Context } from './context';
import { CliError, EXIT, type ExitCode } from './exit';
import { detachable, follow, howToGoOn, isDetached, operationPath } from './follow';
import { operationText, planText } from './output/operation-text';
import { ProblemError, UnreachableError, isOlder, type Answer } from './rest/client';
import { limitsSchema, operationSchema, planSchema, type Operation } from './rest/shapes';

export interface StartOptions {
  readonly wait?: true;
  /** Seconds. */
  readonly timeout?: number;
  readonly dryRun?: true;
  readonly idempotencyKey?: string;
  readonly yes?: true;
}

export interface Start {
  readonly kind: 'grow' | 'drain' | 'check' | 'repair';
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  /** Asked before it changes anything; null: it needs no consent. */
  readonly question: string | null;
}

/** The coordinator makes the id of an operation of its kind and this key, so the id is known before any answer comes. */
export async function startOperation(context: Context, start: Start, options: StartOptions): Promise<ExitCode> {
  if (options.dryRun === true) return dryRun(context, start);
  if (start.question !== null) await context.confirm(start.question, options.yes);
  const key = options.idempotencyKey ?? randomUUID();
  const id = `${start.kind}-${key}`;
  const beganMs = context.io.nowMs();
  try {
    await detachable(context, options.timeout, (signal) => post(context, { ...start, key, id }, signal));
  } catch (error) {
    if (!isDetached(error)) throw error;
    context.io.stderr.write(
      `${error.message}: the start of ${id} was asked for and may have happened. Look with: quiver-coordinator op show ${id}\n`,
    );
    return EXIT.running;
  }
  if (options.wait === true) {
    const spentS = (context.io.nowMs() - beganMs) / 1_000;
    const timeoutS = options.timeout === undefined ? undefined : Math.max(0, options.timeout - spentS);
    return follow(context, id, { timeoutS, goodEnds: ['succeeded'] });
  }
  await printStarted(context, id);
  return EXIT.done;
}

async function post(
  { client }: Context,
  { path, body, key, id }: Start & { key: string; id: string },
  signal: AbortSignal,
): Promise<void> {
  const headers = { 'Idempotency-Key': key };
  try {
    await client.send({ method: 'POST', path, body, headers, signal });
  } catch (error) {
    // Without an answer it may have begun all the same. Its page says so.
    if (!hasUnknownOutcome(error) || !(await exists(client, id, signal))) throw error;
  }
}

function hasUnknownOutcome(error: unknown): boolean {
  return error instanceof UnreachableError || (error instanceof ProblemError && error.code === 'OutcomeUnknown');
}

async function exists(client: Context['client'], id: string, signal: AbortSignal): Promise<boolean> {
  const answer = await client.fetch({ path: operationPath(id), signal }).catch(() => null);
  return answer?.response.ok === true;
}

async function printStarted(context: Context, id: string): Promise<void> {
  let shown: Answer<Operation> | null = null;
  try {
    shown = await context.client.call(operationSchema, { path: operationPath(id) });
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    // It has begun: that its page cannot be read right now is no failure.
    context.tell(error.message);
  }
  context.print(shown?.raw ?? { id }, (style) =>
    shown === null ? `${id}\n` : operationText(shown.value, context.io.nowMs(), style),
  );
  context.tell(`${id} runs on. ${howToGoOn(id)}`);
}

/** @returns conflict when the start would be refused */
export async function dryRun(context: Context, { path, body }: Pick<Start, 'path' | 'body'>): Promise<ExitCode> {
  await requireDryRuns(context);
  const { value, raw } = await context.client.call(planSchema, {
    method: 'POST',
    path: `${path}?dry_run=true`,
    body,
  });
  context.print(raw, (style) => planText(value, style));
  return value.would === 'refuse' ? EXIT.conflict : EXIT.done;
}

/**
 * A coordinator without dry runs ignores the query and starts the operation. So one of the routes that came together with them has to be
 * there first.
 */
async function requireDryRuns({ client }: Context): Promise<void> {
  try {
    await client.call(limitsSchema, { path: '/cluster/limits' });
  } catch (error) {
    if (!(error instanceof ProblemError) || !isOlder(error)) throw error;
    throw new CliError(
      EXIT.failed,
      'this coordinator is older than this command: it knows no dry run and would start the operation. Nothing was asked of it',
    );
  }
}
