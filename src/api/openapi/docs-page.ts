/** The document as one page: no script, no other file, no request to anywhere. Its parts open without a script. */
import { createHash } from 'node:crypto';
import type { Answer, OpenApiDocument, Operation, Schema } from './document';
import { DOCS_STYLE } from './docs-style';

export interface DocsPage {
  readonly html: string;
  /** For `Content-Security-Policy`: nothing but the style of this page. */
  readonly policy: string;
}

export function docsPage(document: OpenApiDocument): DocsPage {
  const digest = createHash('sha256').update(DOCS_STYLE).digest('base64');
  const policy = [
    "default-src 'none'",
    `style-src 'sha256-${digest}'`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
  const { title, version, description } = document.info;
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}: REST</title>
<style>${DOCS_STYLE}</style>
</head>
<body>
<h1>${escape(title)} ${escape(version)}</h1>
${introduction(typeof description === 'string' ? description : '')}
<p>For programs: <a href="openapi.json">openapi.json</a> (OpenAPI ${escape(document.openapi)}).</p>
<nav aria-label="Routes">${document.tags.map(({ name }) => contents(document, name)).join('')}</nav>
<main>
${document.tags.map(({ name }) => part(document, name)).join('\n')}
<section><h2>Schemas</h2>
${Object.entries(document.components.schemas).map(namedSchema).join('\n')}
</section>
</main>
</body>
</html>
`;
  return { html, policy };
}

interface Call {
  readonly method: string;
  readonly path: string;
  readonly operation: Operation;
}

function callsOf({ paths }: OpenApiDocument, tag: string): Call[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([, operation]) => operation.tags.includes(tag))
      .map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
}

function contents(document: OpenApiDocument, tag: string): string {
  const lines = callsOf(document, tag).map(
    ({ method, path, operation }) =>
      `<li><a href="#${escape(operation.operationId)}"><span class="method">${method}</span> ${escape(path)}</a></li>`,
  );
  return `<h2>${escape(tag)}</h2><ul>${lines.join('')}</ul>`;
}

function part(document: OpenApiDocument, tag: string): string {
  return `<section><h2>${escape(tag)}</h2>${callsOf(document, tag).map(call).join('\n')}</section>`;
}

function call({ method, path, operation }: Call): string {
  const { operationId, summary, parameters, requestBody, responses } = operation;
  const role = operation['x-role'];
  const inputs = parameters.map(({ name, in: place, required, description, schema }) => [
    code(name),
    `${place}${required ? '' : ', optional'}`,
    typeOf(schema),
    prose(description),
  ]);
  const body = requestBody && contentOf(requestBody.content);
  return `<article id="${escape(operationId)}">
<h3><span class="method">${method}</span> ${code(path)} <span class="role">${role === 'none' ? 'no key' : escape(role)}</span></h3>
<p>${prose(summary)}</p>
${inputs.length === 0 ? '' : table(['parameter', 'in', 'type', 'meaning'], inputs)}
${body === undefined ? '' : `<p>Body${requestBody?.required === true ? '' : ' (optional)'}: ${body}</p>`}
<details><summary>Answers</summary>${table(['status', 'answer'], Object.entries(responses).map(answer))}</details>
</article>`;
}

function answer([status, { description, headers = {}, content = {} }]: [string, Answer]): string[] {
  const names = Object.keys(headers).map(code).join(', ');
  const holds = status === '200' ? contentOf(content) : prose(description);
  return [escape(status), names === '' ? holds : `${holds}; with ${names}`];
}

function contentOf(content: NonNullable<Answer['content']>): string {
  return Object.entries(content)
    .map(([media, { schema }]) => (media === 'application/json' ? typeOf(schema) : code(media)))
    .join(', ');
}

/** The id is inside, so that a browser opens the part when a link leads to it. */
function namedSchema([name, schema]: [string, Schema]): string {
  return `<details><summary>${code(name)}</summary><div id="schema-${escape(name)}">${shapeOf(schema)}</div></details>`;
}

/** An object as a table of its fields, with those of objects inside it below them. */
function shapeOf(schema: Schema): string {
  const variants = schemasIn(schema['anyOf'] ?? schema['oneOf']).filter((each) => 'properties' in each);
  if (!('properties' in schema) && variants.length > 0) {
    return variants.map((each, index) => `<p>${index === 0 ? 'Either' : 'or'}:</p>${shapeOf(each)}`).join('');
  }
  const rows = fieldsOf(schema, '');
  return rows.length === 0 ? `<p>${typeOf(schema)}</p>` : table(['field', 'type', 'needed'], rows);
}

function fieldsOf(schema: Schema, prefix: string): string[][] {
  const required = Array.isArray(schema['required']) ? (schema['required'] as unknown[]) : [];
  return Object.entries(recordIn(schema['properties'])).flatMap(([name, field]) => {
    const inner = insideOf(field);
    const suffix = inner.isList ? '[]' : '';
    const isNever = isEmptyNot(field);
    if (isNever) return [];
    return [
      [code(`${prefix}${name}`), `${typeOf(field)}${meaningOf(field)}`, required.includes(name) ? 'yes' : ''],
      ...fieldsOf(inner.schema, `${prefix}${name}${suffix}.`),
    ];
  });
}

/** Of a field, or of each entry of a list. */
function meaningOf(field: Schema): string {
  const { description } = isSchema(field['items']) ? field['items'] : field;
  return typeof description === 'string' ? `: ${prose(description)}` : '';
}

/** The object that a field holds, also as one of several in a list or beside null. */
function insideOf(field: Schema): { readonly schema: Schema; readonly isList: boolean } {
  if ('properties' in field) return { schema: field, isList: false };
  const items = field['items'];
  if (isSchema(items)) return { schema: insideOf(items).schema, isList: true };
  const found = schemasIn(field['anyOf']).find((each) => 'properties' in each);
  return { schema: found ?? {}, isList: false };
}

/** A type in a few words. */
function typeOf(schema: Schema): string {
  const reference = schema['$ref'];
  if (typeof reference === 'string') return link(reference.split('/').at(-1) ?? '');
  const variants = schemasIn(schema['anyOf'] ?? schema['oneOf']);
  if (variants.length > 0) return variants.map(typeOf).join(' or ');
  if ('const' in schema) return code(JSON.stringify(schema['const']));
  if (Array.isArray(schema['enum'])) return schema['enum'].map((each) => code(String(each))).join(', ');
  if (isSchema(schema['items'])) return `list of ${typeOf(schema['items'])}`;
  const type = schema['type'];
  const name = Array.isArray(type) ? type.join(' or ') : typeof type === 'string' ? type : 'any';
  const values = schema['additionalProperties'];
  if (name === 'object' && isSchema(values) && Object.keys(values).length > 0) return `object of ${typeOf(values)}`;
  return `${escape(name)}${boundsOf(schema)}`;
}

const BOUNDS: readonly (readonly [string, string])[] = [
  ['minimum', 'at least'],
  ['maximum', 'at most'],
  ['minLength', 'characters, at least'],
  ['maxLength', 'characters, at most'],
  ['minItems', 'entries, at least'],
  ['maxItems', 'entries, at most'],
  ['format', 'format'],
  ['default', 'default'],
];

function boundsOf(schema: Schema): string {
  const told = BOUNDS.filter(([key]) => key in schema && Math.abs(Number(schema[key])) !== Number.MAX_SAFE_INTEGER);
  if (told.length === 0) return '';
  return ` (${told.map(([key, words]) => `${words} ${escape(JSON.stringify(schema[key]))}`).join('; ')})`;
}

function isEmptyNot(schema: Schema): boolean {
  return isSchema(schema['not']) && Object.keys(schema['not']).length === 0;
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function schemasIn(value: unknown): Schema[] {
  return Array.isArray(value) ? value.filter(isSchema) : [];
}

function recordIn(value: unknown): Record<string, Schema> {
  return isSchema(value)
    ? (Object.fromEntries(Object.entries(value).filter(([, each]) => isSchema(each))) as Record<string, Schema>)
    : {};
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = (tag: 'th' | 'td', texts: readonly string[]): string =>
    `<tr>${texts.map((text) => `<${tag}>${text}</${tag}>`).join('')}</tr>`;
  return `<div class="wide"><table><thead>${cells('th', head)}</thead><tbody>${rows.map((row) => cells('td', row)).join('')}</tbody></table></div>`;
}

/** Paragraphs and lists of Markdown: all that the document's own text has. */
function introduction(text: string): string {
  const blocks = text.split('\n\n').map((block) => {
    const items = block.split('\n').filter((line) => line.startsWith('- '));
    if (items.length === 0) return `<p>${prose(block)}</p>`;
    return `<ul>${items.map((item) => `<li>${prose(item.slice(2))}</li>`).join('')}</ul>`;
  });
  return blocks.join('\n');
}

/** A sentence, with code where it has backticks. */
function prose(text: string): string {
  return escape(text).replace(/`([^`]*)`/g, '<code>$1</code>');
}

function code(text: string): string {
  return `<code>${escape(text)}</code>`;
}

function link(schema: string): string {
  return `<a href="#schema-${escape(schema)}">${escape(schema)}</a>`;
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (each) => `&#${each.charCodeAt(0)};`);
}
