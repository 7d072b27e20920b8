/** The chart, as far as it can be read without helm. docs/internals/testing.md says how helm itself looks at it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { SETTINGS } from '../../src/config/settings';
import { SERVICE_ROLES } from '../../src/service';

const CHART = join(__dirname, '../../deploy/helm/quiver-coordinator');
const read = (path: string): string => readFileSync(join(CHART, path), 'utf8');

type Tree = Readonly<Record<string, unknown>>;
interface Schema {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
}
const values = parse(read('values.yaml')) as Tree;
const schema = JSON.parse(read('values.schema.json')) as Schema & {
  properties: { settings: { propertyNames: { pattern: string; not: { enum: string[] } } } };
};
const templates = readdirSync(join(CHART, 'templates'), { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.(yaml|tpl|txt)$/.test(name))
  .map((name) => ({ name, text: read(join('templates', name)) }));
const all = templates.map(({ text }) => text).join('\n');
const textOf = (name: string): string => templates.find((each) => each.name === name)?.text ?? '';

/** The value at `a.b`, or undefined. */
function at(tree: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((node, key) => (node as Tree | null | undefined)?.[key], tree);
}

/** Every `a.b` of a tree. */
function pathsOf(tree: Tree, prefix = ''): string[] {
  return Object.entries(tree).flatMap(([key, value]) => {
    const path = `${prefix}${key}`;
    const isTree = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isTree && Object.keys(value).length > 0 ? [path, ...pathsOf(value as Tree, `${path}.`)] : [path];
  });
}

const OF_TRACING = ['OTEL_EXPORTER_OTLP_HEADERS', 'OTEL_EXPORTER_OTLP_TRACES_HEADERS'];
const names = new Set<string>([...Object.keys(SETTINGS), ...OF_TRACING]);
const OF_TEMPORAL =
  /^TEMPORAL_(ADDRESS|NAMESPACE|API_KEY|TLS|TLS_SERVER_NAME|TLS_SERVER_CA_CERT_PATH|TLS_CLIENT_(CERT|KEY)_PATH)$/;

