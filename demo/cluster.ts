/** A demo's cluster while it runs: two shards, one more outside of it, a router, the coordinator, and clients that are checked on. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { placementSpec, type ShardMap } from '../src/domain/shard-map';
import { locateTemporalCli } from '../src/temporal/dev-server/temporal-cli';
import { ToolMissingError } from '../src/temporal/dev-server/tool-cache';
import type { OperationView } from '../src/wire/coordinator-api';
import { freePort } from '../test/support/free-port';
import { locateQuiver } from '../test/support/real-quiver';
import { waitFor } from '../test/support/wait-for';
import { RegisterCheck, type CheckedCollection } from '../test/support/register-check';
import { ensureBuilt } from './build';
import { runCommand } from './command';
import { countPoints, DemoApi } from './demo-api';
import {
  KEY,
  quickParts,
  realParts,
  startDemoCoordinator,
  type DemoCoordinator,
  type Part,
  type ShardPart,
  type PartsMaker,
} from './parts';
import type { Stage } from './stage';
import { againLines, goneLines, lookLines, reportLines, type PointsSeen } from './summary';
import { count, seconds } from './terminal';
import { watchOperation } from './watch';

const CLIENTS = 8;
const REQUESTS_PER_SECOND = 200;

export interface ClusterShape {
  readonly points: number;
  /** What the empty shard outside of the cluster is called. */
  readonly outsider: string;
}

interface Started {
  readonly stage: Stage;
  readonly owners: readonly [ShardPart, ShardPart];
  readonly outsider: Part;
  /** To grow once more; only where the demo stays up. */
  readonly spare: Part | null;
  readonly router: Part;
  readonly coordinator: DemoCoordinator;
  readonly points: number;
}

/** Installs, builds and starts what is needed, and says so while it happens. No points yet, and no clients. */
export async function startCluster(stage: Stage, shape: ClusterShape): Promise<DemoCluster> {
  const report = (line: string): void => stage.note(line);
  const dir = await mkdtemp(join(tmpdir(), 'coordinator-demo-'));
  stage.owns(() => rm(dir, { recursive: true, force: true }));
  const temporalCli = await locateTemporalCli({ report });
  await ensureBuilt(() => stage.note('building the coordinator …'));
  const maker = await findParts(stage, dir);
  const port = await freePort();
  const { parts, router } = await stage.step('shards and router', async () => {
    const names = ['shard0', 'shard1', 'shard2', ...(stage.options.isKept ? ['spare'] : [])];
    const result = await startParts(stage, { maker, names, coordinatorUrl: `http://127.0.0.1:${port}` });
    return { result, note: `two shards, an empty ${shape.outsider}, a router: ${maker.name}` };
  });
  const [first, second, outsider, spare = null] = parts;
  if (first === undefined || second === undefined || outsider === undefined)
    throw new Error('three shards were to be started');
  const coordinator = await stage.step('coordinator', async () => {
    const shardUrls = [first.url, second.url];
    const result = await startDemoCoordinator({ temporalCli, dir, port, shardUrls, routerUrl: router.url });
    stage.owns(() => result.process.stop());
    await waitFor('the router holds the map', () => holdsAMap(router.url));
    return { result, note: 'node dist/main.js serve, with a Temporal of its own' };
  });
  const { url: api, webUiUrl: webUi } = coordinator;
  stage.lines(lookLines(stage.terminal, { api, webUi, key: KEY }));
  return new DemoCluster({
    stage,
    owners: [first, second],
    outsider,
    spare,
    router,
    coordinator,
    points: shape.points,
  });
}

async function findParts(stage: Stage, dir: string): Promise<PartsMaker> {
  if (stage.options.isQuick) return quickParts(dir);
  try {
    return realParts(await locateQuiver({ report: (line) => stage.note(line) }), dir);
  } catch (error) {
    if (!(error instanceof ToolMissingError)) throw error;
    stage.note(`Real Quiver cannot be had here, so the shards are in-process stand-ins: ${error.message}`);
    return quickParts(dir);
  }
}

/** What has started is ended with the demo, also when another part does not start. */
async function startParts(
  stage: Stage,
  { maker, names, coordinatorUrl }: { maker: PartsMaker; names: readonly string[]; coordinatorUrl: string },
): Promise<{ parts: ShardPart[]; router: Part }> {
  const owned = async <P extends Part>(starting: Promise<P>): Promise<P> => {
    const part = await starting;
    stage.owns(() => part.stop());
    return part;
  };
  const parts = await Promise.all(names.map((name) => owned(maker.shard(name))));
  return { parts, router: await owned(maker.router({ coordinatorUrl })) };
}

/** Until then the router knows only its dead seed, and refuses everything. */
async function holdsAMap(routerUrl: string): Promise<boolean> {
  const answer = await fetch(`${routerUrl}/cluster/map`, { headers: { authorization: `Bearer ${KEY}` } });
  return ((await answer.json()) as ShardMap).version > 0;
}

