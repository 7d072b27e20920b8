/** One route as the OpenAPI document tells it. `table.ts` has all of them, and a test holds them against the real routers. */
import type { Caller } from '../http/auth';
import type { ProblemCode } from '../http/problem';
import type { AnswerHeaderName, ParameterName } from './parameters';
import type { AnswerName, BodyName } from './schemas';

export type Method = 'get' | 'put' | 'post' | 'patch' | 'delete';

/** An answer that is not JSON. */
export interface PlainAnswer {
  /** The media type, without its parameters. */
  readonly media: string;
  /** What it holds, in a few words. */
  readonly holds: string;
}

export const EVENTS: PlainAnswer = { media: 'text/event-stream', holds: 'server-sent events' };

export interface RouteEntry {
  /** A GET stands for HEAD too. */
  readonly method: Method;
  /** With parameters as OpenAPI writes them: `/cluster/shards/{id}`. */
  readonly path: string;
  /** The least role that may call it. Null: it needs no key. */
  readonly role: Caller['role'] | null;
  /** What it does, as a half sentence without a full stop. */
  readonly summary: string;
  /** Path parameters, headers and query, by their names in `parameters.ts`. */
  readonly parameters?: readonly ParameterName[];
  /** A name of `BODIES`. A `?` behind it: the body may be left out. */
  readonly body?: BodyName | `${BodyName}?`;
  /** What a 200 holds: a name of `ANSWERS`, or what is not JSON. */
  readonly answer: AnswerName | PlainAnswer;
  readonly answerHeaders?: readonly AnswerHeaderName[];
  /** Answers without a body, by status, in a few words: `{ 304: 'the caller holds this map' }`. */
  readonly others?: Readonly<Record<number, string>>;
  /** Beside those that follow from role, body and parameters: see `codesOf`. */
  readonly refusals?: readonly ProblemCode[];
}
