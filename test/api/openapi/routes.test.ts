/** The route table, held against the routers, the roles that they ask for, and the tables of the reference. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createExpressApp } from '../../../src/api/app';
import type { ApiDeps } from '../../../src/api/deps';
import { PROBLEM_STATUS } from '../../../src/api/http/problem';
import { codesOf } from '../../../src/api/openapi/codes';
import type { RouteEntry } from '../../../src/api/openapi/entry';
import { PARAMETERS } from '../../../src/api/openapi/parameters';
import { isMapPoll } from '../../../src/api/routes/map';
import { ApiServer, KEYS } from '../../support/api-server';
import { ENTRIES } from '../../support/documented';

interface Layer {
  readonly slash: boolean;
  readonly route?: { readonly path: string; readonly methods: Readonly<Record<string, boolean>> };
  readonly handle: { readonly stack?: readonly Layer[] };
}

/** `GET /cluster/shards/{id}` for every method of every path that the routers know. */
function routesIn(stack: readonly Layer[]): string[] {
  return stack.flatMap((layer) => {
    const { route } = layer;
    if (route !== undefined) {
      const path = route.path.replace(/:([a-z]+)/gi, '{$1}');
      const methods = Object.keys(route.methods).filter((method) => method !== '_all');
      return methods.map((method) => `${method.toUpperCase()} ${path}`);
    }
    // A path that a router is mounted at cannot be read from the stack.
    expect(layer.slash).toBe(true);
    return routesIn(layer.handle.stack ?? []);
  });
}

/** For the page that the API serves alone. It is free to change them with the page. */
const isOfPage = (name: string): boolean => /^[A-Z]+ \/(?:login|logout|page\/.*)?$/.test(name);

const nameOf = ({ method, path }: RouteEntry): string => `${method.toUpperCase()} ${path}`;
const NAMES = ENTRIES.map(nameOf);
const page = (name: string): string => readFileSync(join(__dirname, '../../../docs/reference', name), 'utf8');

/** A path with a sample of each parameter. */
const samplePath = ({ path }: RouteEntry): string =>
  path.replace('/operations/{id}', '/operations/grow-a').replace('{id}', '1').replace('{key}', 'Some.key');

let api: ApiServer;
beforeEach(async () => {
  api = await ApiServer.start();
});
afterEach(() => api.close());

describe('the route table', () => {
  it('has every route of the app, and no other', () => {
    // The routers keep their dependencies for the requests.
    const deps = new Proxy({}, { get: () => ({ requires: () => () => undefined }) }) as ApiDeps;
    const { router } = createExpressApp(deps) as unknown as { router: { stack: readonly Layer[] } };
    const routes = routesIn(router.stack);
    expect(routes.length).toBeGreaterThan(20);
    expect([...NAMES].sort()).toEqual(routes.filter((name) => !isOfPage(name)).sort());
  });

  it('has the route that is answered ahead of the app', () => {
    const polls = ENTRIES.filter(({ method, path }) =>
      isMapPoll({ headers: {}, method: method.toUpperCase(), url: path }),
    );
    expect(polls.map(nameOf)).toEqual(['GET /cluster/map']);
  });

  it('names the methods that a path says to have', async () => {
    for (const path of new Set(ENTRIES.map((each) => each.path))) {
      const methods = ENTRIES.filter((each) => each.path === path).map(({ method }) => method.toUpperCase());
      const allowed = methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
      const { status, headers } = await api.call(samplePath({ ...ENTRIES[0]!, path }), { method: 'OPTIONS' });
      expect([path, status]).toEqual([path, 405]);
      expect(headers.get('allow')?.split(', ').sort()).toEqual(allowed.sort());
    }
  });

  it.each(ENTRIES.map((entry) => [nameOf(entry), entry] as const))('says which role %s needs', async (_name, entry) => {
    // A stream of events would go on.
    const isStream = typeof entry.answer !== 'string' && entry.answer.media === 'text/event-stream';
    const method = isStream ? 'HEAD' : entry.method.toUpperCase();
    const statusWith = async (key: string | null) => (await api.call(samplePath(entry), { method, key })).status;
    if (entry.role === null) {
      expect(await statusWith(null)).toBe(200);
      return;
    }
    expect(await statusWith(null)).toBe(401);
    expect(await statusWith('unknown')).toBe(401);
    for (const role of ['read', 'write', 'admin'] as const) {
      const isEnough = entry.role === 'read' || role === entry.role || role === 'admin';
      const status = await statusWith(KEYS[role]);
      expect([role, status === 403]).toEqual([role, !isEnough]);
      expect(status).not.toBe(401);
    }
  });

  it('tells of each route that takes an Idempotency-Key, and each of these refuses a malformed one', async () => {
    const headers = { 'Idempotency-Key': 'a b' };
    for (const entry of ENTRIES) {
      const call = { method: entry.method.toUpperCase(), headers, body: {} };
      const takes = (entry.parameters ?? []).includes('idempotencyKey');
      expect([nameOf(entry), takes]).toEqual([nameOf(entry), ['post', 'patch'].includes(entry.method)]);
      if (!takes || entry.body === 'RestoreBody') continue;
      expect([nameOf(entry), (await api.call(samplePath(entry), call)).json['code']]).toEqual([
        nameOf(entry),
        'InvalidIdempotencyKey',
      ]);
    }
  });

  it('tells the parameters of each path, once and by the name that the path has', () => {
    for (const { path, parameters = [] } of ENTRIES) {
      const told = parameters.map((name) => PARAMETERS[name]).filter((each) => each.in === 'path');
      expect(told.map(({ name }) => `{${name}}`)).toEqual(path.match(/\{[a-z]+\}/g) ?? []);
    }
  });
});

