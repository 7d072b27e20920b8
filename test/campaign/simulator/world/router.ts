/**
 * A router, as protocol.md has it: owner first, then donor; all owners of a batch before the first donor; no time-out of
 * its own. It polls the map at its start and 2 s after each answer, and serves its seeds as version 0 until then.
 */
import { PlacementPlan } from '../../../../src/domain/placement-plan';
import { isDeadSeed } from '../../../../src/domain/router-watch';
import { placementSpec, type ShardMap } from '../../../../src/domain/shard-map';
import { Process } from '../runtime/time';
import type { Row } from './shard';
import type { World } from './world';

const POLL_MS = 2_000;

/** No answer came: the router died with the request. */
export class NoAnswer extends Error {}
/** The router answered that it failed. */
export class RouterRefused extends Error {}

export interface WriteRequest {
  readonly collection: string;
  readonly rows: readonly Row[];
  /** Deletes, when it has no rows. */
  readonly ids: readonly Buffer[];
}

/** How a write went, for the checks. */
export interface WriteTrace {
  version: number;
  beganAtMs: number;
  /** When the last shard carried it out. */
  lastAtMs: number;
  readonly shards: string[];
  byLiveSeeds: boolean;
}

export class Router {
  readonly url: string;
  readonly seeds: readonly string[];
  process: Process;
  isUp = false;
  /** Connections to it that are open. */
  readonly connections = new Set<{ breaks: (reason: string) => void }>();
  map: ShardMap;
  /** What its process was marked with: gone with it. */
  readonly marks = new Set<string>();
  /** Its polls get no answer until then, and it goes on with what it holds. */
  pollsHangUntilMs = 0;
  readonly #world: World;

  constructor(world: World, url: string, seeds: readonly string[]) {
    this.#world = world;
    this.url = url;
    this.seeds = seeds;
    this.process = new Process(url);
    this.process.isAlive = false;
    this.map = this.#seedMap();
  }

  get hasLiveSeeds(): boolean {
    return !this.seeds.every(isDeadSeed);
  }

  #seedMap(): ShardMap {
    const shards = this.seeds.map((url, id) => ({ id, primary_url: url, replica_urls: [] }));
    return { version: 0, shards, joining: [], leaving: [] };
  }

  start(): void {
    this.process = new Process(this.url);
    this.isUp = true;
    this.map = this.#seedMap();
    this.marks.clear();
    void this.#poll(this.process);
  }

  kill(): void {
    this.isUp = false;
    this.process.isAlive = false;
    for (const connection of [...this.connections]) connection.breaks('other side closed');
    this.connections.clear();
  }

  async #poll(process: Process): Promise<void> {
    const { time } = this.#world;
    for (;;) {
      const hangsMs = this.pollsHangUntilMs - time.nowMs;
      if (hangsMs > 0) await time.sleep(hangsMs, process);
      const map = await this.#world.mapForRouters(process);
      if (map !== null && map.version > this.map.version) this.map = map;
      await time.sleep(POLL_MS, process);
    }
  }

  /** A client's request. `trace` tells where it went. */
  async write(request: WriteRequest, trace: WriteTrace): Promise<void> {
    const { time } = this.#world;
    await time.sleep(this.#world.latencyMs());
    if (!this.isUp) throw new RouterRefused('connection refused');
    const { process } = this;
    await new Promise<void>((resolve, reject) => {
      if (process.isAlive) this.#whenDead(process, () => reject(new NoAnswer('the router died')));
      this.#carryOut(request, trace, process).then(resolve, reject);
    });
  }

  readonly #deaths = new Map<Process, (() => void)[]>();

  #whenDead(process: Process, tell: () => void): void {
    const known = this.#deaths.get(process) ?? [];
    known.push(tell);
    this.#deaths.set(process, known);
  }

  /** Called when the process has died: whoever waits for an answer learns it. */
  tellDeath(process: Process): void {
    for (const tell of this.#deaths.get(process) ?? []) tell();
    this.#deaths.delete(process);
  }

  async #carryOut(request: WriteRequest, trace: WriteTrace, process: Process): Promise<void> {
    const { map } = this;
    const { time } = this.#world;
    trace.version = map.version;
    trace.beganAtMs = trace.lastAtMs = time.nowMs;
    trace.byLiveSeeds = map.version === 0 && this.hasLiveSeeds;
    const plan = new PlacementPlan(placementSpec(map));
    const ids = request.rows.length > 0 ? request.rows.map(({ id }) => id) : request.ids;
    const owners = groupBy(ids, (id) => plan.ownerOf(id));
    const donors = groupBy(ids, (id) => plan.donorOf(id));
    const steps = [...inMapOrder(map, owners), ...inMapOrder(map, donors)];
    const beginAtMs = time.nowMs;
    for (const [shardId, ofShard] of steps) {
      const pauseMs = this.#world.routerPauseMs(time.nowMs - beginAtMs);
      if (pauseMs > 0) await time.sleep(pauseMs, process);
      const url = map.shards.find(({ id }) => id === shardId)?.primary_url ?? '';
      await this.#send(url, request, { ids: ofShard, trace, process });
    }
    await time.sleep(this.#world.latencyMs(), process);
  }

  async #send(
    url: string,
    { collection, rows }: WriteRequest,
    { ids, trace, process }: { ids: readonly Buffer[]; trace: WriteTrace; process: Process },
  ): Promise<void> {
    const shard = this.#world.shardAt(url);
    if (shard === null) {
      await this.#world.time.sleep(this.#world.latencyMs(), process);
      throw new RouterRefused(`${url} does not answer`);
    }
    trace.shards.push(url);
    const some = rows.filter(({ id }) => ids.some((each) => each.equals(id)));
    try {
      await shard.request(
        () => {
          trace.lastAtMs = this.#world.time.nowMs;
          if (this.#world.hasForeignVolume(shard)) trace.shards.push('foreign volume');
          if (some.length > 0) shard.upsert(collection, some);
          else shard.delete(collection, ids);
        },
        { owner: process },
      );
    } catch (error) {
      throw new RouterRefused(error instanceof Error ? error.message : 'failed');
    }
  }
}

function groupBy(ids: readonly Buffer[], of: (id: Buffer) => number | null): Map<number, Buffer[]> {
  const groups = new Map<number, Buffer[]>();
  for (const id of ids) {
    const key = of(id);
    if (key !== null) groups.set(key, [...(groups.get(key) ?? []), id]);
  }
  return groups;
}

function inMapOrder(map: ShardMap, groups: ReadonlyMap<number, Buffer[]>): [number, Buffer[]][] {
  return map.shards.flatMap(({ id }) => (groups.has(id) ? [[id, groups.get(id)!] as [number, Buffer[]]] : []));
}