export class DemoCluster {
  readonly outsiderUrl: string;
  /** Of all shards, in the map or not. */
  readonly shardUrls: readonly string[];
  readonly api: DemoApi;
  private readonly started: Started;
  private readonly stage: Stage;
  private readonly docs: CheckedCollection;
  private readonly check: RegisterCheck;
  /** Also of shards that have left the map. */
  private readonly ids = new Map<string, number>();

  constructor(started: Started) {
    const { stage, owners, outsider, coordinator, router, points } = started;
    this.started = started;
    this.stage = stage;
    this.outsiderUrl = outsider.url;
    this.shardUrls = [...owners, outsider].map((part) => part.url);
    this.api = new DemoApi(coordinator.url);
    this.docs = { name: 'docs', dim: 64, metric: 'l2', index: 'hnsw', ids: 'plain', points };
    this.check = new RegisterCheck({
      routerUrl: router.url,
      key: KEY,
      collections: [this.docs],
      clients: CLIENTS,
      requestsPerSecond: REQUESTS_PER_SECOND,
      newIds: 2_000,
    });
    stage.owns(() => this.check.close());
  }

  // ---- Points and clients ----

  /** After each batch but the last one, the next one is written when `afterBatch` has resolved. */
  async fill(
    afterBatch: () => Promise<void> = () => Promise.resolve(),
    below: () => readonly string[] = () => [],
  ): Promise<void> {
    const all = count(this.docs.points);
    await this.stage.step(
      'points',
      async (say) => {
        await this.check.prefill((points) => {
          say(`${count(points)} of ${all}`);
          return points < this.docs.points ? afterBatch() : undefined;
        });
        await Promise.all(this.started.owners.map((owner) => owner.seal()));
        return { result: null, note: `${all} of ${this.docs.dim} dimensions, written through the router and sealed` };
      },
      below,
    );
  }

  async startClients(): Promise<void> {
    await this.stage.step('clients', () => {
      this.check.start();
      const note = `${CLIENTS} that write, delete and read through the router from now on`;
      return Promise.resolve({ result: null, note });
    });
  }

  // ---- Operations ----

  /** Runs a command of the command line. True when it succeeded. */
  run(...words: string[]): Promise<boolean> {
    return runCommand(this.stage, this.started.coordinator.url, words);
  }

  /** Shows an operation that nobody has called for, until it has ended, and how it ended. True when it succeeded. */
  async watch(operationId: string): Promise<boolean> {
    const { terminal } = this.stage;
    const read = (): Promise<OperationView> => this.api.operation(operationId);
    const { web_ui_url } = await read();
    const link = `watch it in the Web UI: ${web_ui_url ?? this.started.coordinator.webUiUrl}`;
    this.stage.lines([`  ${terminal.paint('dim', link)}`, '']);
    const { status, outcome } = await watchOperation({ terminal, read, counts: this.check.counts });
    const hasSucceeded = status === 'succeeded';
    const ended = `${status}: ${outcome?.message ?? ''}, in ${seconds((outcome?.duration_s ?? 0) * 1_000)}`;
    this.stage.lines(['', `  ${terminal.paint(hasSucceeded ? 'green' : 'red', ended)}`, '']);
    return hasSucceeded;
  }

  // ---- What is where ----

  async pointsPerShard(): Promise<PointsSeen> {
    const map = await this.api.map();
    for (const { id, primary_url } of map.shards) this.ids.set(primary_url, id);
    return Promise.all(
      this.shardUrls.map(async (url) => {
        return { url, id: this.ids.get(url) ?? null, place: placeOf(map, url), points: await countPoints(url) };
      }),
    );
  }

  /** Ends the clients, looks everything up, and says what was found. True when all of it is right. */
  async verify(): Promise<boolean> {
    const report = await this.stage.step('check', async () => {
      await this.check.stop();
      const map = await this.api.map();
      for (const { id, primary_url } of map.shards) this.ids.set(primary_url, id);
      const result = await this.check.verify({
        shards: this.shardUrls.map((url) => ({ id: this.ids.get(url) ?? -1, url })),
        placement: placementSpec(map),
        throughRouter: 'written',
      });
      const { ids, throughRouter } = result.checked;
      const note = `${count(ids)} ids looked up on all shards, ${count(throughRouter)} through the router too`;
      return { result, note };
    });
    const { isRight, lines } = reportLines(this.stage.terminal, report);
    this.stage.lines(lines);
    return isRight;
  }

  /** What comes next: nothing, or what to do with it when it stays up. `more`: words of the command line. */
  end(more: readonly { what: string; words: string }[] = []): void {
    const { terminal, options } = this.stage;
    const { coordinator, spare } = this.started;
    if (spare === null) return this.stage.lines(goneLines(terminal, options));
    this.check.start();
    const { url: api, webUiUrl: webUi } = coordinator;
    this.stage.lines(againLines(terminal, { api, webUi, key: KEY, spare: spare.url, calls: more }));
  }
}

function placeOf({ shards, joining, leaving }: ShardMap, url: string): PointsSeen[number]['place'] {
  const id = shards.find((shard) => shard.primary_url === url)?.id;
  if (id === undefined) return 'outside';
  if (joining.includes(id)) return 'joining';
  return leaving.includes(id) ? 'leaving' : 'owner';
}