describe('the reference', () => {
  /** The cells of the rows of all tables, each with the head of its table. */
  function rowsOf(markdown: string): { readonly head: readonly string[]; readonly cells: readonly string[] }[] {
    return markdown.split(/\n\n/).flatMap((block) => {
      const [head, , ...rows] = block
        .split('\n')
        .filter((line) => line.startsWith('|'))
        .map((line) =>
          line
            .slice(1, -1)
            .split('|')
            .map((cell) => cell.trim()),
        );
      return head === undefined ? [] : rows.map((cells) => ({ head, cells }));
    });
  }

  it('has every route with its role in a table, and no other', () => {
    const told = rowsOf(page('rest.md'))
      .filter(({ head }) => head[0] === 'call' && head[1] === 'role')
      .map(({ cells: [call = '', role = ''] }) => `${call.replaceAll('`', '')} ${role}`);
    expect(told.filter((name) => !isOfPage(name.split(' ').slice(0, -1).join(' '))).sort()).toEqual(
      ENTRIES.map((entry) => `${nameOf(entry)} ${entry.role ?? 'none'}`).sort(),
    );
  });

  /** `POST /a/b`, `…/c` behind it, or only the last word of a path. */
  function entriesNamed(cell: string): RouteEntry[] {
    return cell.split(', ').map((text) => {
      const call = text.replaceAll('`', '');
      const end = call.startsWith('…') ? call.slice(1) : `/${call}`;
      const found = ENTRIES.find((entry) => nameOf(entry) === call || entry.path.endsWith(end));
      if (found === undefined) throw new Error(`no route is called ${call}`);
      return found;
    });
  }

  it('says of no route that it is refused with a code that its entry does not have', () => {
    const rows = rowsOf(page('rest.md')).filter(({ head }) => head[0] === 'call' && head[1] === 'refused as');
    expect(rows.length).toBeGreaterThan(8);
    for (const { cells } of rows) {
      const [call = '', refusals = ''] = cells;
      const named = [...refusals.matchAll(/`([A-Z][A-Za-z]+)(…?)`/g)];
      expect(named).not.toEqual([]);
      for (const entry of entriesNamed(call)) {
        const codes = codesOf(entry);
        const missing = named.filter(([, code = '', isPart]) =>
          isPart === '…' ? !codes.some((each) => each.startsWith(code)) : !codes.some((each) => each === code),
        );
        expect([nameOf(entry), missing.map(([code]) => code)]).toEqual([nameOf(entry), []]);
      }
    }
  });

  it('has every code with its status, and no other', () => {
    const told = rowsOf(page('errors.md'))
      .filter(({ head }) => head[0] === 'code' && head[1] === 'status')
      .map(({ cells: [code = '', status = ''] }) => [code.replaceAll('`', ''), Number(status)]);
    expect(Object.fromEntries(told)).toEqual(PROBLEM_STATUS);
  });
});
