/** `npm run settings`: writes docs/reference/settings.md from the table of the settings. A test fails when the page is older. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Group, Setting } from '../src/config/setting';
import { SETTINGS, tomlKey } from '../src/config/settings';

export const SETTINGS_PAGE = join(__dirname, '..', 'docs', 'reference', 'settings.md');

const INTRODUCTION = `# Settings

<!-- \`npm run settings\` writes this page from src/config/settings.ts. -->

Settings come from the environment, or from the file \`quiver.toml\`. The environment wins. The file
is in the working directory, or where \`QUIVER_CONFIG\` points.

- A list is \`[a,b]\` or \`a,b\` in the environment.
- The key \`autoscale.enabled\` is the key \`enabled\` in the table \`[autoscale]\`.
- A blank variable of the environment counts as not set.
- A bad setting ends the program with exit code 2 and one line that names it.
- An unknown name that begins with \`COORDINATOR_\`, or is in \`[autoscale]\`, is a bad setting.
- Variables that Kubernetes makes of services, such as \`COORDINATOR_API_SERVICE_HOST\` or
  \`COORDINATOR_TEMPORAL_PORT=tcp://…\`, are no settings. One line of the log names them.
`;

interface Section {
  readonly title: string;
  /** Below the title, in lines of at most 100 characters. */
  readonly text?: string;
}

const SECTIONS: Readonly<Record<Group, Section>> = {
  cluster: {
    title: 'Cluster',
    text: `An API reads the shards and the state file when its cluster has no state yet. A cluster with state
ignores them. Workers need \`QUIVER_CLUSTER_SHARD_KEY\`. APIs need it to ask routers at their start.

\`COORDINATOR_ALLOWED_HOSTS\` holds for the address that a name resolves to, each time a connection is
made. [Guarantees](../guarantees.md#which-addresses-are-called) says which addresses are never called.
A pattern \`*.quiver.svc\` allows all names below \`quiver.svc\`, whatever they resolve to.`,
  },
  api: {
    title: 'API',
    text: `An API needs keys, or \`QUIVER_INSECURE=true\`. In \`quiver.toml\` a key can also be a table with a
secret, a role and an id. The role is \`read\`, \`write\` or \`admin\`. The id is optional:

\`\`\`toml
api_keys = ["an-admin-key", { secret = "the-shard-key", role = "read", id = "routers" }]
\`\`\``,
  },
  routers: {
    title: 'Routers and timings',
    text: `An operation keeps the times and router URLs of the API that started it. Operations of the policy
have those of the API that started last. \`COORDINATOR_IN_FLIGHT_MS\` must be longer than the slowest
write of a router.`,
  },
  autoscale: {
    title: 'Autoscale',
    text: `A cluster that has no policy yet begins with these. A cluster with a policy ignores them.
[Autoscale](../guides/autoscale.md) says how to change the policy of a cluster.`,
  },
  limits: {
    title: 'Limits of operations',
    text: `An API gives them to its cluster when it starts, unless somebody has set limits by hand.
[The whole cluster](../guides/pause.md#the-whole-cluster) says what becomes of them.`,
  },
  temporal: {
    title: 'Temporal',
    text: `The library \`@temporalio/envconfig\` reads Temporal's own settings: \`TEMPORAL_ADDRESS\`,
\`TEMPORAL_NAMESPACE\`, \`TEMPORAL_API_KEY\`, \`TEMPORAL_TLS_…\`, \`TEMPORAL_PROFILE\` and
\`TEMPORAL_CONFIG_FILE\`. Without an address \`serve\` starts an embedded Temporal. With the word
\`none\` as \`COORDINATOR_PUBLISHED_FILE\` only Temporal keeps the last published map.`,
  },
  embedded: {
    title: 'Embedded server',
    text: `\`serve\` starts an embedded Temporal when no setting names a Temporal.`,
  },
  metrics: {
    title: 'Metrics',
    text: `An API shows the page at \`/metrics\` of its own address.
[Watch with Prometheus](../guides/monitor.md) lists the metrics.`,
  },
  logs: { title: 'Logs' },
  tracing: {
    title: 'Tracing',
    text: `With \`otlp\`, OpenTelemetry's library reads its standard settings from the environment, never from
\`quiver.toml\`: \`OTEL_EXPORTER_OTLP_ENDPOINT\`, \`OTEL_SERVICE_NAME\`, \`OTEL_TRACES_SAMPLER\` and others.
[Traces](../guides/traces.md) says how they go together.`,
  },
};

const HEADER = ['Setting', 'Key in `quiver.toml`', 'Meaning', 'Default', 'Unit', 'Allowed'];

export function settingsPage(): string {
  const rows = Object.entries<Setting>(SETTINGS);
  const sections = Object.entries(SECTIONS).map(([group, { title, text }]) => {
    const table = tableOf(rows.filter(([, setting]) => setting.group === group).map(cellsOf));
    return [`## ${title}`, ...(text === undefined ? [] : [text]), table].join('\n\n');
  });
  return `${[INTRODUCTION.trimEnd(), ...sections].join('\n\n')}\n`;
}

function cellsOf([name, setting]: readonly [string, Setting]): readonly string[] {
  const { bounds } = setting;
  return [
    code(name),
    setting.isEnvironmentOnly ? '' : code(tomlKey(name)),
    setting.meaning,
    setting.defaultInWords ?? (setting.default === null ? 'none' : code(setting.default)),
    setting.unit ?? '',
    bounds === undefined ? allowedOf(setting) : `${bounds.min} to ${bounds.max}`,
  ];
}

function allowedOf({ expected, itemsMax }: Setting): string {
  // GitHub takes a word in angle brackets for HTML and hides it.
  const visible = expected.replace(/(?:<[^>]+>[:=]?)+|\{[^}]+\}/g, code);
  return itemsMax === undefined ? visible : `${visible}, at most ${itemsMax}`;
}

const code = (text: string): string => `\`${text}\``;

/** As prettier lays tables out. */
function tableOf(rows: readonly (readonly string[])[]): string {
  const widths = HEADER.map((title, column) =>
    Math.max(...[HEADER, ...rows].map((row) => row[column]?.length ?? 0), title.length),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  return [line(HEADER), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

if (require.main === module) {
  writeFileSync(SETTINGS_PAGE, settingsPage());
  console.log('wrote docs/reference/settings.md');
}
