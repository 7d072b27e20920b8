/** Rules, dashboard and guide, held against the metrics that there are. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { ApiMetricsPage } from '../../src/api/metrics/page';
import { hasPromtool, PROMTOOL, promtool } from '../support/promtool';

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}
interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly datasource?: { readonly uid: string };
  readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number };
  readonly targets?: readonly { readonly refId: string; readonly expr: string; readonly datasource: { uid: string } }[];
}
interface Dashboard {
  readonly uid: string;
  readonly schemaVersion: number;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly query: unknown }[] };
}

const ROOT = join(__dirname, '../..');
const FOLDER = join(ROOT, 'deploy/prometheus');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const onPromtool = hasPromtool ? it : it.skip;

const { groups } = parse(read('deploy/prometheus/rules.yml')) as { groups: { rules: Rule[] }[] };
const rules = groups.flatMap((group) => group.rules);
const dashboard = JSON.parse(read('deploy/grafana/dashboard.json')) as Dashboard;
const panels = dashboard.panels.filter(({ type }) => type !== 'row');
const expressions = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));

/** By name: the names of its labels. Nobody scrapes it, so it looks at nothing. */
function metrics(): Map<string, readonly string[]> {
  const page = new ApiMetricsPage({ cluster: 'c', role: 'api', showsProcess: true, look: undefined as never });
  const known = page.registry.getMetricsAsArray() as unknown as { name: string; labelNames: readonly string[] }[];
  return new Map(known.map(({ name, labelNames }) => [name, labelNames]));
}

const known = metrics();
const ours = [...known].filter(([name]) => name.startsWith('coordinator_'));

/** The metrics that an expression names, a series of a histogram by the name of the histogram. */
function namesIn(expression: string): string[] {
  const names = expression.match(/\b(?:coordinator|process|nodejs|temporal)_\w+/g) ?? [];
  return names.map((name) => (known.has(name) ? name : name.replace(/_(?:bucket|sum|count)$/, '')));
}

/** The labels that selectors, `by` and `legendFormat` may name beside those of the metric. */
const OF_PROMETHEUS = ['job', 'instance', 'le'];

