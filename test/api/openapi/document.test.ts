import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROBLEM_STATUS, type ProblemCode } from '../../../src/api/http/problem';
import { codesOf } from '../../../src/api/openapi/codes';
import { openApiDocument, type Operation } from '../../../src/api/openapi/document';
import { ApiServer } from '../../support/api-server';
import { ENTRIES } from '../../support/documented';

const DOCUMENT = openApiDocument();
const OPERATIONS = Object.values(DOCUMENT.paths).flatMap((methods): Operation[] => Object.values(methods));
const SCHEMAS = DOCUMENT.components.schemas;

function referencesIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    key === '$ref' && typeof inner === 'string' ? [inner] : referencesIn(inner),
  );
}

describe('GET /openapi.json', () => {
  it('is the document, without a key, with the version of the package', async () => {
    const api = await ApiServer.start();
    try {
      const { status, json, headers } = await api.call('/openapi.json', { key: null });
      expect([status, headers.get('content-type')]).toEqual([200, 'application/json; charset=utf-8']);
      expect(json).toEqual(JSON.parse(JSON.stringify(DOCUMENT)));
      const manifest = JSON.parse(readFileSync(join(__dirname, '../../../package.json'), 'utf8')) as {
        version: string;
      };
      expect(DOCUMENT.info.version).toBe(manifest.version);
    } finally {
      await api.close();
    }
  });
});

describe('the OpenAPI document', () => {
  it('has an operation for each entry of the table, each with a name of its own', () => {
    expect(OPERATIONS).toHaveLength(ENTRIES.length);
    expect(new Set(OPERATIONS.map(({ operationId }) => operationId)).size).toBe(ENTRIES.length);
  });

  it('refers only to what it holds, and holds only what it refers to', () => {
    const referred = new Set(referencesIn(DOCUMENT));
    expect([...referred].sort()).toEqual(
      Object.keys(SCHEMAS)
        .map((name) => `#/components/schemas/${name}`)
        .sort(),
    );
  });

  it('lists each code of a route under its status', () => {
    for (const entry of ENTRIES) {
      const { responses } = DOCUMENT.paths[entry.path]![entry.method]!;
      const told = Object.entries(responses).flatMap(([status, { content }]) => {
        const problem = content?.['application/problem+json']?.schema as
          { allOf: [unknown, { properties: { code: { enum: ProblemCode[] } } }] } | undefined;
        if (problem === undefined) return [];
        const codes = problem.allOf[1].properties.code.enum;
        expect(codes.map((code) => PROBLEM_STATUS[code])).toEqual(codes.map(() => Number(status)));
        return codes;
      });
      expect(told.sort()).toEqual([...codesOf(entry)].sort());
    }
  });

  it('has every code in some route, but for those of a call that is no route', () => {
    const told = new Set<string>(ENTRIES.flatMap(codesOf));
    expect(Object.keys(PROBLEM_STATUS).filter((code) => !told.has(code))).toEqual(['UnknownRoute', 'MethodNotAllowed']);
  });

  it('asks for a key where a role is needed, and says which role', () => {
    const open = OPERATIONS.filter(({ security }) => security.length === 0).map(({ operationId }) => operationId);
    expect(open).toEqual(expect.arrayContaining(['getHealthz', 'getReadyz', 'getOpenapiJson', 'getDocs']));
    for (const entry of ENTRIES) {
      const operation = DOCUMENT.paths[entry.path]![entry.method]!;
      expect([operation['x-role'], operation.security.length]).toEqual([
        entry.role ?? 'none',
        entry.role === null ? 0 : 1,
      ]);
    }
  });

  it('keeps the rules of bodies: what is needed, what is refused, and what has a default', () => {
    expect(SCHEMAS['AddShardBody']).toMatchObject({ type: 'object', required: ['primary_url'] });
    expect(SCHEMAS['AddShardBody']).not.toHaveProperty('additionalProperties');
    expect(SCHEMAS['CheckBody']).toMatchObject({ additionalProperties: false });
    expect(SCHEMAS['ReplaceAddressBody']).toMatchObject({ additionalProperties: false, minProperties: 1 });
    expect(SCHEMAS['RestoreBody']).toMatchObject({ oneOf: [{ required: ['state'] }, { required: ['last_known'] }] });
  });

  it('leaves answers open for fields of a later version, inside too', () => {
    expect(JSON.stringify([SCHEMAS['Operation'], SCHEMAS['Problem']])).not.toContain('"additionalProperties":false');
  });
});
