/** The demo, step by step. Whatever was started is ended again, however it goes. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { placementSpec } from '../src/domain/shard-map';
import { locateTemporalCli } from '../src/temporal/temporal-cli';
import { ToolMissingError } from '../src/temporal/tool-cache';
import { freePort, locateQuiver } from '../test/support/real-quiver';
import { RegisterCheck, type CheckedCollection, type RegisterReport } from '../test/support/register-check';
import { ensureBuilt } from './build';
import {
  KEY,
  quickParts,
  realParts,
  startDemoCoordinator,
  type DemoCoordinator,
  type Part,
  type PartsMaker,
} from './cluster';
import { countPoints, DemoApi } from './demo-api';
import { addressLines, againLines, growLine, pointsTable, reportLines, type ShardPoints } from './summary';
import { count, seconds, type Terminal } from './terminal';
import { watchOperation } from './watch';

const DOCS: CheckedCollection = { name: 'docs', dim: 64, metric: 'l2', index: 'hnsw', ids: 'plain', points: 50_000 };
const CLIENTS = 8;
const REQUESTS_PER_SECOND = 200;
const STEP_COLUMNS = 21;
const TIME_COLUMNS = 7;

export interface DemoOptions {
  readonly isQuick: boolean;
  readonly isKept: boolean;
}

interface Cluster {
  /** Two owners and the one that is to join. */
  readonly shards: readonly Part[];
  readonly joiner: Part;
  /** To grow once more; only where the demo stays up. */
  readonly spare: Part | null;
  readonly coordinator: DemoCoordinator;
  readonly api: DemoApi;
  readonly check: RegisterCheck;
}

export class Demo {
  private readonly terminal: Terminal;
  private readonly options: DemoOptions;
  private readonly cleanups: (() => Promise<unknown>)[] = [];
  private cleaning: Promise<void> | null = null;

  constructor(terminal: Terminal, options: DemoOptions) {
    this.terminal = terminal;
    this.options = options;
  }

  /** True when everything went right. With `isKept` everything is still up then. */
  async run(): Promise<boolean> {
    const { terminal } = this;
    terminal.print();
    terminal.print(
      `  ${terminal.paint('bold', 'A Quiver cluster grows from two shards to three while clients write to it')}`,
    );
    terminal.print();
    const cluster = await this.startCluster(await this.findTools());
    const before = await this.pointsOf(cluster);
    const isGrown = await this.grow(cluster);
    const report = await this.verify(cluster);
    const after = await this.pointsOf(cluster);
    this.lines(pointsTable(terminal, before, after));
    const { isRight, lines } = reportLines(terminal, report);
    this.lines(lines);
    const { url: api, webUiUrl } = cluster.coordinator;
    this.lines(addressLines(terminal, { api, webUi: webUiUrl, isKept: this.options.isKept }));
    if (cluster.spare !== null) {
      cluster.check.start();
      this.lines(againLines(terminal, { api, key: KEY, spare: cluster.spare.url }));
    }
    return isGrown && isRight;
  }

  /** Ends what was started, newest first. Safe to call at any moment, and twice. */
  cleanUp(): Promise<void> {
    this.cleaning ??= this.cleanUpOnce();
    return this.cleaning;
  }

  private async cleanUpOnce(): Promise<void> {
    this.terminal.hide();
    for (;;) {
      const cleanup = this.cleanups.pop();
      if (cleanup === undefined) return;
      // One part that does not end properly must not keep the others from ending.
      await cleanup().catch((error: unknown) => this.terminal.print(`  could not end a part: ${String(error)}`));
    }
  }

  // ---- Before the grow ----

  /** Installs and builds what is missing, and says so while it happens. */
  private async findTools(): Promise<{ temporalCli: string; maker: PartsMaker }> {
    const report = (line: string): void => this.note(line);
    const dir = await mkdtemp(join(tmpdir(), 'coordinator-demo-'));
    this.cleanups.push(() => rm(dir, { recursive: true, force: true }));
    const temporalCli = await locateTemporalCli({ report });
    await ensureBuilt(() => this.note('building the coordinator …'));
    return { temporalCli, maker: await this.findParts(dir, report) };
  }

  private async findParts(dir: string, report: (line: string) => void): Promise<PartsMaker> {
    if (this.options.isQuick) return quickParts(dir);
    try {
      return realParts(await locateQuiver({ report }), dir);
    } catch (error) {
      if (!(error instanceof ToolMissingError)) throw error;
      this.note(`Real Quiver cannot be had here, so the shards are in-process stand-ins: ${error.message}`);
      return quickParts(dir);
    }
  }

