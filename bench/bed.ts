/** Where a benchmark lies: a folder, a Temporal of its own, and real Quiver shards that are filled on demand. */
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import { locateQuiver, startQuiver, type RealQuiver } from '../test/support/real-quiver';
import { PrivateTemporal } from '../test/support/temporal';
import { CoordinatorRun, KEY } from './coordinator-run';
import { COLLECTION, collectionBody, type ShardBodies } from './points';

export type Say = (line: string) => void;

/** Two shards that hold points. */
export interface Donors {
  readonly shards: readonly RealQuiver[];
  readonly urls: readonly string[];
  readonly dimensions: number;
}

export class Bed {
  readonly say: Say;
  readonly temporal: PrivateTemporal;
  private readonly dir: string;
  private readonly quiver: string;
  private shardsStarted = 0;
  private coordinatorsStarted = 0;

  private constructor(options: { say: Say; temporal: PrivateTemporal; dir: string; quiver: string }) {
    this.say = options.say;
    this.temporal = options.temporal;
    this.dir = options.dir;
    this.quiver = options.quiver;
  }

  static async make(say: Say): Promise<Bed> {
    const quiver = await locateQuiver({ report: say });
    const dir = await mkdtemp(join(tmpdir(), 'coordinator-bench-'));
    process.once('exit', () => rmSync(dir, { recursive: true, force: true }));
    return new Bed({ say, dir, quiver, temporal: await PrivateTemporal.start() });
  }

  async remove(): Promise<void> {
    await this.temporal.dispose();
    rmSync(this.dir, { recursive: true, force: true });
  }

  async startShard(env: Readonly<Record<string, string>> = {}): Promise<RealQuiver> {
    const dataDir = join(this.dir, `quiver-${this.shardsStarted++}`);
    // The benchmark must not measure the shards' rate limits.
    return startQuiver({ role: 'shard', binary: this.quiver, dataDir, keys: [KEY], env });
  }

  /** Quiver's own coordinator over these shards. */
  async startQuiverCoordinator(shardUrls: readonly string[]): Promise<RealQuiver> {
    const dataDir = join(this.dir, `quiver-${this.shardsStarted++}`);
    const env = {
      QUIVER_CLUSTER_SHARDS: `[${shardUrls.join(',')}]`,
      QUIVER_CLUSTER_SHARD_KEY: KEY,
      QUIVER_COORDINATOR_STATE: join(dataDir, 'state.json'),
    };
    return startQuiver({ role: 'coordinator', binary: this.quiver, dataDir, keys: [KEY], env });
  }

  async startDonors(bodies: readonly ShardBodies[], dimensions: number): Promise<Donors> {
    const shards = await Promise.all(bodies.map(() => this.startShard()));
    for (const [index, shard] of shards.entries()) {
      await createCollection(shard.url, dimensions);
      for (const body of bodies[index] ?? []) {
        await call('POST', `${shard.url}/v1/collections/${COLLECTION}/points:bulk`, body);
      }
    }
    return { shards, urls: shards.map((shard) => shard.url), dimensions };
  }

  async startCoordinator(shardUrls: readonly string[], env: Readonly<Record<string, string>>): Promise<CoordinatorRun> {
    const name = `bench-${this.coordinatorsStarted++}`;
    return CoordinatorRun.start({ name, shardUrls, env, temporalAddress: this.temporal.address });
  }
}

export async function createCollection(shardUrl: string, dimensions: number): Promise<void> {
  await call('POST', `${shardUrl}/v1/collections`, collectionBody(dimensions));
}

export async function countPoints(shardUrl: string): Promise<number> {
  const { count } = (await call('GET', `${shardUrl}/v1/collections/${COLLECTION}`)) as { count: number };
  return count;
}

/** Anything but a 2xx. */
export class AnswerError extends Error {
  readonly status: number;

  constructor(call: string, status: number, text: string) {
    super(`${call} answered ${status}: ${text.slice(0, 300)}`);
    this.name = 'AnswerError';
    this.status = status;
  }
}

/** @throws AnswerError */
export async function call(method: 'GET' | 'POST', url: string, body?: string | Buffer): Promise<unknown> {
  const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };
  const answer = await request(url, {
    method,
    headers,
    ...(body === undefined ? {} : { body }),
    headersTimeout: 600_000,
  });
  const text = await answer.body.text();
  if (answer.statusCode < 200 || answer.statusCode > 299) {
    throw new AnswerError(`${method} ${url}`, answer.statusCode, text);
  }
  return text === '' ? null : (JSON.parse(text) as unknown);
}
