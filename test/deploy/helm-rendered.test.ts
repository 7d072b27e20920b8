/** The chart as helm itself renders it. Skipped where helm is not on the path. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';

const CHART = join(__dirname, '../../deploy/helm/quiver-coordinator');
const hasHelm = spawnSync('helm', ['version', '--short']).status === 0;
const withHelm = hasHelm ? describe : describe.skip;

function helm(command: 'lint' | 'template', values: 'least' | 'all', sets: readonly string[] = []) {
  const words =
    command === 'lint' ? ['lint', '--strict', '.'] : ['template', 'quiver', '.', '--kube-version', '1.31.0'];
  const args = [...words, '-f', `ci/${values}-values.yaml`, ...sets.flatMap((each) => ['--set', each])];
  return spawnSync('helm', args, { cwd: CHART, encoding: 'utf8' });
}

interface Container {
  readonly env: readonly {
    name: string;
    value?: string;
    valueFrom?: { secretKeyRef: { name: string; key: string } };
  }[];
  readonly ports?: readonly { name: string; containerPort: number }[];
  readonly volumeMounts: readonly { name: string }[];
}
interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly spec: {
    readonly template?: { readonly spec: { readonly containers: readonly Container[] } };
    readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> };
    readonly podMetricsEndpoints?: readonly Readonly<Record<string, unknown>>[];
    readonly ingress?: readonly unknown[];
  };
}

function rendered(values: 'least' | 'all', ...sets: string[]): readonly Manifest[] {
  const run = helm('template', values, sets);
  expect([run.status, run.stderr.replace(/^walk\.go.*\n/gm, '')]).toEqual([0, '']);
  return parseAllDocuments(run.stdout)
    .map((each) => each.toJS() as Manifest | null)
    .filter((each) => each !== null);
}

function find(manifests: readonly Manifest[], kind: string, component: string): Manifest | undefined {
  return manifests.find(({ kind: its, metadata }) => its === kind && metadata.name.endsWith(component));
}

function containerOf(manifests: readonly Manifest[], component: 'api' | 'worker') {
  const container = find(manifests, 'Deployment', component)?.spec.template?.spec.containers[0];
  const env = Object.fromEntries((container?.env ?? []).map((each) => [each.name, each]));
  return { env, ports: container?.ports ?? [], mounts: (container?.volumeMounts ?? []).map(({ name }) => name) };
}

withHelm(`the chart as helm renders it${hasHelm ? '' : ' (skipped: no helm here)'}`, () => {
  it.each(['least', 'all'] as const)('passes helm lint with the values %s', (values) => {
    const { status, stdout } = helm('lint', values);
    expect([status, stdout]).toEqual([0, expect.stringContaining('0 chart(s) failed')]);
  });

  it('shows no metrics of workers, and gives them no key of the API, unless it is told to', () => {
    const manifests = rendered('least');
    const { env, ports, mounts } = containerOf(manifests, 'worker');
    expect(env['COORDINATOR_METRICS_ADDR']).toBeUndefined();
    expect(env['COORDINATOR_API_KEYS_FILE']).toBeUndefined();
    expect(env['COORDINATOR_HOOKS_KEY']).toBeUndefined();
    expect([ports, mounts]).toEqual([[], ['shard-keys', 'data']]);
    expect(manifests.map(({ kind }) => kind)).not.toContain('PodMonitor');
  });

  it('has the metrics of workers scraped, at the port on which they listen', () => {
    const manifests = rendered('all');
    const { env, ports, mounts } = containerOf(manifests, 'worker');
    expect(env['COORDINATOR_METRICS_ADDR']?.value).toBe('0.0.0.0:9000');
    expect(ports).toEqual([{ name: 'metrics', containerPort: 9000 }]);
    expect(env['COORDINATOR_API_KEYS_FILE']).toBeDefined();
    expect(mounts).toContain('api-keys');
    const monitor = find(manifests, 'PodMonitor', 'worker');
    expect(monitor?.spec.podMetricsEndpoints).toEqual([
      {
        port: 'metrics',
        path: '/metrics',
        interval: '30s',
        authorization: { type: 'Bearer', credentials: { name: 'quiver-read-key', key: 'key' } },
      },
    ]);
    const worker = find(manifests, 'Deployment', 'worker');
    expect(monitor?.spec.selector?.matchLabels).toEqual(worker?.spec.selector?.matchLabels);
    expect(find(manifests, 'NetworkPolicy', 'worker')?.spec.ingress).toMatchObject([{ ports: [{ port: 'metrics' }] }]);
  });

  it('gives workers no key of the API where the page of metrics is open', () => {
    const { env, mounts } = containerOf(rendered('all', 'settings.COORDINATOR_METRICS_OPEN=true'), 'worker');
    expect(env['COORDINATOR_METRICS_ADDR']).toBeDefined();
    expect(env['COORDINATOR_API_KEYS_FILE']).toBeUndefined();
    expect(mounts).not.toContain('api-keys');
  });

  it.each(['api', 'worker'] as const)('gives the key of the webhooks to the %s by reference', (component) => {
    const { env } = containerOf(rendered('all'), component);
    expect(env['COORDINATOR_HOOKS_KEY']).toEqual({
      name: 'COORDINATOR_HOOKS_KEY',
      valueFrom: { secretKeyRef: { name: 'quiver-hooks-key', key: 'key' } },
    });
  });

  it.each(['api', 'worker'] as const)(
    'gives the headers for the collector of traces to the %s by reference',
    (component) => {
      const { env } = containerOf(rendered('all'), component);
      expect(env['OTEL_EXPORTER_OTLP_HEADERS']).toEqual({
        name: 'OTEL_EXPORTER_OTLP_HEADERS',
        valueFrom: { secretKeyRef: { name: 'quiver-otlp-headers', key: 'headers' } },
      });
    },
  );

  it.each(['COORDINATOR_HOOKS_KEY', 'OTEL_EXPORTER_OTLP_HEADERS'])(
    'refuses %s as a setting, which would be in plain text',
    (name) => {
      const { status, stderr } = helm('template', 'least', [`settings.${name}=a-key-in-plain-text`]);
      expect([status, stderr]).toEqual([1, expect.stringContaining(name)]);
    },
  );

  it('renders with the values of a release before it, which lack what is new', () => {
    const lacking = ['worker.metrics=null', 'secrets.hooksKey=null', 'secrets.otlpHeaders=null'];
    const { env, ports } = containerOf(rendered('least', ...lacking), 'worker');
    expect([env['COORDINATOR_METRICS_ADDR'], env['COORDINATOR_HOOKS_KEY'], ports]).toEqual([undefined, undefined, []]);
  });
});
