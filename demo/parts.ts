/** The parts of a demo's cluster: real Quiver processes, or the in-process shard and router of the tests. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { startCoordinator, type CoordinatorProcess } from '../test/support/coordinator-process';
import { startRouter } from '../test/support/in-process-router';
import { startShard } from '../test/support/in-process-shard';
import { routerEnvironment, startQuiver } from '../test/support/real-quiver';

export const KEY = 'demo-key';

/** An address that no shard has: a router without a map refuses writes, instead of sending them to its seeds. */
const DEAD_SEEDS = ['http://127.0.0.1:9'];

export interface Part {
  readonly url: string;
  stop(): Promise<void>;
}

export interface ShardPart extends Part {
  /** Has it put its rows into their final files, as those of every shard that matters are. */
  seal(): Promise<void>;
}

/** Starts shards and routers of one kind. */
export interface PartsMaker {
  readonly name: string;
  /** Everything that is written to disk is in it. */
  readonly dir: string;
  shard(name: string): Promise<ShardPart>;
  /** Needs no coordinator that answers already: it asks for the map again and again. */
  router(options: { coordinatorUrl: string }): Promise<Part>;
}

export function realParts(binary: string, dir: string): PartsMaker {
  const common = { binary, keys: [KEY] };
  return {
    name: 'Quiver processes',
    dir,
    shard: async (name) => {
      const shard = await startQuiver({ ...common, role: 'shard', dataDir: join(dir, name) });
      return { ...stoppable(shard), seal: () => snapshot(shard.url, join(dir, `${name}-snapshot`)) };
    },
    router: async ({ coordinatorUrl }) => {
      const env = routerEnvironment({ shards: DEAD_SEEDS, coordinatorUrl, shardKey: KEY });
      return stoppable(await startQuiver({ ...common, role: 'router', dataDir: join(dir, 'router'), env }));
    },
  };
}

/** A snapshot seals all rows. Nobody needs it afterwards. */
async function snapshot(url: string, destination: string): Promise<void> {
  const response = await fetch(`${url}/v1/snapshot`, {
    method: 'POST',
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ destination }),
  });
  if (!response.ok) throw new Error(`a shard took no snapshot: ${response.status} ${await response.text()}`);
  await rm(destination, { recursive: true, force: true });
}

/** Killed, not stopped: their data is thrown away, and nobody waits for a demo to end. */
function stoppable(quiver: { readonly url: string; kill(): Promise<void> }): Part {
  return { url: quiver.url, stop: () => quiver.kill() };
}

export function quickParts(dir: string): PartsMaker {
  return {
    name: 'in-process stand-ins',
    dir,
    shard: async () => {
      const shard = await startShard({ keys: [KEY] });
      return { url: shard.url, stop: () => shard.stop(), seal: () => Promise.resolve() };
    },
    router: ({ coordinatorUrl }) => startRouter({ coordinatorUrl, shardUrls: DEAD_SEEDS, shardKey: KEY, keys: [KEY] }),
  };
}

export interface DemoCoordinator {
  readonly process: CoordinatorProcess;
  readonly url: string;
  readonly webUiUrl: string;
}

/** `node dist/main.js serve` with a Temporal of its own, on free ports. */
export async function startDemoCoordinator(options: {
  temporalCli: string;
  port: number;
  dir: string;
  shardUrls: readonly string[];
  routerUrl: string;
}): Promise<DemoCoordinator> {
  const process = await startCoordinator({
    role: 'serve',
    env: {
      QUIVER_REST_ADDR: `127.0.0.1:${options.port}`,
      QUIVER_CLUSTER_SHARDS: `[${options.shardUrls.join(',')}]`,
      QUIVER_CLUSTER_SHARD_KEY: KEY,
      QUIVER_API_KEYS: KEY,
      COORDINATOR_CLUSTER: 'demo',
      COORDINATOR_ROUTER_URLS: options.routerUrl,
      COORDINATOR_ROUTERS_FAIL_CLOSED: 'true',
      COORDINATOR_DATA_DIR: join(options.dir, 'temporal'),
      COORDINATOR_TEMPORAL_PORT: '0',
      COORDINATOR_TEMPORAL_UI_PORT: '0',
      TEMPORAL_CLI: options.temporalCli,
    },
  });
  const { webUi } = await process.awaitLog('listening');
  return { process, url: process.url, webUiUrl: String(webUi) };
}
