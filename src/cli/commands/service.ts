/** `serve`, `api`, `worker` and `up`: the service itself, in this process. */
import type { Command } from 'commander';
import { httpUrl } from '../arguments';
import type { Context, Runner } from '../context';
import type { ServiceRole, UpReady } from '../io';
import { list } from '../output/table';

const ROLES: Readonly<Record<ServiceRole, string>> = {
  serve: 'run API and worker, with a Temporal of its own unless TEMPORAL_ADDRESS is set',
  api: 'run only the API',
  worker: 'run only a worker',
};

export function addServiceCommands(program: Command, runner: Runner): void {
  for (const [role, description] of Object.entries(ROLES) as [ServiceRole, string][]) {
    program
      .command(role)
      .description(`${description}; settings come from the environment`)
      .action((_options: unknown, command: Command) => runner.run(command, ({ io }) => io.services.run(role)));
  }
  program
    .command('up')
    .description('run everything in one process, with a Temporal and a key of its own')
    .argument('[url...]', 'shards of a new cluster, instead of QUIVER_CLUSTER_SHARDS', collectUrls)
    .action((urls: readonly string[] | undefined, _options: unknown, command: Command) =>
      runner.run(command, (context) => up(context, urls ?? [])),
    );
}

const collectUrls = (text: string, before: readonly string[] = []): readonly string[] => [...before, httpUrl(text)];

function up(context: Context, shardUrls: readonly string[]): Promise<number> {
  context.tell('starting the API, a worker and Temporal …');
  return context.io.services.up({ shardUrls, onReady: (ready) => printReady(context, ready) });
}

function printReady(context: Context, ready: UpReady): void {
  const { url, webUiUrl } = ready;
  const goOn = goOnLine(ready);
  const raw = { api: url, status_page: `${url}/`, web_ui: webUiUrl, go_on: goOn };
  context.print(raw, (style) =>
    list(
      [
        ['API', url],
        ['Status page', `${url}/`],
        ['Web UI', webUiUrl],
        ['Go on', goOn],
      ],
      style,
    ),
  );
  context.tell('Ctrl-C stops it. The cluster stays on disk.');
}

function goOnLine({ url, key }: UpReady): string {
  const settings = [`COORDINATOR_URL=${url}`];
  if (key.kind === 'file') settings.push(`COORDINATOR_KEY_FILE=${key.path}`);
  if (key.kind === 'configured') settings.push('COORDINATOR_KEY=one-of-QUIVER_API_KEYS');
  return `export ${settings.join(' ')} && quiver-coordinator status`;
}
