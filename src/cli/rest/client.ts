/** REST as the commands speak it. Every failure is a CliError that knows its exit code. */
import type { z } from 'zod';
import { PROBLEM_MEDIA_TYPE, describeIssues, problemSchema, type Problem } from '../../wire/problem';
import { CliError, EXIT, type ExitCode } from '../exit';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface Call {
  readonly method?: Method;
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

export interface Answer<T> {
  readonly value: T;
  /** As it came, with the fields that this version does not know. */
  readonly raw: unknown;
  readonly status: number;
  readonly headers: Headers;
}

/** A start is answered when preflight is done and the map shows its change. */
const TIMEOUT_MS = 90_000;

/** So that a coordinator can tell a person who reads the map from a router that polls it. */
export const USER_AGENT = 'quiver-coordinator-cli';

/** What the coordinator answered instead of what was asked for. */
export class ProblemError extends CliError {
  readonly code: string;
  readonly status: number;

  constructor({ code, status, detail }: Problem, { method, path }: { method: Method; path: string }) {
    super(exitOf(code, status), worded({ code, status, detail }, `${method} ${path}`));
    this.name = 'ProblemError';
    this.code = code;
    this.status = status;
  }
}

/** No answer, or none of a coordinator. The call may have had its effect. */
export class UnreachableError extends CliError {
  constructor(message: string, options?: ErrorOptions) {
    super(EXIT.unreachable, message, options);
    this.name = 'UnreachableError';
  }
}

export class RestClient {
  readonly url: string;
  readonly #key: string | null;
  readonly #endsAtMs: number;

  /** `endsAtMs`: then every call ends, whatever it has; ms since the epoch. */
  constructor({
    url,
    key,
    endsAtMs,
  }: {
    readonly url: string;
    readonly key: string | null;
    readonly endsAtMs?: number;
  }) {
    this.url = url;
    this.#key = key;
    this.#endsAtMs = endsAtMs ?? Number.POSITIVE_INFINITY;
  }

  /** @throws ProblemError, UnreachableError, CliError; the reason of `signal` when that is aborted */
  async call<Schema extends z.ZodType>(schema: Schema, call: Call): Promise<Answer<z.output<Schema>>> {
    return this.read(schema, await this.fetch(call), call);
  }

  /** For an answer that is not looked at. @throws as `call` */
  async send(call: Call): Promise<void> {
    const { response, text } = await this.fetch(call);
    if (!response.ok) throw this.problem({ text, status: response.status, headers: response.headers }, call);
  }

  /** What an answer says. @throws as `call` */
  read<Schema extends z.ZodType>(
    schema: Schema,
    { response, text }: { readonly response: Response; readonly text: string },
    call: Call,
  ): Answer<z.output<Schema>> {
    const { status, headers } = response;
    if (!response.ok) throw this.problem({ text, status, headers }, call);
    const raw = this.#json(text, call);
    const parsed = schema.safeParse(raw);
    if (parsed.success) return { value: parsed.data, raw, status, headers };
    throw new CliError(
      EXIT.failed,
      `${nameOf(call)}: expected an answer of the shape that this command knows, got another one (${describeIssues(parsed.error)}): use the command of the coordinator's own version`,
    );
  }

  /** Any answer, also a refusal. */
  async fetch({ method = 'GET', path, body, headers, signal }: Call): Promise<{ response: Response; text: string }> {
    const timeoutMs = Math.max(0, Math.min(TIMEOUT_MS, this.#endsAtMs - Date.now()));
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      const response = await fetch(`${this.url}${path}`, {
        method,
        // The key goes to the coordinator and to nobody else.
        redirect: 'manual',
        signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
        headers: {
          'User-Agent': USER_AGENT,
          // It may read the map again and again, and is no router.
          'X-Coordinator-Page': '1',
          Accept: `application/json, ${PROBLEM_MEDIA_TYPE}, text/plain`,
          ...(this.#key === null ? {} : { Authorization: `Bearer ${this.#key}` }),
          ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { response, text: await response.text() };
    } catch (error) {
      if (signal?.aborted === true) throw signal.reason;
      throw new UnreachableError(
        `expected a coordinator at ${this.url}, got ${reasonOf(error, timeoutMs)}: start it, or set COORDINATOR_URL`,
        { cause: error },
      );
    }
  }

  problem(answer: { text: string; status: number; headers: Headers }, { method = 'GET', path }: Call): CliError {
    const isProblem = answer.headers.get('content-type')?.startsWith(PROBLEM_MEDIA_TYPE) === true;
    const parsed = isProblem ? problemSchema.safeParse(parse(answer.text)) : null;
    if (parsed?.success === true) return new ProblemError(parsed.data, { method, path });
    return new UnreachableError(
      `expected an answer of a coordinator to ${method} ${path} at ${this.url}, got status ${answer.status} of something else: set COORDINATOR_URL`,
    );
  }

  #json(text: string, call: Call): unknown {
    const value = parse(text);
    if (value !== undefined) return value;
    throw new UnreachableError(
      `expected JSON of a coordinator to ${nameOf(call)} at ${this.url}, got something else: set COORDINATOR_URL`,
    );
  }
}

/** Undefined, which is no JSON, when the text is none. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

const nameOf = ({ method = 'GET', path }: Call): string => `${method} ${path}`;

/** A route, or a method of a route, that only a newer coordinator has. */
export function isOlder({ code }: Pick<Problem, 'code'>): boolean {
  return code === 'UnknownRoute' || code === 'MethodNotAllowed';
}

function exitOf(code: string, status: number): ExitCode {
  if (isOlder({ code })) return EXIT.failed;
  if (status === 400) return EXIT.usage;
  if (status === 409) return EXIT.conflict;
  return status === 503 ? EXIT.unreachable : EXIT.failed;
}

function worded({ code, status, detail }: Pick<Problem, 'code' | 'status' | 'detail'>, call: string): string {
  if (isOlder({ code })) {
    return `this coordinator is older than this command: it has no ${call}. Upgrade it, or use the command of its version`;
  }
  if (code === 'Unauthenticated') return `${code}: ${detail}; set COORDINATOR_KEY or COORDINATOR_KEY_FILE`;
  return `${code} (${status}): ${detail}`;
}

/** The innermost reason: fetch itself only says that it failed. */
function reasonOf(error: unknown, timeoutMs: number): string {
  const { name, code, message, cause, errors } = error as NodeJS.ErrnoException & {
    cause?: unknown;
    errors?: unknown[];
  };
  if (name === 'TimeoutError') return `no answer within ${Math.round(timeoutMs / 1_000)} s`;
  const inner = errors?.[0] ?? cause;
  return inner === undefined ? (code ?? message) : reasonOf(inner, timeoutMs);
}
