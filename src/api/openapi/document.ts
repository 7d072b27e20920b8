/** The OpenAPI 3.1 document, made of the route table and the schemas. */
import { z } from 'zod';
import { PROBLEM_MEDIA_TYPE } from '../../wire/problem';
import { PROBLEM_STATUS, STATUS_TITLE, type ProblemCode } from '../http/problem';
import { codesOf } from './codes';
import type { RouteEntry } from './entry';
import { ANSWER_HEADERS, PARAMETERS, type Parameter } from './parameters';
import { ANSWERS, BODIES, type AnswerName, type BodyName } from './schemas';
import { ROUTES } from './table';
import { ownVersion } from './version';

/** A JSON Schema, or a reference to one. */
export type Schema = Readonly<Record<string, unknown>>;
type Content = Readonly<Record<string, { readonly schema: Schema }>>;

export interface Answer {
  readonly description: string;
  readonly headers?: Readonly<Record<string, { readonly description: string; readonly schema: Schema }>>;
  readonly content?: Content;
}

/** What one method of a path does. */
export interface Operation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly description: string;
  readonly 'x-role': string;
  readonly security: readonly Schema[];
  readonly parameters: readonly {
    readonly in: Parameter['in'];
    readonly name: string;
    readonly required: boolean;
    readonly description: string;
    readonly schema: Schema;
  }[];
  readonly requestBody?: { readonly required: boolean; readonly content: Content };
  readonly responses: Readonly<Record<string, Answer>>;
}

export interface OpenApiDocument {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string; readonly [field: string]: unknown };
  readonly servers: readonly { readonly url: string }[];
  readonly tags: readonly { readonly name: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>>; readonly securitySchemes: Schema };
}

const KEY = 'key';
const COMPONENTS = '#/components/schemas/';

const ABOUT = `The REST API of a coordinator of a Quiver cluster.

- Send \`Authorization: Bearer <key>\` with every call that names a role. The roles are read, write and admin, and each may do what the ones before it may do.
- Paths are exact: a slash at the end makes another path, which is a 404 \`UnknownRoute\`.
- A GET answers HEAD too. Any other method that a path does not have is a 405 \`MethodNotAllowed\`, with \`Allow\`.
- Every error is a Problem. Its \`code\` is stable, and \`detail\` is for a person.
- A later version may add fields to an answer: ignore those that you do not know.`;

export function openApiDocument(): OpenApiDocument {
  const paths: Record<string, Record<string, Operation>> = {};
  for (const [tag, entries] of Object.entries(ROUTES)) {
    for (const entry of entries) (paths[entry.path] ??= {})[entry.method] = operationOf(entry, tag);
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'quiver-coordinator',
      version: ownVersion(),
      summary: 'The shard map of a Quiver cluster, and all that changes it',
      description: ABOUT,
      license: { name: 'AGPL-3.0-only', identifier: 'AGPL-3.0-only' },
    },
    servers: [{ url: '/' }],
    tags: Object.keys(ROUTES).map((name) => ({ name })),
    paths,
    components: {
      schemas: { ...namedSchemas(ANSWERS, 'output'), ...namedSchemas(BODIES, 'input') },
      securitySchemes: { [KEY]: { type: 'http', scheme: 'bearer', description: 'a key of QUIVER_API_KEYS' } },
    },
  };
}

function operationOf(entry: RouteEntry, tag: string): Operation {
  const { method, path, role, summary, parameters = [] } = entry;
  const needs = role === null ? 'It needs no key.' : `It needs a key with the role ${role}.`;
  const body = bodyOf(entry);
  return {
    operationId: operationIdOf(method, path),
    tags: [tag],
    summary,
    description: needs,
    'x-role': role ?? 'none',
    security: role === null ? [] : [{ [KEY]: [] }],
    parameters: parameters.map((name) => {
      const { in: place, name: wireName, schema, description }: Parameter = PARAMETERS[name];
      return { in: place, name: wireName, required: place === 'path', description, schema: schemaOf(schema) };
    }),
    ...(body === null ? {} : { requestBody: body }),
    responses: { ...answersOf(entry), ...problemsOf(codesOf(entry)) },
  };
}

