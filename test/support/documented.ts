/** Holds an answer of the API against the OpenAPI document: every call of every API test goes through it. */
import { isDeepStrictEqual } from 'node:util';
import { PROBLEM_STATUS, type ProblemCode } from '../../src/api/http/problem';
import { codesOf } from '../../src/api/openapi/codes';
import type { RouteEntry } from '../../src/api/openapi/entry';
import { ANSWER_HEADERS } from '../../src/api/openapi/parameters';
import { ANSWERS } from '../../src/api/openapi/schemas';
import { ROUTES } from '../../src/api/openapi/table';
import { PROBLEM_MEDIA_TYPE } from '../../src/wire/problem';

export const ENTRIES: readonly RouteEntry[] = Object.values(ROUTES).flat();

export interface Answered {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** What a path of the document stands for: a parameter is one segment. */
export const patternOf = (path: string): RegExp =>
  new RegExp(`^${path.replace(/[.]/g, '\\.').replace(/\{[a-z]+\}/g, '[^/]+')}$`);

/** The entry of a call. A path without parameters wins. Null: the document does not tell of it. */
export function entryOf(method: string, path: string): RouteEntry | null {
  const [bare = ''] = path.split('?');
  const wanted = method === 'HEAD' ? 'get' : method.toLowerCase();
  const paths = ENTRIES.map((each) => each.path).filter((each) => patternOf(each).test(bare));
  const nearest = paths.find((each) => !each.includes('{')) ?? paths[0];
  return ENTRIES.find((each) => each.path === nearest && each.method === wanted) ?? null;
}

/** What the document does not tell of an answer, in one sentence, or null. */
export function faultOfAnswer(answered: Answered): string | null {
  const entry = entryOf(answered.method, answered.path);
  if (entry === null) return null;
  const fault = answered.status >= 400 ? faultOfProblem(entry, answered) : faultOfSuccess(entry, answered);
  return fault && `the OpenAPI document does not tell this answer of ${answered.method} ${answered.path}: ${fault}`;
}

function faultOfProblem(entry: RouteEntry, { method, status, headers, text }: Answered): string | null {
  const media = headers.get('content-type');
  if (media !== PROBLEM_MEDIA_TYPE) return `expected ${PROBLEM_MEDIA_TYPE}, got ${media}`;
  if (method === 'HEAD') return null;
  const problem = JSON.parse(text) as { code: ProblemCode; status: number };
  const parsed = ANSWERS.Problem.strict().safeParse(problem);
  if (!parsed.success) return `no problem: ${parsed.error.message}`;
  if (problem.status !== status || PROBLEM_STATUS[problem.code] !== status) return `status ${status} for ${text}`;
  return codesOf(entry).includes(problem.code) ? null : `its entry has no code ${problem.code}`;
}

function faultOfSuccess(entry: RouteEntry, { method, status, headers, text }: Answered): string | null {
  const told = Object.keys(ANSWER_HEADERS).filter((name) => headers.has(name));
  const untold = told.find((name) => !(entry.answerHeaders ?? []).some((each) => each === name));
  if (untold !== undefined) return `its entry has no header ${untold}`;
  if (status !== 200) return status in (entry.others ?? {}) ? null : `its entry has no status ${status}`;
  const { answer } = entry;
  const media = headers.get('content-type')?.split(';')[0];
  const expected = typeof answer === 'string' ? 'application/json' : answer.media;
  if (media !== expected) return `expected ${expected}, got ${media}`;
  if (method === 'HEAD' || typeof answer !== 'string') return null;
  const body: unknown = JSON.parse(text);
  const parsed = ANSWERS[answer].safeParse(body);
  if (!parsed.success) return `no ${answer}: ${parsed.error.message}`;
  // A schema drops what it does not know, and adds defaults.
  return isDeepStrictEqual(parsed.data, body) ? null : `${answer} has other fields than ${text.slice(0, 300)}`;
}