/** Labels that the expression selects or groups by and that none of its metrics has. */
function unknownLabels(expression: string): string[] {
  const has = new Set([...OF_PROMETHEUS, ...namesIn(expression).flatMap((name) => known.get(name) ?? [])]);
  const selected = [...expression.matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*"/g)].map(([, label = '']) => label);
  const grouped = [...expression.matchAll(/\bby\s*\(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(/\s*,\s*/));
  return [...selected, ...grouped].filter((label) => !has.has(label));
}

describe('the rules', () => {
  it.each(rules.map((rule) => [rule.alert, rule] as const))(
    '%s names metrics and labels that there are',
    (_n, rule) => {
      expect(namesIn(rule.expr).length).toBeGreaterThan(0);
      expect(namesIn(rule.expr).filter((name) => !known.has(name))).toEqual([]);
      expect(unknownLabels(rule.expr)).toEqual([]);
      expect(['critical', 'warning']).toContain(rule.labels['severity']);
      expect(Object.keys(rule.annotations).sort()).toEqual(['description', 'summary']);
    },
  );

  it('have a test each that fires, and a row in the guide', () => {
    const { tests } = parse(read('deploy/prometheus/rules.test.yml')) as {
      tests: { alert_rule_test: { alertname: string; exp_alerts: unknown[] }[] }[];
    };
    const checks = tests.flatMap((test) => test.alert_rule_test);
    const firing = new Set(checks.filter((check) => check.exp_alerts.length > 0).map((check) => check.alertname));
    const guide = [...read('docs/guides/monitor.md').matchAll(/^\| `(Coordinator\w+)`/gm)].map(([, name]) => name);
    const names = rules.map(({ alert }) => alert);
    expect([...firing].sort()).toEqual([...names].sort());
    expect(guide).toEqual(names);
  });

  onPromtool(`pass ${PROMTOOL}`, () => {
    expect(promtool(['check', 'rules', 'rules.yml'], { cwd: FOLDER })).toBeNull();
    expect(promtool(['test', 'rules', 'rules.test.yml'], { cwd: FOLDER })).toBeNull();
  });

  onPromtool(`that are broken do not pass ${PROMTOOL}`, () => {
    const folder = mkdtempSync(join(tmpdir(), 'rules-'));
    try {
      writeFileSync(join(folder, 'rules.test.yml'), read('deploy/prometheus/rules.test.yml'));
      const broken = read('deploy/prometheus/rules.yml').replace('_waiting_seconds) > 600', '_waiting_seconds) > 700');
      writeFileSync(join(folder, 'rules.yml'), broken);
      expect(promtool(['test', 'rules', 'rules.test.yml'], { cwd: folder })).toContain('CoordinatorOperationWaiting');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('the dashboard', () => {
  it('names metrics and labels that there are', () => {
    expect(expressions.length).toBeGreaterThan(20);
    expect(expressions.flatMap(namesIn).filter((name) => !known.has(name))).toEqual([]);
    expect(expressions.flatMap(unknownLabels)).toEqual([]);
  });

  it('shows every metric of the coordinator, except those that say little in a picture', () => {
    const shown = new Set(expressions.flatMap(namesIn));
    const left = ours.map(([name]) => name).filter((name) => !shown.has(name));
    expect(left).toEqual(LEFT_OUT);
  });

  it('has panels that Grafana can lay out, each with a title, a meaning and the chosen data source', () => {
    expect(dashboard.uid).toMatch(/^[\w-]{1,40}$/);
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
    expect(dashboard.templating.list.map(({ name }) => name)).toEqual(['datasource', 'job']);
    for (const { title, description, datasource, targets = [] } of panels) {
      expect([title, description ?? '', datasource?.uid]).toEqual([
        expect.stringMatching(/./),
        expect.stringMatching(/\.$/),
        '${datasource}',
      ]);
      expect(targets.length).toBeGreaterThan(0);
      expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length);
      for (const target of targets) expect(target.datasource.uid).toBe('${datasource}');
      // A variable that nobody chooses would show all clusters as one.
      for (const { expr } of targets) expect(expr).toContain('job=~"$job"');
    }
  });

  it('has no two panels in one place', () => {
    const places = dashboard.panels.map(({ gridPos }) => gridPos);
    for (const [index, a] of places.entries()) {
      expect(a.x + a.w).toBeLessThanOrEqual(24);
      const over = places
        .slice(index + 1)
        .filter((b) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h);
      expect(over).toEqual([]);
    }
  });

  onPromtool(`has expressions that pass ${PROMTOOL}`, () => {
    const folder = mkdtempSync(join(tmpdir(), 'dashboard-'));
    try {
      const recorded = expressions.map((expr, index) => ({
        record: `panel:${index}`,
        expr: expr.replaceAll('$__rate_interval', '5m').replaceAll('$job', 'any'),
      }));
      writeFileSync(join(folder, 'panels.json'), JSON.stringify({ groups: [{ name: 'panels', rules: recorded }] }));
      expect(promtool(['check', 'rules', 'panels.json'], { cwd: folder })).toBeNull();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

/** Told by the phase, by another panel beside them, or for the rules alone. */
const LEFT_OUT = [
  'coordinator_info',
  'coordinator_state_answered',
  'coordinator_state_age_seconds',
  'coordinator_autoscale_enabled',
  'coordinator_autoscale_high_water_bytes',
  'coordinator_operations',
  'coordinator_operation_past_no_return',
  'coordinator_scans',
];

describe('the guide', () => {
  const rows = [...read('docs/guides/monitor.md').matchAll(/^\| `(coordinator_\w+)` *\| ([^|]*?) *\| (.*?) *\|$/gm)];

  it('lists the metrics with their labels and meanings, and no other', () => {
    const listed = rows.map(([, name, labels = '']) => [
      name,
      [...labels.matchAll(/`(\w+)`/g)].map(([, each]) => each),
    ]);
    expect(listed).toEqual(ours.map(([name, labels]) => [name, [...labels]]));
    for (const [, , , meaning = ''] of rows) expect(meaning.split(' ').length).toBeLessThanOrEqual(20);
  });
});

describe('a metric', () => {
  it('has only labels of which the values are bounded', () => {
    const labels = new Set(ours.flatMap(([, names]) => names));
    expect([...labels].sort()).toEqual([
      'by',
      'cluster',
      'code',
      'end',
      'kind',
      'method',
      'phase',
      'reason',
      'role',
      'route',
      'router',
      'shard',
      'source',
      'usable',
    ]);
  });
});
