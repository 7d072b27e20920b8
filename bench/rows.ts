/** The rows that are moved: the same in every run, made from their number alone. */
import { setTimeout as delay } from 'node:timers/promises';
import { PlacementPlan } from '../src/domain/placement-plan';
import { ShardGrpc, type Row } from '../src/shards/stream/shard-grpc';
import { call, KEY } from './http';

export const COLLECTION = 'docs';
export const DIMENSIONS = 64;
export const DONOR_IDS = [0, 1] as const;
export const JOINER_ID = 2;

const BATCH_ROWS = 500;
const ID_DIGITS = 8;
const ID_START = 'doc-';

/** Equal lengths: the byte order of the ids is the order of the numbers. */
export const idOf = (index: number): string => ID_START + String(index).padStart(ID_DIGITS, '0');

export const indexOf = (id: string): number => Number(id.slice(ID_START.length));

export function vectorOf(index: number): Float32Array {
  const vector = new Float32Array(DIMENSIONS);
  let state = Math.imul(index + 1, 0x9e3779b1) >>> 0;
  for (let at = 0; at < DIMENSIONS; at++) {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    vector[at] = ((mixed ^ (mixed >>> 14)) >>> 0) / 2_147_483_648 - 1;
  }
  return vector;
}

export const payloadOf = (index: number): string => `{"group":"g${index % 100}","n":${index}}`;

export function rowOf(index: number): Row {
  return {
    id: Buffer.from(idOf(index)),
    vector: Buffer.from(vectorOf(index).buffer),
    payload: Buffer.from(payloadOf(index)),
  };
}

/** Who holds an id before the grow. */
export const placementBefore = (): PlacementPlan =>
  new PlacementPlan({ shards: [...DONOR_IDS], joining: [], leaving: [] });

export async function createCollection(shardUrl: string): Promise<void> {
  const body = { name: COLLECTION, dim: DIMENSIONS, metric: 'l2', index: 'hnsw' };
  await call('POST', `${shardUrl}/v1/collections`, JSON.stringify(body));
}

export async function countPoints(shardUrl: string): Promise<number> {
  const { count } = (await call('GET', `${shardUrl}/v1/collections/${COLLECTION}`)) as { count: number };
  return count;
}

/** A shard that rows are loaded into. */
export interface Loadable {
  readonly url: string;
  readonly grpcUrl: string;
  /** Where it may put its snapshot, which seals its rows. */
  readonly snapshotDir: string;
}

/** Puts each of `rows` rows onto the donor that owns it, and seals them. Donors have the ids 0 and 1, in this order. */
export async function loadSealed(donors: readonly Loadable[], rows: number): Promise<void> {
  const loaders = donors.map((donor) => new Loader(donor.grpcUrl));
  const plan = placementBefore();
  await Promise.all(donors.map((donor) => createCollection(donor.url)));
  for (let index = 0; index < rows; index++) {
    const row = rowOf(index);
    const loader = loaders[plan.ownerOf(row.id)];
    if (loader?.add(row) === true) await loader.flush();
    // Lets timers and sockets have their turn.
    if (index % 100_000 === 0) await delay(0);
  }
  await Promise.all(loaders.map((loader) => loader.end()));
  await Promise.all(donors.map((donor) => seal(donor)));
}

async function seal({ url, snapshotDir }: Omit<Loadable, 'grpcUrl'>): Promise<void> {
  await call('POST', `${url}/v1/snapshot`, JSON.stringify({ destination: snapshotDir }));
}

class Loader {
  private readonly grpc: ShardGrpc;
  private stream: ReturnType<ShardGrpc['upsertStream']>;
  private batch: Row[] = [];

  constructor(grpcUrl: string) {
    this.grpc = new ShardGrpc({ url: grpcUrl, key: KEY, requestTimeoutMs: 600_000 });
    this.stream = this.begin();
  }

  /** True when it is time to flush. */
  add(row: Row): boolean {
    return this.batch.push(row) >= BATCH_ROWS;
  }

  async flush(): Promise<void> {
    if (this.stream.room < this.batch.length) {
      await this.stream.end();
      this.stream = this.begin();
    }
    await this.stream.write(this.batch);
    this.batch = [];
  }

  async end(): Promise<void> {
    await this.flush();
    await this.stream.end();
    this.grpc.close();
  }

  private begin(): ReturnType<ShardGrpc['upsertStream']> {
    return this.grpc.upsertStream(COLLECTION, { deadlineMs: Number.MAX_SAFE_INTEGER });
  }
}