  private async startCluster({ temporalCli, maker }: { temporalCli: string; maker: PartsMaker }): Promise<Cluster> {
    const names = ['shard0', 'shard1', 'shard2', ...(this.options.isKept ? ['spare'] : [])];
    const port = await freePort();
    const [parts, router] = await this.step('shards and router', async () => {
      const started = await Promise.all(names.map((name) => this.owned(maker.shard(name))));
      const shardUrls = started.slice(0, 2).map((part) => part.url);
      const coordinatorUrl = `http://127.0.0.1:${port}`;
      const startedRouter = await this.owned(maker.router({ shardUrls, coordinatorUrl }));
      return {
        result: [started, startedRouter] as const,
        note: `two shards, an empty third one, a router: ${maker.name}`,
      };
    });
    const [first, second, joiner, spare = null] = parts;
    if (first === undefined || second === undefined || joiner === undefined)
      throw new Error('three shards were started');
    const shardUrls = [first.url, second.url];
    const coordinator = await this.step('coordinator', async () => {
      const result = await startDemoCoordinator({
        temporalCli,
        dir: maker.dir,
        port,
        shardUrls,
        routerUrl: router.url,
      });
      this.cleanups.push(() => result.process.stop());
      return { result, note: 'node dist/main.js serve, with a Temporal of its own' };
    });
    const check = await this.startClients(router.url);
    return { shards: [first, second, joiner], joiner, spare, coordinator, api: new DemoApi(coordinator.url), check };
  }

  private async startClients(routerUrl: string): Promise<RegisterCheck> {
    const check = new RegisterCheck({
      routerUrl,
      key: KEY,
      collections: [DOCS],
      clients: CLIENTS,
      requestsPerSecond: REQUESTS_PER_SECOND,
      newIds: 2_000,
    });
    this.cleanups.push(() => check.close());
    await this.step('points', async (say) => {
      await check.prefill((points) => say(`${count(points)} of ${count(DOCS.points)}`));
      return { result: null, note: `${count(DOCS.points)} of ${DOCS.dim} dimensions, written through the router` };
    });
    await this.step('clients', () => {
      check.start();
      const note = `${CLIENTS} that write, delete and read through the router from now on`;
      return Promise.resolve({ result: null, note });
    });
    return check;
  }

  /** Adds to what has to be ended, also when another part of the same step fails. */
  private async owned(starting: Promise<Part>): Promise<Part> {
    const part = await starting;
    this.cleanups.push(() => part.stop());
    return part;
  }

  // ---- The grow ----

  private async grow({ joiner, coordinator, api, check }: Cluster): Promise<boolean> {
    const { terminal } = this;
    const answer = await api.grow(joiner.url);
    this.lines(growLine(terminal, joiner.url, answer));
    const read = (): ReturnType<DemoApi['operation']> => api.operation(answer.location);
    const { web_ui_url } = await read();
    terminal.print(`  ${terminal.paint('dim', `watch it in the Web UI: ${web_ui_url ?? coordinator.webUiUrl}`)}`);
    terminal.print();
    const operation = await watchOperation({ terminal, read, counts: check.counts });
    const isGrown = operation.status === 'succeeded';
    const outcome = `${operation.status}: ${operation.outcome?.message ?? ''}, in ${seconds((operation.outcome?.duration_s ?? 0) * 1000)}`;
    terminal.print();
    terminal.print(`  ${terminal.paint(isGrown ? 'green' : 'red', outcome)}`);
    terminal.print();
    return isGrown;
  }

  private async verify({ api, check, shards }: Cluster): Promise<RegisterReport> {
    return this.step('check', async () => {
      await check.stop();
      const map = await api.map();
      const idOf = (url: string): number => map.shards.find((shard) => shard.primary_url === url)?.id ?? -1;
      const places = shards.map(({ url }) => ({ id: idOf(url), url }));
      const placement = placementSpec(map);
      const result = await check.verify({ shards: places, placement, throughRouter: 'written' });
      const { ids, throughRouter } = result.checked;
      return {
        result,
        note: `${count(ids)} ids looked up on all shards, ${count(throughRouter)} through the router too`,
      };
    });
  }

  private async pointsOf({ shards, api }: Cluster): Promise<ShardPoints[]> {
    const map = await api.map();
    return Promise.all(
      shards.map(async ({ url }) => {
        const id = map.shards.find((shard) => shard.primary_url === url)?.id ?? null;
        return { id, url, points: await countPoints(url) };
      }),
    );
  }

  // ---- Leaves ----

  /** A step that is shown while it runs, and stays as one line with the time it took. */
  private async step<T>(
    name: string,
    work: (say: (what: string) => void) => Promise<{ result: T; note: string }>,
  ): Promise<T> {
    const { terminal } = this;
    const startedAtMs = performance.now();
    const time = (): string => seconds(performance.now() - startedAtMs).padStart(TIME_COLUMNS);
    let saying = '';
    terminal.show(() => [
      `  ${terminal.spinner()} ${name.padEnd(STEP_COLUMNS)}${time()}   ${terminal.paint('dim', saying)}`,
    ]);
    const { result, note } = await work((what) => (saying = what));
    terminal.hide();
    const mark = terminal.paint('green', '✔');
    terminal.print(`  ${mark} ${name.padEnd(STEP_COLUMNS)}${time()}   ${terminal.paint('dim', note)}`);
    return result;
  }

  private note(line: string): void {
    this.terminal.print(`    ${this.terminal.paint('dim', line)}`);
  }

  private lines(lines: readonly string[]): void {
    for (const line of lines) this.terminal.print(line);
  }
}