/** `POST /cluster/shards/{id}/drain` is `postClusterShardsIdDrain`. */
function operationIdOf(method: string, path: string): string {
  const words = path.match(/[a-z]+/g) ?? [];
  return method + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
}

function bodyOf({ body }: RouteEntry): NonNullable<Operation['requestBody']> | null {
  if (body === undefined) return null;
  const name = body.replace('?', '') as BodyName;
  return { required: name === body, content: { 'application/json': { schema: reference(name) } } };
}

function answersOf({ answer, answerHeaders = [], others = {} }: RouteEntry): Record<string, Answer> {
  const headers = Object.fromEntries(
    answerHeaders.map((name) => [name, { description: ANSWER_HEADERS[name], schema: { type: 'string' } }]),
  );
  const withHeaders = answerHeaders.length === 0 ? {} : { headers };
  const content: Content =
    typeof answer === 'string'
      ? { 'application/json': { schema: reference(answer) } }
      : { [answer.media]: { schema: { type: 'string' } } };
  const description = typeof answer === 'string' ? answer : answer.holds;
  return {
    200: { description, ...withHeaders, content },
    ...Object.fromEntries(
      Object.entries(others).map(([status, text]) => [status, { description: text, ...withHeaders }]),
    ),
  };
}

/** One answer per status, which lists the codes that have it. */
function problemsOf(codes: readonly ProblemCode[]): Record<string, Answer> {
  const statuses = [...new Set(codes.map((code) => PROBLEM_STATUS[code]))];
  return Object.fromEntries(
    statuses.map((status) => {
      const ofStatus = codes.filter((code) => PROBLEM_STATUS[code] === status);
      // Generators of clients merge it with Problem: they take a part of an enum, and no constant.
      const only: Schema = { type: 'object', properties: { code: { type: 'string', enum: ofStatus } } };
      const schema = { allOf: [reference('Problem'), only] };
      const description = `${STATUS_TITLE[status] ?? 'Error'}: ${ofStatus.map((code) => `\`${code}\``).join(', ')}`;
      return [status, { description, ...problemHeaders(status), content: { [PROBLEM_MEDIA_TYPE]: { schema } } }];
    }),
  );
}

function problemHeaders(status: number): Pick<Answer, 'headers'> {
  const headers = (name: string, description: string) => ({
    headers: { [name]: { description, schema: { type: 'string' } } },
  });
  if (status === 401) return headers('WWW-Authenticate', 'the scheme that a key is sent with');
  if (status === 429 || status === 503) return headers('Retry-After', 'seconds until the next try');
  return {};
}

function reference(name: AnswerName | BodyName): Schema {
  return { $ref: `${COMPONENTS}${name}` };
}

/** Schemas that name each other refer to each other. Answers are open: a later version may add fields. */
function namedSchemas(named: Readonly<Record<string, z.ZodType>>, io: 'input' | 'output'): Record<string, Schema> {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(named)) registry.add(schema, { id });
  const uri = (id: string): string => `${COMPONENTS}${id}`;
  const { schemas } = z.toJSONSchema(registry, { io, uri, override: io === 'output' ? open : keep });
  return Object.fromEntries(Object.entries(schemas).map(([id, schema]) => [id, plain(schema)]));
}

function schemaOf(schema: z.ZodType): Schema {
  return plain(z.toJSONSchema(schema, { io: 'input' }));
}

interface Overridden {
  readonly zodSchema: z.core.$ZodTypes;
  readonly jsonSchema: Record<string, unknown>;
}
const keep = (): void => undefined;
function open({ jsonSchema }: Overridden): void {
  if (jsonSchema['additionalProperties'] === false) delete jsonSchema['additionalProperties'];
}

/** Without what belongs to a schema that is a document of its own. */
function plain(schema: object): Schema {
  return Object.fromEntries(Object.entries(schema).filter(([key]) => !['$schema', '$id', '~standard'].includes(key)));
}
