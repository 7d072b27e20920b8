/** `status`, `map`, `shards`: the cluster as it is. */
import type { Command } from 'commander';
import { shardMapSchema, type WireShardMap } from '../../wire/cluster-map';
import { clusterHealthSchema, noticeListSchema, type NoticeList } from '../../wire/coordinator-api';
import { shardsViewSchema, type ShardsView } from '../../wire/shards';
import type { Context, Runner } from '../context';
import { EXIT, type ExitCode } from '../exit';
import { age, count } from '../output/format';
import { operationsTable } from '../output/operation-text';
import { list, table, type Cell, type Style } from '../output/table';
import { operationsSchema, type Operation } from '../rest/shapes';

export function addClusterCommands(program: Command, runner: Runner): void {
  program
    .command('status')
    .description('the cluster at a glance: map, shards, what runs, notices')
    .action((_options: unknown, command: Command) => runner.run(command, status));
  program
    .command('map')
    .description('the shard map that routers follow')
    .action((_options: unknown, command: Command) => runner.run(command, showMap));
  program
    .command('shards')
    .description('every shard: role, addresses, rows, identity')
    .action((_options: unknown, command: Command) => runner.run(command, showShards));
}

/** The map itself is not asked for: whoever reads it counts as one who routes by it. */
interface Status {
  readonly version: number;
  readonly shards: ShardsView['shards'];
  readonly health: Readonly<Record<string, boolean>>;
  readonly operation: Operation | null;
  readonly notices: NoticeList['notices'];
}

async function status(context: Context): Promise<ExitCode> {
  const { client } = context;
  const [view, health, operations, notices] = await Promise.all([
    client.call(shardsViewSchema, { path: '/cluster/shards' }),
    client.call(clusterHealthSchema, { path: '/cluster/health' }),
    client.call(operationsSchema, { path: '/cluster/operations' }),
    client.call(noticeListSchema, { path: '/cluster/notices' }),
  ]);
  const shown: Status = {
    ...view.value,
    health: health.value,
    operation: operations.value.operations.find((each) => each.status === 'running') ?? null,
    notices: notices.value.notices,
  };
  context.print(shown, (style) => statusText(shown, context, style));
  return EXIT.done;
}

function statusText(
  { version, shards, health, operation, notices }: Status,
  { client, io }: Context,
  style: Style,
): string {
  const idsOf = (those: (shard: Status['shards'][number]) => boolean): string =>
    shards
      .filter(those)
      .map(({ id }) => id)
      .join(', ');
  const down = idsOf(({ id }) => health[String(id)] === false);
  const moving = (['joining', 'leaving'] as const).map(
    (role) => [role, idsOf((shard) => shard.role === role)] as const,
  );
  const rows = shards.map((shard) => shard.rows);
  const sum = rows.reduce<number | null>((all, each) => (all === null || each === null ? null : all + each), 0);
  const head: [string, Cell][] = [
    ['coordinator', client.url],
    ['map version', version],
    ['shards', `${shards.length}, ${down === '' ? 'all answer' : `no answer of ${down}`}`],
    ['rows', count(sum)],
    ...moving.filter(([, ids]) => ids !== '').map(([role, ids]): [string, Cell] => [role, ids]),
    ['operation', operation === null ? 'none runs' : operation.id],
    ['notices', notices.length === 0 ? 'none' : notices.length],
  ];
  const told = notices.map(({ code, since, message }): Cell[] => [code, age(since, io.nowMs()), message]);
  return [
    list(head, style),
    operation === null ? '' : `\n${operationsTable([operation], io.nowMs(), style)}`,
    told.length === 0 ? '' : `\n${table(['NOTICE', 'AGE', 'WHAT'], told, style)}`,
  ].join('');
}

async function showMap(context: Context): Promise<ExitCode> {
  const { value, raw, headers } = await context.client.call(shardMapSchema, { path: '/cluster/map' });
  const stale = headers.get('coordinator-map-stale');
  if (stale !== null) context.tell(`this is the last known map, ${stale}`);
  context.print(raw, (style) => mapText(value, style));
  return EXIT.done;
}

export function mapText(map: WireShardMap, style: Style): string {
  const role = (id: number): string =>
    map.joining.includes(id) ? 'joining' : map.leaving.includes(id) ? 'leaving' : 'owner';
  const rows = map.shards.map(({ id, primary_url, replica_urls }): Cell[] => [
    id,
    role(id),
    primary_url,
    replica_urls.join(' '),
  ]);
  return `version ${map.version}\n\n${table(['SHARD', 'ROLE', 'PRIMARY', 'REPLICAS'], rows, style)}`;
}

async function showShards(context: Context): Promise<ExitCode> {
  const { value, raw } = await context.client.call(shardsViewSchema, { path: '/cluster/shards' });
  context.print(raw, (style) => shardsText(value, style));
  return EXIT.done;
}

function shardsText({ shards }: ShardsView, style: Style): string {
  const rows = shards.map((each): Cell[] => [
    each.id,
    each.role,
    count(each.rows),
    each.source,
    each.identity.epoch,
    each.primary_url,
    each.grpc_url,
    each.replica_urls.join(' '),
  ]);
  return table(['SHARD', 'ROLE', 'ROWS', 'READ FROM', 'EPOCH', 'PRIMARY', 'GRPC', 'REPLICAS'], rows, style);
}