describe('the chart', () => {
  it('is of the version of the program', () => {
    const { version } = JSON.parse(readFileSync(join(CHART, '../../../package.json'), 'utf8')) as { version: string };
    expect(parse(read('Chart.yaml'))).toMatchObject({
      apiVersion: 'v2',
      name: 'quiver-coordinator',
      appVersion: version,
    });
  });

  it('reads only values that it has', () => {
    const asked = [...all.matchAll(/\.Values\.([A-Za-z.]+)/g)].map(([, path = '']) => path);
    expect(asked.length).toBeGreaterThan(30);
    expect(asked.filter((path) => at(values, path) === undefined)).toEqual([]);
  });

  it('has a schema for all of its values, and for no other', () => {
    const known = (node: Schema, prefix = ''): string[] =>
      Object.entries(node.properties ?? {}).flatMap(([key, child]) => [
        `${prefix}${key}`,
        ...known(child, `${prefix}${key}.`),
      ]);
    const paths = pathsOf(values).filter(
      (path) => !path.startsWith('api.resources.') && !path.startsWith('worker.resources.'),
    );
    expect(
      known(schema)
        .filter((path) => path !== 'global')
        .sort(),
    ).toEqual(paths.sort());
  });

  it('includes only what it defines, and closes what it opens', () => {
    const defined = [...all.matchAll(/define "([^"]+)"/g)].map(([, name]) => name);
    const included = [...all.matchAll(/include "([^"]+)"/g)].map(([, name]) => name);
    expect(included.filter((name) => !defined.includes(name))).toEqual([]);
    for (const { name, text } of templates) {
      const opened = text.match(/\{\{-? *(if|with|range|define)\b/g)?.length ?? 0;
      expect([name, text.match(/\{\{-? *end\b/g)?.length ?? 0]).toEqual([name, opened]);
    }
  });

  it('sets only variables that the program or Temporal knows', () => {
    const set = [...all.matchAll(/- name: ([A-Z][A-Z_]+)$/gm)].map(([, name = '']) => name);
    expect(set).toContain('COORDINATOR_SHARD_KEY_FILE');
    // Where a config file is, only the environment can say.
    expect(set.filter((name) => !names.has(name) && !OF_TEMPORAL.test(name) && name !== 'QUIVER_CONFIG')).toEqual([]);
  });

  it('refuses settings that it sets itself, and keys, which would be in plain text', () => {
    const { pattern, not } = schema.properties.settings.propertyNames;
    expect(not.enum.filter((name) => !names.has(name))).toEqual([]);
    const set = [...all.matchAll(/- name: ((?:QUIVER|COORDINATOR)_[A-Z_]+)$/gm)].map(([, name = '']) => name);
    expect(set.filter((name) => name !== 'QUIVER_CONFIG' && !not.enum.includes(name))).toEqual([]);
    expect(not.enum).toEqual(
      expect.arrayContaining(['QUIVER_API_KEYS', 'QUIVER_CLUSTER_SHARD_KEY', 'COORDINATOR_HOOKS_KEY']),
    );
    for (const name of names) expect(name).toMatch(new RegExp(pattern));
  });

  it('needs an address of Temporal and both secrets, and holds no key', () => {
    expect(at(schema, 'properties.secrets.required')).toEqual(['apiKeys', 'shardKeys']);
    const empty = { apiKeys: '', shardKeys: '', hooksKey: '', otlpHeaders: '', configSecret: '' };
    expect(at(values, 'secrets')).toEqual(empty);
    expect(new RegExp(String(at(schema, 'properties.temporal.properties.address.pattern'))).test('')).toBe(false);
    expect(all).not.toMatch(/kind: Secret\b/);
  });

  it.each(['api', 'worker'] as const)(
    'runs the %s as a role of the program, on a file system that it cannot write',
    (role) => {
      const text = textOf(`${role}.yaml`);
      expect(SERVICE_ROLES).toContain(role);
      expect(text).toContain(`command: [node, dist/main.js, ${role}]`);
      expect(text).toContain('include "coordinator.podSpec"');
      expect(text).toContain('include "coordinator.containerSecurity"');
      for (const line of [
        'readOnlyRootFilesystem: true',
        'runAsNonRoot: true',
        'drop: [ALL]',
        'enableServiceLinks: false',
      ]) {
        expect(textOf('_helpers.tpl')).toContain(line);
      }
      // What it writes is in folders that are mounted.
      const mounted = [...`${text}${textOf('_helpers.tpl')}`.matchAll(/mountPath: (\S+)/g)].map(
        ([, path = '']) => path,
      );
      const written = [...`${text}${textOf('_helpers.tpl')}`.matchAll(/_DIR\n +value: (\S+)/g)].map(
        ([, path = '']) => path,
      );
      expect(written.length).toBeGreaterThan(0);
      expect(written.filter((path) => !mounted.some((each) => path.startsWith(each)))).toEqual([]);
    },
  );

  it('gives the pods longer to stop than the program takes', () => {
    const [, seconds] = /terminationGracePeriodSeconds: (\d+)/.exec(textOf('_helpers.tpl')) ?? [];
    expect(Number(seconds)).toBeGreaterThan(9.5);
  });
});

describe('the unit of systemd', () => {
  const unit = readFileSync(join(CHART, '../../systemd/quiver-coordinator.service'), 'utf8');

  it('sets only settings that the program knows, and starts a role of it', () => {
    const set = [...unit.matchAll(/\b((?:COORDINATOR|QUIVER)_[A-Z_]+)=/g)].map(([, name = '']) => name);
    expect(set.length).toBeGreaterThan(3);
    expect(set.filter((name) => !names.has(name))).toEqual([]);
    const [, role] = /ROLE=(\w+)/.exec(unit) ?? [];
    expect(SERVICE_ROLES).toContain(role);
  });

  it('does not start again after a bad setting, and waits longer than the program takes to stop', () => {
    expect(unit).toContain('RestartPreventExitStatus=2');
    expect(Number(/TimeoutStopSec=(\d+)/.exec(unit)?.[1])).toBeGreaterThan(9.5);
  });
});
